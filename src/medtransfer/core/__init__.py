"""Layer 0: errors, registry, seeds, fingerprints, provenance; imports nothing of the project."""
