"""Training: losses, draws, optimiser and state files, and clips on disk."""
