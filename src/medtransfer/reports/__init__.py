"""Layer 4: readings of a store as tables, figures and pages; from records and statistics, never torch."""
