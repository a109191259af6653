"""Socket types of this pack. Other packs' type names are never reused: their objects differ."""

from comfy_api.latest import io

MotionModel = io.Custom("ZOETROPE_MOTION_MODEL")
MotionLora = io.Custom("ZOETROPE_MOTION_LORA")
FrameValues = io.Custom("ZOETROPE_FRAME_VALUES")
CameraPoses = io.Custom("ZOETROPE_CAMERA_POSES")
