"""Socket types of this pack. Other packs' type names are never reused: their objects differ."""

from comfy_api.latest import io

MOTION_MODEL = io.Custom("ZOETROPE_MOTION_MODEL")
MOTION_LORA = io.Custom("ZOETROPE_MOTION_LORA")
FRAME_VALUES = io.Custom("ZOETROPE_FRAME_VALUES")
CAMERA_POSES = io.Custom("ZOETROPE_CAMERA_POSES")
CLIPS = io.Custom("ZOETROPE_CLIPS")
