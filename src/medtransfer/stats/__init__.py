"""Layer 1: statistics of comparison: arrays in, numbers out."""
