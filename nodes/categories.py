"""Where the nodes are in ComfyUI's menu."""

MOTION_MENU = "Zoetrope/motion"
WINDOWS_MENU = "Zoetrope/windows"
CAMERA_MENU = "Zoetrope/camera"
IMAGE_TO_VIDEO_MENU = "Zoetrope/image to video"
CONTROL_MENU = "Zoetrope/control"
VIDEO_MENU = "Zoetrope/video"
TRAINING_MENU = "Zoetrope/training"
