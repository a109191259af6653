"""Node classes. NODES is the menu order."""

from comfy_api.latest import io

from . import (
    camera,
    control,
    endless,
    frames,
    guidance,
    image_to_video,
    load,
    lora,
    lora_per_frame,
    motion,
    noise,
    preprocess,
    preview,
    prompts,
    sparse_control,
    values,
    video,
    views,
    windows,
)

NODES: list[type[io.ComfyNode]] = [
    *motion.NODES,
    *lora.NODES,
    *windows.NODES,
    *views.NODES,
    *noise.NODES,
    *prompts.NODES,
    *values.NODES,
    *guidance.NODES,
    *lora_per_frame.NODES,
    *preview.NODES,
    *endless.NODES,
    *frames.NODES,
    *camera.NODES,
    *image_to_video.NODES,
    *control.NODES,
    *sparse_control.NODES,
    *preprocess.NODES,
    *load.NODES,
    *video.NODES,
]
