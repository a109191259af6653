"""The nodes that make values over time, and those that select and merge frames, as the host calls them."""

import pytest
import torch

from support.toy_models import unet as toy
from zoetrope.nodes.clips import MergeFrames, SelectFrames
from zoetrope.nodes.control import ApplyControlNetPerFrame
from zoetrope.nodes.frame_values import (
    FrameValuesFromAudio,
    FrameValuesFromCurve,
    FrameValuesFromList,
    FrameValuesFromMask,
    FrameValuesFromSchedule,
    read_curve,
)
from zoetrope.temporal.values.frame_values import listed_values

LINEAR = {"points": [[0, 0], [0.5, 1], [1, 0]], "interpolation": "linear"}


def test_a_drawn_curve_is_what_the_editor_shows():
    points = [[0.0, 0.2], [0.3, 1.0], [1.0, 0.5]]
    shown = read_curve(points)
    for curve in (points, {"points": points, "interpolation": "monotone_cubic"}, shown):
        values = FrameValuesFromCurve.execute(curve, 0.0, 1.0)[0].at(9)
        assert values == pytest.approx([shown.interp(frame / 8) for frame in range(9)])
    assert FrameValuesFromCurve.execute(LINEAR, 2.0, 4.0)[0].at(5) == pytest.approx([2, 3, 4, 3, 2])


@pytest.mark.parametrize("curve", ["flat", {"shape": 1}, [1, 2], [[0, "a"]], [], [[0, float("nan")]]])
def test_other_things_are_no_curve(curve):
    with pytest.raises(ValueError, match="draw it in the editor"):
        FrameValuesFromCurve.execute(curve, 0.0, 1.0)


def test_a_wrong_schedule_is_refused_before_anything_runs():
    assert FrameValuesFromSchedule.validate_inputs("0: 1, -1: 0") is FrameValuesFromSchedule.validate_inputs() is True
    assert FrameValuesFromSchedule.validate_inputs("0: 1, 8").startswith("Schedule piece '8' is not 'frame: value'")


@pytest.mark.newest_host
def test_floats_of_frame_values_end_at_the_last_numbered_key_or_at_the_widgets_most():
    assert FrameValuesFromSchedule.execute("0: 1, 2: 3, -1: 9").result[1] == [1, 5, 9]
    assert FrameValuesFromSchedule.execute("0: 1, -1: 3", 3).result[1] == [1, 2, 3]
    assert len(FrameValuesFromSchedule.execute("0: 1, 999999999999: 3").result[1]) == 100000


def test_lists_of_one_node_or_of_many_numbers():
    for values in ([1.0, 2, 3.0], [[1.0, 2, 3.0]]):
        frame_values, floats = FrameValuesFromList.execute(values).result
        assert frame_values.at(4) == [1, 2, 3, 3]
        assert floats == [1, 2, 3]


@pytest.mark.newest_host
def test_masks_count_by_their_mean():
    mask = torch.zeros(3, 4, 4)
    mask[1, :, :2] = 1.0
    mask[2] = 1.0
    frame_values, floats = FrameValuesFromMask.execute(mask, 1.0, 3.0).result
    assert floats == frame_values.at(3) == [1, 2, 3]


@pytest.mark.newest_host
def test_audio_is_followed():
    second = torch.zeros(1, 2, 16000)
    second[..., 8000:10000] = torch.sin(torch.arange(2000) * 0.4)
    audio = {"waveform": second, "sample_rate": 16000}
    frame_values, floats = FrameValuesFromAudio.execute(audio, 8.0, "all", 0.0, 2.0, 0.0).result
    assert len(floats) == 8
    assert frame_values.at(12).index(max(floats)) == 4
    assert frame_values.at(12)[8:] == [0.0] * 4


def test_controlnets_take_values_besides_the_schedule():
    prompts = [toy.conditioning(), toy.conditioning(6)]
    net, image = toy.toy_controlnet(), toy.hints(3)

    def factors(schedule, values):
        out = ApplyControlNetPerFrame.execute(*prompts, net, image, 1.0, schedule, 0.0, 1.0, frame_values=values)
        (product,) = out[0][0][1]["control"].spec.values
        return product.at(3)

    assert factors("0: 0.5", listed_values([1, 2, 4])) == [0.5, 1.0, 2.0]
    assert factors("0: 1", [1.0, 0.0]) == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="frame_values is 'x'"):
        factors("0: 1", "x")


@pytest.mark.newest_host
def test_selecting_and_merging():
    clip = torch.arange(5.0).view(-1, 1, 1, 1).expand(-1, 2, 2, 3)
    frames, count = SelectFrames.execute(clip, "::-2, 0").result
    assert (frames[:, 0, 0, 0].tolist(), count) == ([4, 2, 0, 0], 4)
    joined = MergeFrames.execute(frames, clip, 1)[0]
    assert joined[:, 0, 0, 0].tolist() == [4, 2, 0, 0, 1, 2, 3, 4]
    assert SelectFrames.validate_inputs("1:2") is True
    assert "cannot read 'a'" in SelectFrames.validate_inputs("a")
