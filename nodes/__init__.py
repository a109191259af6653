"""Node classes. NODES is the menu order."""

from comfy_api.latest import io

from .camera_ctrl import ApplyCameraCtrl, CameraPoses
from .clips import MergeFrames, SelectFrames
from .combine_video import CombineVideo
from .control import ApplyControlNetPerFrame, ControlNetPerFrame
from .frame_values import (
    FrameValuesFromAudio,
    FrameValuesFromCurve,
    FrameValuesFromList,
    FrameValuesFromMask,
    FrameValuesFromSchedule,
)
from .guidance import GuidancePerFrame
from .image_to_video import ApplyAnimateLCMI2V, ApplyPIA
from .load_video import LoadFrames, LoadVideo
from .lora import AddMotionLora, DomainAdapter, LoraPerFrame
from .motion import AdjustMotionModel, ApplyMotionModel, LoadMotionModel, MotionModelInfo
from .noise import ClipNoise, FreeInit
from .preprocess import PreprocessFrames
from .preview_schedule import PreviewSchedule
from .prompt_schedule import EncodePromptSchedule
from .sample_video import SampleEndless, SampleVideo
from .sparse_ctrl import LoadSparseCtrl, SparseKeyframes
from .training import TrainDomainAdapter, TrainMotionLora, TrainMotionModel
from .training_clips import CameraMotionClips, TrainingClips
from .windows import ContextWindows, ViewWindows

NODES: list[type[io.ComfyNode]] = [
    LoadMotionModel,
    ApplyMotionModel,
    AdjustMotionModel,
    MotionModelInfo,
    AddMotionLora,
    DomainAdapter,
    ContextWindows,
    ViewWindows,
    ClipNoise,
    FreeInit,
    EncodePromptSchedule,
    FrameValuesFromSchedule,
    FrameValuesFromCurve,
    FrameValuesFromList,
    FrameValuesFromMask,
    FrameValuesFromAudio,
    GuidancePerFrame,
    LoraPerFrame,
    PreviewSchedule,
    SampleEndless,
    SampleVideo,
    SelectFrames,
    MergeFrames,
    CameraPoses,
    ApplyCameraCtrl,
    ApplyPIA,
    ApplyAnimateLCMI2V,
    ControlNetPerFrame,
    ApplyControlNetPerFrame,
    LoadSparseCtrl,
    SparseKeyframes,
    PreprocessFrames,
    LoadVideo,
    LoadFrames,
    CombineVideo,
    TrainingClips,
    CameraMotionClips,
    TrainMotionLora,
    TrainMotionModel,
    TrainDomainAdapter,
]
