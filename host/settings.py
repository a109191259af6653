"""How motion models act on a MODEL: immutable, carried as an attachment, so every clone keeps it."""

from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher

from ..motion_models.spec import MotionSpec

KEY = "zoetrope_motion"  # attachments, additional models, wrappers and callbacks of motion models


@dataclass(frozen=True)
class MotionSettings:
    """One applied motion model.

    Attributes:
        name: file name, for messages.
        spec: what was read from the weights.
        scale: factor of the keys of each temporal attention; 1 is as trained, higher moves more.
        effect: 0 leaves a module's input, 1 gives its output, between is a blend.
        start_percent: position in the training noise schedule from which it acts; 0 is the start.
        end_percent: position up to which it acts; 1 is the end.
    """

    name: str
    spec: MotionSpec
    scale: float = 1.0
    effect: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0

    def validate(self) -> None:
        """Refuse a range that is empty.

        Raises:
            ValueError: the range ends before it starts.
        """
        if self.end_percent < self.start_percent:
            raise ValueError(
                f"end_percent {self.end_percent} lies before start_percent {self.start_percent}; swap them."
            )


def settings_of(model: ModelPatcher) -> tuple[MotionSettings, ...]:
    """Settings of all motion models on ``model``, the first applied first."""
    return model.get_attachment(KEY) or ()
