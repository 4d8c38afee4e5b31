"""Layer 1: where records live: states and numbers in a database, predictions as files beside it."""
