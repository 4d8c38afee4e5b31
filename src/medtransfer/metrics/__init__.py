"""Layer 1: declared metrics over per-case predictions; knows no task, no store and no torch."""
