"""Layer 4: readings of a store: tables, figures and pages; never imports torch."""
