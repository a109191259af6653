"""From a file to frames and sound."""
