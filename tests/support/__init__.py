"""What the tests share: toy models, files, runs of nodes and readers."""
