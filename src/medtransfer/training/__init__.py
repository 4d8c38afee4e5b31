"""Layer 2: the one training loop, its recipes, losses and inference; knows no task."""
