"""Layer 3: ways to transfer a source model to a target task."""
