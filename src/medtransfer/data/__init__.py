"""Layer 1: from files to cases, splits, decoded pixels and batches; knows no task and no model."""
