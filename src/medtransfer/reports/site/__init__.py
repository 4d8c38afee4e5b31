"""The report as a small site: which pages there are, what stands on each, and how they point at one another."""
