"""ComfyUI-AnimateDiff-Evolved on the same MODEL: what cannot work beside our windows is refused in words.

Its motion models take all rows of a UNet call for one clip unless its own windows run; ours would give them pieces of a clip
with several conditionings, and the clip would be silently wrong.
"""

from collections.abc import Mapping
from typing import Any

from comfy.model_patcher import ModelPatcher

MODELS = "ADE"  # its key for the motion models among a MODEL's additional models
FRAMES = "ad_params"  # its announcement in transformer_options, which packs such as IPAdapter read too


def refuse_its_motion(model: ModelPatcher, frames: int, window: int) -> None:
    """Refuse to cut a clip that its motion models animate.

    Args:
        model: MODEL of the run.
        frames: of the clip.
        window: the most frames that our windows give to the UNet at once.

    Raises:
        ValueError: its motion models are on the MODEL and windows would run.
    """
    if window < frames and model.get_additional_models_with_key(MODELS):
        raise ValueError(
            "This MODEL has a motion model of AnimateDiff-Evolved, which does not work in Zoetrope's Context Windows: use "
            "Zoetrope's Apply Motion Model in its place, or AnimateDiff-Evolved's own context options."
        )


def refuse_its_windows(options: Mapping[str, Any]) -> None:
    """Refuse to cut one of its windows into windows.

    Args:
        options: transformer_options before our windows announce theirs.

    Raises:
        ValueError: its windows are running.
    """
    announced = options.get(FRAMES)
    if isinstance(announced, Mapping) and announced.get("sub_idxs") is not None:
        raise ValueError(
            "Windows of another pack (such as AnimateDiff-Evolved's context options) and Zoetrope's Context Windows are on "
            "one MODEL: remove one of the two."
        )
