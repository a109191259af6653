"""Node classes. NODES is the menu order."""

from comfy_api.latest import io

from . import camera, control, image_to_video, lora, motion, values, video, windows

NODES: list[type[io.ComfyNode]] = [
    *motion.NODES,
    *lora.NODES,
    *windows.NODES,
    *values.NODES,
    *camera.NODES,
    *image_to_video.NODES,
    *control.NODES,
    *video.NODES,
]
