"""A study for a paper: tables, figures, the methods in words and references, ready for LaTeX."""
