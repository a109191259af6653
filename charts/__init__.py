"""Drawings of schedules and curves with OpenCV. Never imports ComfyUI."""
