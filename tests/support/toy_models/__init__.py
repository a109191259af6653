"""Real classes of ComfyUI and of ours at toy size, with seeded weights."""
