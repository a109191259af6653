"""Hints for ControlNets out of the frames of a clip, with OpenCV. Never imports ComfyUI."""
