"""Model files, and networks of ours as ComfyUI's model patchers."""
