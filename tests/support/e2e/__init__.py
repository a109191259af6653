"""A real ComfyUI server with toy models, and runs of the shipped prompts on it."""
