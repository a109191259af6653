"""Node classes. NODES is the menu order."""

from comfy_api.latest import io

from . import camera_ctrl as camera
from . import clips as frames
from . import combine_video as video
from . import control, guidance, image_to_video, lora, lora_per_frame, motion, noise, preprocess, views, windows
from . import frame_values as values
from . import load_video as load
from . import preview_schedule as preview
from . import prompt_schedule as prompts
from . import sample_video as endless
from . import sparse_ctrl as sparse_control

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
