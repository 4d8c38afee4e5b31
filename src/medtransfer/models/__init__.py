"""Layer 1: source models, their weights and the networks built from them; listing imports no torch."""
