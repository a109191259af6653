"""Telling files apart by their weights, to say what a wrong file is and where it belongs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ...inputs.quoting import plain, quoted
from ..errors import MotionFileError


@dataclass(frozen=True, eq=False)
class FileKind:
    """A kind of file. Patterns are regular expressions for a line ``name (shape)``, one line a weight.

    Attributes:
        pattern: one line must match it.
        what: the file, with an article.
        cure: what to do with it.
        also: another line must match this too.
        without: no line may match this.
    """

    pattern: str
    what: str
    cure: str
    also: str = ""
    without: str = "$^"

    def matches(self, lines: str) -> bool:
        """Whether a file with these lines is of this kind."""
        found, also, excluded = (re.search(p, lines, re.MULTILINE) for p in (self.pattern, self.also, self.without))
        return bool(found and also and not excluded)


_MODEL_HOME = "load it with ZoetropeLoadMotionModel from models/animatediff_models"
_MOTION_LORA_HOME = "load it with ZoetropeMotionLora from models/animatediff_motion_lora"
_ADAPTER_HOME = "put it on the MODEL with ZoetropeDomainAdapter, from models/loras"
_LORA_HOME = "load it with the core node Load LoRA (LoraLoader) from models/loras"
_CONTROL_HOME = "load it with the core node Load ControlNet Model from models/controlnet"
_CAMERA_HOME = "choose it in ZoetropeApplyCameraCtrl, together with a v3 motion module"
_SPARSE_HOME = "load it with ZoetropeLoadSparseCtrl from models/controlnet"
_NONE_YET = "no node of this release loads it, so choose another motion module"

_MODULES = r"(motion_modules|temporal_attentions)[._]\d+[._]"
_PLAIN_MODULE = rf"^(down_blocks|mid_block|up_blocks)\..*{_MODULES}.*(norm|proj_in|transformer_blocks)"
_CONTROL_KEYS = r"^controlnet_cond_embedding\.|^controlnet_(down_blocks|mid_block)\.|^input_hint_block\."

MOTION_MODULE = FileKind(_PLAIN_MODULE, "a motion module", _MODEL_HOME)
MOTION_LORA_KIND = FileKind(_MODULES + r".*[._]lora[._]", "a MotionLoRA", _MOTION_LORA_HOME)
SPARSE_CTRL = FileKind(_CONTROL_KEYS, "a SparseCtrl encoder", _SPARSE_HOME, also=_MODULES)

# The first row that matches names the file, so a kind stands before the kinds whose keys it also has.
KINDS = (
    SPARSE_CTRL,
    FileKind(r"qkv_merge|^pose_encoder|^encoder_down_", "a CameraCtrl encoder", _CAMERA_HOME),
    MOTION_LORA_KIND,
    # Training checkpoints hold motion modules and the image LoRA they were trained with.
    FileKind(
        r"attentions\..*processor\..*_lora\.",
        "a domain adapter or another LoRA of image layers",
        _ADAPTER_HOME,
        without=_PLAIN_MODULE,
    ),
    FileKind(r"^lora_(unet|te\d?)_|[._]lora[._](A|B|up|down)\b", "an ordinary LoRA", _LORA_HOME, without=_PLAIN_MODULE),
    FileKind("FancyVideo", "a FancyVideo motion module", _NONE_YET, also=_MODULES),
    MOTION_MODULE,
    FileKind(
        r"^(model\.diffusion_model|cond_stage_model|first_stage_model)\.",
        "an ordinary Stable Diffusion checkpoint",
        "load it with the core node Load Checkpoint from models/checkpoints",
    ),
    FileKind(rf"{_CONTROL_KEYS}|^control_model\.|^zero_convs\.", "a ControlNet", _CONTROL_HOME),
    FileKind(r"^(adapter\.)?body\.\d+\.(in_conv|block1)\.", "a T2I-Adapter", _CONTROL_HOME),
    FileKind(
        r"^(input_blocks|diffusion_model|time_embedding)\.|^down_blocks\..*\.resnets\.",
        "a diffusion model without motion modules",
        "load it with the core node Load Diffusion Model from models/diffusion_models",
    ),
    FileKind(
        r"^(encoder|decoder)\.(down|up|mid|conv_in)|^(post_)?quant_conv\.",
        "a VAE",
        "load it with the core node Load VAE from models/vae",
    ),
    FileKind(
        r"text_model\.encoder\.",
        "a text encoder",
        "load it with the core node Load CLIP from models/text_encoders",
    ),
)


def require_kind(entries: Mapping[str, object], wanted: FileKind) -> None:
    """Refuse a file of another kind.

    Args:
        entries: what `unwrap` returned.
        wanted: a row of `KINDS`.

    Raises:
        MotionFileError: the file is of another kind, or of none that is known.
    """
    lines = "\n".join(f"{name} {_shape(value)}" for name, value in entries.items())
    kind = next((kind for kind in KINDS if kind.matches(lines)), None)
    if kind is None:
        raise MotionFileError(
            f"this file is not {plain(wanted.what)} and of no known kind (its first entry is {quoted(next(iter(entries)))}); "
            f"choose {plain(wanted.what)}."
        )
    if kind is not wanted:
        raise MotionFileError(f"this file is {plain(kind.what)}; {plain(kind.cure, 600)}.")


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else "()"
