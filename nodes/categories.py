"""Where the nodes are in ComfyUI's menu."""

MOTION = "Zoetrope/motion"
WINDOWS = "Zoetrope/windows"
CAMERA = "Zoetrope/camera"
IMAGE_TO_VIDEO = "Zoetrope/image to video"
CONTROL = "Zoetrope/control"
VIDEO = "Zoetrope/video"
