"""CameraCtrl: camera poses that act with a motion model.

Shapes: F = frames of a window, C = channels of a level, h, w = size of its feature map.
"""

import logging
from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher
from torch import nn

from ...inputs.quoting import file_name, plain, quoted
from ...motion_models.camera_poses import Poses, pluecker_rays, poses_at
from ...motion_models.checkpoints.camera_ctrl import read_camera_checkpoint
from ...motion_models.networks.camera_encoder import PATCH, CameraNetwork, CameraSpec, Span
from ...motion_models.networks.module_call import PoseMerge
from ...motion_models.networks.motion_module import MotionNetwork
from ...motion_models.spec import BlockIndex, MotionSpec
from ...temporal.windows.blending import blend_shares
from ...temporal.windows.schedules import windows_for_step
from ...temporal.windows.settings import WindowSettings
from ..call.strength import Strength
from ..loading import model_files, patchers
from ..motion.conditioner import CallInputs, Conditions, Features, cached, concatenated

log = logging.getLogger("zoetrope")

CAMERA_TRAINED_WITH = "v3"


@dataclass(frozen=True, eq=False)
class CameraConditioner:
    """A CameraCtrl file and the poses it follows; see `Conditioner`.

    Attributes:
        patcher: ComfyUI's handle of the `CameraNetwork`.
        poses: one a frame of the clip; the last holds for the rest of a longer clip.
        strength: factor of what the poses add; 0 leaves them out.
    """

    patcher: ModelPatcher
    poses: Poses
    strength: Strength = Strength()

    def prepare(self, network: MotionNetwork, own: nn.Module | None, call: CallInputs) -> Conditions:
        """Pose features of the frames for every motion module that the file has a layer for."""
        if self.strength.off or not isinstance(own, CameraNetwork):
            return Conditions()
        features = concatenated([self._features(own, frames, call) for frames in call.frames.by_window])
        strengths = []
        for level in features:
            height, width = level.shape[-2:]
            strengths.append(self.strength.at(call.frames.numbers, call.frames.total, height, width, level))
        poses: dict[BlockIndex, PoseMerge] = {}
        for site in network.spec.sites:
            merge = own.merge_at(site.part, site.index)
            if merge is not None:
                level = own.spec.level_of(site.part, site.index)
                poses[site.part, site.index] = PoseMerge(features[level].flatten(2), merge, strengths[level])
        return Conditions(poses=poses)

    def _features(self, own: CameraNetwork, frames: tuple[int, ...], call: CallInputs) -> Features:
        """(frames of the window, C, h, w) of each level, from the cache of the run where they still are.

        Poses are relative to the first frame of the window, as the authors' clips are and AnimateDiff-Evolved's
        windows: a camera far from the origin is nothing the encoder has seen.
        """
        height, width = call.x.shape[-2:]

        def encode() -> Features:
            poses = poses_at(self.poses, frames)
            rays = pluecker_rays(poses, height * PATCH, width * PATCH, device=call.x.device)
            return own.encode(rays.to(call.base.get_dtype_inference()), spans_of(len(frames), own.spec.max_frames))

        return cached(call.cache, (frames, height, width), encode)


def spans_of(frames: int, limit: int) -> list[Span]:
    """How a window of more frames than positions goes through the encoder's temporal attention.

    Args:
        frames: F.
        limit: positions of the encoder.

    Returns:
        One span where F fits; else spans of ``limit`` frames, half of them shared, blended as a pyramid.

    Source:
        ComfyUI-AnimateDiff-Evolved ``adapter_cameractrl.py``, ``CameraPoseEncoder.forward``: the same windows.
    """
    settings = WindowSettings(length=limit, overlap=limit // 2, schedule="standard_static", fuse="pyramid")
    windows = windows_for_step(settings, frames, 0)
    return list(zip(windows, blend_shares(settings, windows, frames), strict=True))


def camera_conditioner(name: str, motion: MotionSpec, poses: Poses, strength: Strength) -> CameraConditioner:
    """A conditioner from a file of ``models/animatediff_models``.

    Args:
        name: file name.
        motion: of the motion model it will act with.
        poses: the camera.
        strength: factor of what the poses add.

    Raises:
        ValueError: the file is missing, unreadable, no CameraCtrl file, or made for other motion modules.
    """
    path, state_dict = model_files.read_file(model_files.MOTION_MODELS, name)
    patcher = _build(path, state_dict)
    spec: CameraSpec = patcher.model.spec
    theirs = {(site.part, site.index): site.channels for site in motion.sites}
    for site in spec.sites:
        if theirs.get((site.part, site.index)) != site.channels:
            raise ValueError(
                f"CameraCtrl {quoted(name)} has a layer of {site.channels} channels for block {plain(site.part)} {site.index}, "
                f"which this motion model ({plain(motion.family.title)}) does not have; use it with v3_sd15_mm.ckpt."
            )
    if motion.family.name != CAMERA_TRAINED_WITH:
        log.warning(
            "CameraCtrl was trained with motion module v3; with %s it may do little.", plain(motion.family.title)
        )
    log.info("Loaded CameraCtrl %s: %d layers, %d frames at once.", quoted(name), len(spec.sites), spec.max_frames)
    return CameraConditioner(patcher, poses, strength)


def load_camera_patcher(path: str, disable_dynamic: bool = False) -> ModelPatcher:
    """Read the file again into a network of its own; the signature is the host's `cached_patcher_init`."""
    return _build(path, model_files.read_path(path), disable_dynamic)


def _build(path: str, state_dict: dict, disable_dynamic: bool = False) -> ModelPatcher:
    try:
        spec, weights = read_camera_checkpoint(state_dict)
        return patchers.build(CameraNetwork, spec, weights, (load_camera_patcher, (path,)), disable_dynamic)
    except ValueError as error:
        raise ValueError(f"{file_name(path)}: {plain(error, 600)}") from error
