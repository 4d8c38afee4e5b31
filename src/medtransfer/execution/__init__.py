"""Layer 1: jobs in, outcomes out; knows no model and no task."""
