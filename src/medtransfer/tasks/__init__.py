"""Layer 2: target tasks: data set, label definition, split rule and metrics, one file per data set."""
