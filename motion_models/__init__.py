"""Motion module networks, file layouts and MotionLoRA in pure PyTorch. Never imports ComfyUI."""
