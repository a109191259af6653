"""One UNet call of a MODEL with motion models.

Nothing is inserted into the UNet. For each UNet call the per-call ``transformer_options`` get a
``forward_timestep_embed_patch`` of ours in front of everybody else's; it lets core run the layer as it
would have run without us, then applies the motion modules of that block. All state of a call lives in
one object that is dropped when the call returns, so clones and multi-GPU threads do not meet.

A compiled UNet keeps its graphs: motion modules are calls in them that torch.compile does not look into (``..call.compiled``).
Where the modules that ran do not add up, the call is made again without torch.compile, and the log says so.
"""

from functools import partial
from inspect import BoundArguments
from typing import Any

import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, forward_timestep_embed
from comfy.model_base import BaseModel
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ...inputs.quoting import plain, quoted
from ...motion_models.spec import BlockIndex
from ..call import compiled, keys
from ..call.frames import call_frames
from ..call.lifetime import until_backward
from ..call.run_report import report_of
from ..call.wrappers import bound, changed
from . import group_norms
from .conditioner import CallInputs
from .model_call import FIRST_BLOCK, MotionModelCall, model_calls
from .settings import settings_of
from .unet_sites import motion_sites
from .view_windows import views_at

LAYER_PATCH = "forward_timestep_embed_patch"


def apply_model(executor, *args, **kwargs):
    """APPLY_MODEL wrapper: one UNet call with this run's motion models, whatever else wraps it."""
    return compiled.innermost(executor, _run_unet)(*args, **kwargs)


def _run_unet(executor, *args, **kwargs):
    given, base = bound(WrappersMP.APPLY_MODEL, args, kwargs), executor.class_obj
    options = given.arguments.get("transformer_options") or {}
    report = report_of(options)
    report.calls += 1
    call = UNetCall(base, given, options)
    if not call.active:
        return executor(*args, **kwargs)
    if compiled.is_compiled(base.diffusion_model, options):
        reason = call.obstacle()
        if not reason:
            out = call.run_compiled(executor)
            if call.complete:
                report.acted.update(motion.settings for motion in call.active)
                return out
            reason = "its graph left motion modules out"
            call = UNetCall(base, given, options)
        compiled.say_uncompiled(options, reason)
        with compiled.uncompiled(base):
            out = call.run(executor)
    else:
        out = call.run(executor)
    call.check()
    if call.unet_ran:
        report.acted.update(motion.settings for motion in call.active)
    return out


