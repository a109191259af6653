"""Widgets and sockets that several nodes share, and how they are checked."""

from collections.abc import Callable

from comfy_api.latest import io

from ..temporal.values.schedule import VALUE_SCHEDULE_EXAMPLE
from ..temporal.windows.settings import FUSE_METHODS, SCHEDULES
from .input_checks import Minimum
from .types import FRAME_VALUES

EASINGS_IN_WORDS = "Easings after a value shape the way to the next key: linear, ease_in, ease_out, ease_in_out, hold."


def problem(read: Callable[[], object]) -> bool | str:
    """What ``validate_inputs`` of a node returns: True, or the sentence of the ValueError that reading ends with."""
    try:
        read()
    except ValueError as error:
        return str(error)
    return True


def number(name: str, default: int, low: int, high: int, tooltip: str, **options) -> io.Input:
    """An INT."""
    return io.Int.Input(name, default=default, min=low, max=high, tooltip=tooltip, **options)


def percent_inputs(what: str, optional: bool = False) -> list[io.Input]:
    """``start_percent`` and ``end_percent``: a range of the training noise schedule, as in core's nodes.

    Args:
        what: subject of the tooltips.
        optional: API prompts may leave them out.
    """

    def socket(name: str, default: float, tooltip: str) -> io.Input:
        return io.Float.Input(
            name,
            default=default,
            min=Minimum(0.0),
            max=1.0,
            step=0.001,
            optional=optional,
            advanced=optional,
            tooltip=tooltip,
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
    return FRAME_VALUES.Input(
        "frame_values",
        optional=True,
        tooltip=f"Factors of {what}, one per frame, from a Frame Values node; a list of floats will do.",
    )


def mask_input(tooltip: str) -> io.Input:
    """``mask``: factors over the picture."""
    return io.Mask.Input("mask", optional=True, tooltip=tooltip)


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
        name, default=default, min=Minimum(low), max=high, step=0.01, optional=optional, tooltip=tooltip + over
    )
    return io.MultiType.Input(widget, types=[FRAME_VALUES, io.Mask])


def value_schedule_input(default: str, meaning: str) -> io.Input:
    """``schedule``: values at frames as text.

    Args:
        default: of the widget.
        meaning: begins the tooltip, up to the example.
    """
    return io.String.Input(
        "schedule",
        default=default,
        multiline=True,
        tooltip=f"{meaning}, for example '{VALUE_SCHEDULE_EXAMPLE}'. Negative frames count from the end; 0.5 with a point is the "
        f"middle. {EASINGS_IN_WORDS}",
    )


def overlap_input(name: str, length: str, pieces: str, cost: str = "") -> io.Input:
    """Frames that neighbouring windows share.

    Args:
        name: of the input.
        length: name of the input with their length.
        pieces: what they are called.
        cost: what more of it means.
    """
    meaning = f"Frames that neighbouring {pieces} share; must be smaller than {length}. "
    tooltip = f"{meaning}{cost}batched and shifted have no overlap and ignore it."
    return number(name, 4, 0, 1023, tooltip)


def window_inputs(pieces: str, fastest: str = "") -> list[io.Input]:
    """``schedule`` and ``fuse_method`` of windows.

    Args:
        pieces: what they are called.
        fastest: said of the schedule ``shifted``.
    """
    piece = pieces.removesuffix("s")
    return [
        io.Combo.Input(
            "schedule",
            options=list(SCHEDULES),
            default="standard_uniform",
            tooltip=f"Where the {pieces} lie. standard_uniform moves them at every step, standard_static never, "
            "looped_uniform lets them run from the last frame into the first, batched cuts without overlap, "
            f"shifted cuts without overlap at other places in every step{fastest}.",
        ),
        io.Combo.Input(
            "fuse_method",
            options=list(FUSE_METHODS),
            default="pyramid",
            tooltip=f"How overlapping {pieces} are blended: pyramid trusts the middle of a {piece} most, relative "
            "more so, flat averages, overlap_linear cross-fades over the overlap only.",
        ),
    ]


def closed_loop_input(limits: str) -> io.Input:
    """``closed_loop`` of windows; ``limits`` says where it does something else or nothing."""
    meaning = "Joins the last frames to the first, for clips that play in a loop."
    return io.Boolean.Input("closed_loop", default=False, optional=True, tooltip=f"{meaning} {limits}")
