"""Published files: what they are, and their weights under our names."""
