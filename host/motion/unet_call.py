"""One UNet call of a MODEL with motion models.

Nothing is inserted into the UNet. For each UNet call the per-call ``transformer_options`` get a
``forward_timestep_embed_patch`` of ours in front of everybody else's; it lets core run the layer as it
would have run without us, then applies the motion modules of that block. All state of a call lives in
one object that is dropped when the call returns, so clones and multi-GPU threads do not meet.
"""

from contextlib import ExitStack
from typing import Any

from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, forward_timestep_embed
from comfy.model_base import BaseModel
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..call import keys
from ..call.frames import call_frames
from ..call.wrappers import bound
from . import group_norms
from .conditioner import CallInputs
from .model_call import MotionModelCall, model_calls
from .settings import settings_of
from .unet_sites import motion_sites
from .view_windows import views_at

LAYER_PATCH = "forward_timestep_embed_patch"


def apply_model(executor, *args, **kwargs):
    """APPLY_MODEL wrapper: one UNet call with this run's motion models."""
    arguments = bound(WrappersMP.APPLY_MODEL, args, kwargs)
    given = arguments.arguments
    options = given.get("transformer_options") or {}
    call = UNetCall(executor.class_obj, given["x"], given["t"], options)
    if not call.active:
        return executor(*args, **kwargs)
    given["transformer_options"] = call.options(options)
    with ExitStack() as stack:
        stack.callback(call.watch_unet().remove)
        if any(motion.settings.spec.family.norms_across_frames for motion in call.active):
            stack.enter_context(group_norms.across_frames(call.unet, call.inputs.frames.length))
        out = executor(*arguments.args, **arguments.kwargs)
    call.check()
    return out


class UNetCall:
    """State of one UNet call.

    Args:
        base: the model about to run, on its own device.
        x: (chunks * windows * frames, C, H, W) noisy latents.
        t: (chunks * windows * frames,) sigmas.
        options: the call's transformer_options; read only.
    """

    def __init__(self, base: BaseModel, x: Tensor, t: Tensor, options: dict[str, Any]):
        self.unet = base.diffusion_model
        frames = call_frames(options, x.shape[0])
        views = views_at(base.current_patcher, frames.length, frames.total, t, options)
        self.inputs = CallInputs(frames, x, base, options.get(keys.RUN_CACHE, {}), views)
        self.active: list[MotionModelCall] = []
        if frames.length == 1:
            self._check_not_split(options)
        else:
            self.active = model_calls(base, options, self.inputs)
        self.blocks = {id(layer): block for block, layer in motion_sites(self.unet).items()} if self.active else {}
        self.unet_ran = False
        self.others: dict[str, Any] = options.get("patches", {})

    def _check_not_split(self, options: dict[str, Any]) -> None:
        """Frames that come one by one are right only where windows of one frame were asked for."""
        base, total = self.inputs.base, options.get(keys.CLIP_LENGTH, 1)
        if total == 1 or self.inputs.frames.announced:
            return
        if any(settings.factor_at(base, options) for settings in settings_of(base.current_patcher)):
            raise RuntimeError(
                f"A node sends the {total} frames of this clip to the UNet one by one, so no motion is "
                "possible; remove it from this MODEL."
            )

    def watch_unet(self) -> RemovableHandle:
        """Notice whether the UNet runs at all: caching nodes (EasyCache) answer some calls from memory."""

        def note(*_call) -> None:
            self.unet_ran = True

        return self.unet.time_embed.register_forward_pre_hook(note)

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        """A copy of ``options`` in which our layer patch comes first."""
        ours = [(kind, self.run_layer) for kind in (ResBlock, SpatialTransformer, nn.Conv2d)]
        return {**options, "patches": {**self.others, LAYER_PATCH: ours + self.others.get(LAYER_PATCH, [])}}

    def run_layer(self, layer: nn.Module, x: Tensor, emb, context, options: dict[str, Any], *rest) -> Tensor:
        """Let core and other packs run ``layer``, then add motion if a motion module follows it."""
        ours = options["patches"]
        options["patches"] = self.others
        try:
            x = forward_timestep_embed([layer], x, emb, context, options, *rest)
        finally:
            options["patches"] = ours
        block = self.blocks.get(id(layer))
        for motion in self.active:
            if block is not None:
                x = motion.run(block, x)
            elif isinstance(layer, nn.Conv2d):  # blocks hold no convolution of their own but the first
                x = motion.after_first_block(x)
        return x

    def check(self) -> None:
        """Refuse to go on silently when motion modules were left out of the UNet call.

        Raises:
            RuntimeError: fewer or more modules ran than the motion model has.
        """
        for motion in self.active:
            modules = len(motion.network.spec.sites)
            if self.unet_ran and motion.ran != modules:
                raise RuntimeError(
                    f"{motion.ran} of {modules} modules of motion model '{motion.settings.name}' ran; another node "
                    "skips or replaces blocks of the UNet, remove it from this MODEL."
                )
