"""What a clip follows over time: prompts and guidance (CFG)."""
