"""Renderers: from a report or a study reading to bytes of one format each."""
