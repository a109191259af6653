"""Independent restatements of the published networks."""
