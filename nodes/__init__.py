"""Node classes. NODES is the menu order."""

from comfy_api.latest import io

from . import control, motion, video, windows

NODES: list[type[io.ComfyNode]] = [*motion.NODES, *windows.NODES, *control.NODES, *video.NODES]
