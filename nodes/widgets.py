"""Groups of widgets that several nodes share."""

from comfy_api.latest import io

from .types import FrameValues


def percent_inputs(what: str, optional: bool = False) -> list[io.Input]:
    """``start_percent`` and ``end_percent``: a range of the training noise schedule, as in core's nodes.

    Args:
        what: subject of the tooltips.
        optional: API prompts may leave them out.
    """

    def socket(name: str, default: float, tooltip: str) -> io.Input:
        return io.Float.Input(
            name, default=default, min=0.0, max=1.0, step=0.001, optional=optional, advanced=optional, tooltip=tooltip
        )

    meaning = "0 is the start of sampling, 1 the end; a position in the noise schedule, as in core's nodes."
    return [
        socket("start_percent", 0.0, f"From where {what} acts. {meaning}"),
        socket("end_percent", 1.0, f"Up to where {what} acts. {meaning}"),
    ]


def keyframes_input(what: str) -> io.Input:
    """``timestep_keyframes``: core's HOOK_KEYFRAMES as strengths over the sampling steps."""
    return io.HookKeyframes.Input(
        "timestep_keyframes",
        optional=True,
        tooltip=f"Factors of {what} over the sampling steps, from core's Create Hook Keyframe nodes; "
        "each holds until the next.",
    )


def frame_values_input(what: str) -> io.Input:
    """``frame_values``: factors over the frames."""
    return FrameValues.Input(
        "frame_values",
        optional=True,
        tooltip=f"Factors of {what}, one per frame, from a Frame Values node; a list of floats will do.",
    )


def value_input(
    name: str, low: float, high: float, tooltip: str, optional: bool = True, default: float = 1.0
) -> io.Input:
    """A number in the widget; the socket takes a number, FRAME_VALUES, a list of floats or a MASK.

    Args:
        name: of the input.
        low: smallest number of the widget.
        high: largest number of the widget.
        tooltip: what the number does.
        optional: API prompts may leave it out.
        default: of the widget.
    """
    over = " Connect Frame Values for one value per frame, or a MASK for one per pixel (and frame)."
    widget = io.Float.Input(
        name, default=default, min=low, max=high, step=0.01, optional=optional, tooltip=tooltip + over
    )
    return io.MultiType.Input(widget, types=[FrameValues, io.Mask])