class UNetCall:
    """State of one UNet call.

    Args:
        base: the model about to run, on its own device.
        given: arguments of the call; read only. ``x`` are (chunks * windows * frames, C, H, W) noisy latents, ``t``
            (chunks * windows * frames,) sigmas.
        options: the call's transformer_options; read only.
    """

    def __init__(self, base: BaseModel, given: BoundArguments, options: dict[str, Any]):
        self.given, self.given_options = given, options
        x, t = given.arguments["x"], given.arguments["t"]
        self.unet = base.diffusion_model
        frames = call_frames(options, x.shape[0])
        views = views_at(base.current_patcher, frames.length, frames.total, t, options)
        self.inputs = CallInputs(frames, x, base, options.get(keys.RUN_CACHE, {}), views)
        self.active: list[MotionModelCall] = []
        if frames.length == 1:
            self._check_not_split(options)
        else:
            self.active = model_calls(base, options, self.inputs)
        self.blocks = self._blocks()
        self.unet_ran = False
        self.by_graphs = False
        self.others: dict[str, Any] = options.get("patches", {})

    def _check_not_split(self, options: dict[str, Any]) -> None:
        """Frames that come one by one are right only where windows of one frame were asked for."""
        base, total = self.inputs.base, options.get(keys.CLIP_LENGTH, 1)
        if total == 1 or self.inputs.frames.announced:
            return
        if any(settings.factor_at(base, options) for settings in settings_of(base.current_patcher)):
            raise RuntimeError(
                f"A node sends the {plain(total)} frames of this clip to the UNet one by one, so no motion is "
                "possible; remove it from this MODEL."
            )

    def _blocks(self) -> dict[int, BlockIndex]:
        """The blocks in which something of ours runs, by the id of the layer that it follows."""
        if not self.active:
            return {}
        first = next(self.unet.input_blocks[0].children())
        layers: dict[BlockIndex, nn.Module] = {**motion_sites(self.unet), FIRST_BLOCK: first}
        return {id(layer): block for block, layer in layers.items() if any(m.acts_in(block) for m in self.active)}

    @property
    def across_frames(self) -> bool:
        """Whether the UNet's norms are to see whole clips."""
        return any(motion.settings.spec.family.norms_across_frames for motion in self.active)

    def run(self, executor: Any) -> Tensor:
        """The UNet's answer with motion, layer by layer."""
        given = changed(self.given, transformer_options=self._options())
        with until_backward(self.given_options) as stack:
            stack.callback(self._watch_unet().remove)
            if self.across_frames:
                stack.enter_context(group_norms.across_frames(self.unet, self.inputs.frames.length))
            return executor(*given.args, **given.kwargs)

    def obstacle(self) -> str:
        """Why a compiled UNet's graphs cannot be used in this call; nothing where they can."""
        if self.across_frames:
            return "a motion model of its family changes norms inside the UNet"
        return compiled.obstacle(self.inputs.base, self.given_options)

    def run_compiled(self, executor: Any) -> Tensor:
        """The same by graphs of the compiled UNet; one for each set of blocks in which motion modules run."""
        self.by_graphs = True
        blocks = {_name(block): block for block in self.blocks.values()}
        given = changed(self.given, {compiled.graph_state(blocks): True}, transformer_options=self._options())
        if control := given.arguments.get("control"):  # core takes ControlNets' outputs out of these lists
            given.arguments["control"] = {kind: list(outputs) for kind, outputs in control.items()}
        with compiled.functions_of_call({name: partial(self._run_block, block) for name, block in blocks.items()}):
            return executor(*given.args, **given.kwargs)

    def _watch_unet(self) -> RemovableHandle:
        """Notice whether the UNet runs at all: caching nodes (EasyCache) answer some calls from memory."""

        def note(*_call) -> None:
            self.unet_ran = True

        return self.unet.time_embed.register_forward_pre_hook(note)

    def _options(self) -> dict[str, Any]:
        """A copy of the options in which our layer patch comes first."""
        ours = [(kind, self._run_layer) for kind in (ResBlock, SpatialTransformer, nn.Conv2d)]
        patches = {**self.others, LAYER_PATCH: ours + self.others.get(LAYER_PATCH, [])}
        return {**self.given_options, "patches": patches}

    def _run_layer(self, layer: nn.Module, x: Tensor, emb, context, options: dict[str, Any], *rest) -> Tensor:
        """Let core and other packs run ``layer``, then what of ours follows it."""
        ours = options["patches"]
        options["patches"] = self.others
        try:
            x = forward_timestep_embed([layer], x, emb, context, options, *rest)
        finally:
            options["patches"] = ours
        block = self.blocks.get(id(layer))
        if block is None:
            return x
        # Where a graph is in pieces, Python runs what lies between, and Dynamo would trace motion modules as graphs of their own.
        opaque = self.by_graphs or torch.compiler.is_compiling()
        return compiled.run_opaque(x, _name(block)) if opaque else self._run_block(block, x)

    def _run_block(self, block: BlockIndex, x: Tensor) -> Tensor:
        for motion in self.active:
            x = motion.after_first_block(x) if block == FIRST_BLOCK else motion.run(block, x)
        return x

    @property
    def complete(self) -> bool:
        """Whether every motion module ran."""
        return all(motion.ran == len(motion.network.spec.sites) for motion in self.active)

    def check(self) -> None:
        """Refuse to go on silently when motion modules were left out of the UNet call.

        Raises:
            RuntimeError: fewer or more modules ran than the motion model has.
        """
        for motion in self.active:
            modules = len(motion.network.spec.sites)
            if self.unet_ran and motion.ran != modules:
                raise RuntimeError(
                    f"{plain(motion.ran)} of {modules} modules of motion model {quoted(motion.settings.name)} ran; another node "
                    "skips or replaces blocks of the UNet, remove it from this MODEL."
                )


def _name(block: BlockIndex) -> str:
    return f"{block[0]}_{block[1]}"
