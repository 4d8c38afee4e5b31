"""Layer 3: how promising a source model looks for a task, from features and labels alone."""
