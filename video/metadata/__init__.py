"""The workflow inside a file, and values in its name."""
