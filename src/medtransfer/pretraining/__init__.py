"""Layer 3: from cases to a new source model."""
