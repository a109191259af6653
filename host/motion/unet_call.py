"""What happens while a MODEL with motion models samples.

Nothing is inserted into the UNet. For each UNet call the per-call ``transformer_options`` get a
``forward_timestep_embed_patch`` of ours in front of everybody else's; it lets core run the layer as it
would have run without us, then applies the motion modules of that place. All state of a call lives in
one object that is dropped when the call returns, so clones and multi-GPU threads do not meet.
"""

import logging
from collections import UserDict
from contextlib import ExitStack

from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, forward_timestep_embed
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..call.frames import (
    RUN_KEY,
    StagedHandler,
    chunk_frames,
    frames_at_once,
    frames_per_chunk,
    total_frames,
    windows_per_chunk,
)
from ..control.apply import install as install_control
from ..progress import live_preview
from ..prompts.prompt_schedule import install as install_prompts
from . import checks as advice
from . import group_norms as norms
from . import memory
from . import noise_schedule as betas
from .conditioner import ChunkInfo
from .model_call import CACHE_KEY, active_motions
from .settings import KEY, MotionSettings, settings_of
from .unet_sites import motion_sites
from .view_windows import frames_in_view, views_at

log = logging.getLogger("zoetrope")

LAYER_PATCH = "forward_timestep_embed_patch"


def install(model: ModelPatcher) -> None:
    """Put our wrappers on ``model`` (a clone owned by the caller), once, however often it is called."""
    wrappers = {
        WrappersMP.OUTER_SAMPLE: start_run,
        WrappersMP.APPLY_MODEL: apply_model,
    }
    for kind, function in wrappers.items():
        model.remove_wrappers_with_key(kind, KEY)
        model.add_wrapper_with_key(kind, KEY, function)
    memory.install(model)
    betas.install(model)
    install_control(model)
    install_prompts(model)
    live_preview.install(model)


def start_run(executor, noise: Tensor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: check the clip against each motion model before anything is loaded.

    Raises:
        ValueError: not an image latent, or more frames at once than a motion model has positions for.
    """
    guider = executor.class_obj
    if noise.ndim != 4:
        raise ValueError(
            f"Motion models need latents of shape (frames, channels, height, width), got {tuple(noise.shape)}; "
            "use Empty Latent Image with the clip's length as batch_size."
        )
    frames = noise.shape[0]
    guider.model_options["transformer_options"].update({RUN_KEY: frames, CACHE_KEY: UserDict()})
    for settings in settings_of(guider.model_patcher):
        if settings.effect.off:
            continue
        if frames == 1:
            log.info("Motion model '%s' is bypassed: the latent has one frame (batch_size 1).", settings.name)
        _check_positions(guider.model_patcher, settings, frames, guider.model_options.get("context_handler"))
    advice.warn(guider, frames, *args, **kwargs)
    return executor(noise, *args, **kwargs)


def _check_positions(model: ModelPatcher, settings: MotionSettings, frames: int, handler: object) -> None:
    limit, (sampled, anchor) = settings.spec.max_frames, frames_at_once(handler, frames)
    together = frames_in_view(model, sampled)
    if together <= limit:
        return
    cure = f"add Context Windows with context_length at most {limit}"
    if together < sampled:
        cure = f"set the view_length of View Windows to at most {limit}"
    elif isinstance(handler, StagedHandler) and sampled == frames:
        cure = (
            f"Context Windows need a context_length of at most {limit} and must cover start_percent 0 to end_percent 1"
        )
    elif sampled - anchor < frames:
        cure = f"set the context_length of Context Windows to at most {limit - anchor}"
        cure += " or switch its causal_window_fix off" if anchor else ""
    raise ValueError(
        f"Motion model '{settings.name}' has positions for {limit} frames, but {together} would be sampled together; "
        f"{cure}."
    )


def apply_model(
    executor, x: Tensor, t: Tensor, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **kwargs
):
    """APPLY_MODEL wrapper: one UNet call with this run's motion models."""
    options = transformer_options or {}
    call = MotionCall(executor.class_obj, x, t, options)
    if not call.active:
        return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)
    with ExitStack() as stack:
        stack.callback(call.watch_unet().remove)
        if any(motion.settings.spec.family.norms_across_frames for motion in call.active):
            stack.enter_context(norms.across_frames(call.unet, call.frames))
        out = executor(x, t, c_concat, c_crossattn, control, call.options(options), **kwargs)
    call.check()
    return out


class MotionCall:
    """State of one UNet call.

    Args:
        base: the model about to run, on its own device.
        x: (chunks * windows * frames, C, H, W) noisy latents.
        t: (chunks * windows * frames,) sigmas.
        options: the call's transformer_options; read only.
    """

    def __init__(self, base: BaseModel, x: Tensor, t: Tensor, options: dict):
        self.unet = base.diffusion_model
        chunk = self._chunk(base, x, t, options)
        self.frames = chunk.length
        self.active = [] if self.frames == 1 else active_motions(base, options, chunk)
        if self.frames == 1:
            self._check_not_split(base, options, chunk)
        self.sites = {id(layer): place for place, layer in motion_sites(self.unet).items()} if self.active else {}
        self.unet_ran = False
        self.others = options.get("patches", {})

    def _chunk(self, base: BaseModel, x: Tensor, t: Tensor, options: dict) -> ChunkInfo:
        rows, frames = frames_per_chunk(options, x.shape[0]), chunk_frames(options)
        known = frames is not None and len(frames) == rows
        windows, total = windows_per_chunk(options) if known else 1, total_frames(options) or rows
        return ChunkInfo(
            frames=frames if frames is not None and known else tuple(range(rows)),
            total=total,
            chunks=x.shape[0] // rows,
            x=x,
            base=base,
            cache=options.get(CACHE_KEY, {}),
            windows=windows,
            views=views_at(base.current_patcher, rows // windows, total, t, options),
        )

    def _check_not_split(self, base: BaseModel, options: dict, chunk: ChunkInfo) -> None:
        if options.get(RUN_KEY, 1) == 1 or len(chunk_frames(options) or ()) == chunk.windows:
            return
        if any(not s.effect.off and s.range.at(base, options) for s in settings_of(base.current_patcher)):
            raise RuntimeError(
                f"A node sends the {options[RUN_KEY]} frames of this clip to the UNet one by one, so no motion is "
                "possible; remove it from this MODEL."
            )

    def watch_unet(self) -> RemovableHandle:
        """Notice whether the UNet runs at all: caching nodes (EasyCache) answer some calls from memory."""

        def note(*_call) -> None:
            self.unet_ran = True

        return self.unet.time_embed.register_forward_pre_hook(note)

    def options(self, options: dict) -> dict:
        """A copy of ``options`` in which our layer patch comes first."""
        ours = [(kind, self.run_layer) for kind in (ResBlock, SpatialTransformer, nn.Conv2d)]
        return {**options, "patches": {**self.others, LAYER_PATCH: ours + self.others.get(LAYER_PATCH, [])}}

    def run_layer(self, layer: nn.Module, x: Tensor, emb, context, options: dict, *rest) -> Tensor:
        """Let core and other packs run ``layer``, then add motion if this is a site."""
        ours = options["patches"]
        options["patches"] = self.others
        try:
            x = forward_timestep_embed([layer], x, emb, context, options, *rest)
        finally:
            options["patches"] = ours
        place = self.sites.get(id(layer))
        for motion in self.active:
            if place is not None:
                x = motion.run(place, x)
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
