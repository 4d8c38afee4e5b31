"""Layer 2: from network and images to embeddings, extracted once and stored by content."""
