"""Everything along the frame axis: windows, blend weights, values per frame. Never imports ComfyUI."""
