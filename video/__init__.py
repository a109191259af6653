"""Video encoding and decoding. Never imports ComfyUI."""
