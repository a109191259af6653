"""Values over time: one number per frame, from many things."""

from typing import Any

import numpy as np
import torch
from comfy_api.input import CurveInput
from comfy_api.latest import io

from ..host.call.strength import as_mask
from ..inputs.quoting import quoted
from ..temporal.values.audio import BANDS, AudioValues, frame_loudness
from ..temporal.values.frame_values import CurveValues, between, listed_values
from ..temporal.values.schedule import parse_value_schedule
from .base import Node
from .categories import WINDOWS_MENU
from .input_checks import Minimum
from .types import FRAME_VALUES
from .widgets import problem, value_schedule_input

MOST_FLOATS = 100000  # frames of a list of floats


def between_inputs(of_low: str, of_high: str) -> list[io.Input]:
    """``low`` and ``high``: what the ends of a source's range become."""

    def socket(name: str, default: float, what: str) -> io.Input:
        return io.Float.Input(
            name, default=default, min=Minimum(-1000.0), max=1000.0, step=0.01, tooltip=f"Value of {what}."
        )

    return [socket("low", 0.0, of_low), socket("high", 1.0, of_high)]


def values_output() -> io.Output:
    return FRAME_VALUES.Output(display_name="frame_values", tooltip="One value per frame.")


def floats_output(which: str = "The same") -> io.Output:
    return io.Float.Output(
        id="floats",
        display_name="floats",
        is_output_list=True,
        tooltip=f"{which} as a list of floats, for other nodes.",
    )


class FrameValuesFromSchedule(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeFrameValues",
            display_name="Frame Values",
            category=WINDOWS_MENU,
            description="One number per frame from a schedule, for scale, effect, MotionLoRA and everything else that "
            "takes values over time. The clip's length is taken when it is sampled.",
            search_aliases=["value schedule", "ADE_ValueScheduling", "multival", "keyframes", "float list"],
            inputs=[
                value_schedule_input("0: 0.0, -1: 1.0", "Values at frames, interpolated between"),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=MOST_FLOATS,
                    optional=True,
                    tooltip="Length that negative frames and positions refer to, and of the list of floats. "
                    "0: the clip's length; the list then ends at the last key with a frame number.",
                ),
            ],
            outputs=[values_output(), floats_output()],
        )

    @classmethod
    def validate_inputs(cls, schedule: str | None = None) -> bool | str:
        """The schedule is read before anything runs; None is text that another node will make."""
        return schedule is None or problem(lambda: parse_value_schedule(schedule))

    @classmethod
    def execute(cls, schedule: str, frames: int = 0) -> io.NodeOutput:
        values = parse_value_schedule(schedule)
        floats = values.at(frames or min(values.numbered_frames, MOST_FLOATS))
        return io.NodeOutput(listed_values(floats) if frames else values, floats)


class FrameValuesFromCurve(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeFrameValuesFromCurve",
            display_name="Frame Values From Curve",
            category=WINDOWS_MENU,
            description="One number per frame along a curve that you draw. It is stretched over the clip, whatever its "
            "length.",
            search_aliases=["value schedule", "curve editor", "easing", "SplineEditor", "animation curve"],
            inputs=[
                io.Curve.Input(
                    "curve",
                    socketless=False,  # core's Curve Editor can be connected as well
                    default=[[0.0, 0.0], [1.0, 1.0]],  # type: ignore[arg-type]  # lists, as JSON gives them back
                    tooltip="From the clip's first frame at the left to the last at the right.",
                ),
                *between_inputs("the bottom of the curve", "its top"),
            ],
            outputs=[values_output()],
        )

    @classmethod
    def execute(cls, curve, low: float, high: float) -> io.NodeOutput:
        drawn = read_curve(curve)
        return io.NodeOutput(CurveValues(lambda positions: drawn.interp_array(np.array(positions)).tolist(), low, high))


