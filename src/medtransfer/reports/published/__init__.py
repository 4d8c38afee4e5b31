"""Published results as data: what others printed, what they measured, and what was derived from it."""
