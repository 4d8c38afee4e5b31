"""Figures: each has a data function that reads a study into a chart; two modules draw any chart."""