def read_curve(curve: Any) -> CurveInput:
    """A curve of any form that core knows.

    Raises:
        ValueError: it is none, or has no points.
    """
    try:
        drawn = CurveInput.from_raw(curve)
    except (TypeError, ValueError, KeyError):
        raise ValueError(
            f"curve is {quoted(curve)}; draw it in the editor, or give {{'points': [[0, 0], [1, 1]]}} with x and y from 0 to 1."
        ) from None
    if not drawn.points or not np.isfinite(drawn.points).all():
        raise ValueError("curve has no points; draw it in the editor.")
    return drawn


class FrameValuesFromList(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeFrameValuesFromList",
            display_name="Frame Values From List",
            category=WINDOWS_MENU,
            description="One number per frame from a list of floats of another node. The last one holds for the rest of "
            "a longer clip.",
            search_aliases=["float list", "FLOATS", "ADE_FloatToFloats", "ADE_MultivalDynamicFloats", "weights"],
            is_input_list=True,
            inputs=[
                io.MultiType.Input(
                    io.Float.Input("values", force_input=True, tooltip="Numbers in frame order."), types=[io.Int]
                )
            ],
            outputs=[values_output(), floats_output()],
        )

    @classmethod
    def execute(cls, values: list) -> io.NodeOutput:
        # Some packs send a whole list through a socket for one number.
        flat = [number for value in values for number in (value if isinstance(value, list | tuple) else [value])]
        return io.NodeOutput(listed_values(flat), flat)


class FrameValuesFromMask(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeFrameValuesFromMask",
            display_name="Frame Values From Mask",
            category=WINDOWS_MENU,
            description="One number per frame: how much of the picture a mask covers. The last one holds for the rest "
            "of a longer clip.",
            search_aliases=["mask to values", "ADE_MultivalScaledMask", "mask coverage"],
            inputs=[
                io.Mask.Input("mask", tooltip="One mask per frame; its mean counts, grey as a part."),
                *between_inputs("a black frame", "a white frame"),
            ],
            outputs=[values_output(), floats_output()],
        )

    @classmethod
    def execute(cls, mask, low: float, high: float) -> io.NodeOutput:
        shares = as_mask(mask, "mask").mean((1, 2), dtype=torch.float64).tolist()
        values = [between(low, high, share) for share in shares]
        return io.NodeOutput(listed_values(values), values)


class FrameValuesFromAudio(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeFrameValuesFromAudio",
            display_name="Frame Values From Audio",
            category=WINDOWS_MENU,
            description="One number per frame that follows a sound: high at the clip's loudest frames, low at its "
            "quietest and where the sound has ended.",
            search_aliases=["audio reactive", "audio to values", "amplitude", "beat", "music"],
            inputs=[
                io.Audio.Input("audio", tooltip="Sound that begins with the clip. Channels are averaged."),
                io.Float.Input(
                    "frame_rate",
                    default=8.0,
                    min=Minimum(0.1),
                    max=240.0,
                    step=0.01,
                    tooltip="Frames per second of the clip, as in Combine Video.",
                ),
                io.Combo.Input(
                    "band",
                    options=list(BANDS),
                    default="all",
                    tooltip="What is heard. low: 20 to 250 Hz (drums, bass); mid: 250 to 4000 Hz (voices, most "
                    "instruments); high: above 4000 Hz (cymbals, hiss).",
                ),
                *between_inputs("silence and the clip's quietest frames", "its loudest frames"),
                io.Float.Input(
                    "smoothing",
                    default=0.3,
                    min=Minimum(0.0),
                    max=0.99,
                    step=0.01,
                    optional=True,
                    tooltip="Share of a frame's value that stays in the next while the sound fades. Rises are not "
                    "smoothed, so peaks come on time.",
                ),
            ],
            outputs=[values_output(), floats_output("The same for the whole sound")],
        )

    @classmethod
    def execute(
        cls, audio, frame_rate: float, band: str, low: float, high: float, smoothing: float = 0.3
    ) -> io.NodeOutput:
        loudness = frame_loudness(audio["waveform"][0], audio["sample_rate"], frame_rate, band)
        values = AudioValues(loudness, low, high, smoothing)
        return io.NodeOutput(values, values.at(len(loudness)))
