"""Positions changed as ComfyUI-AnimateDiff-Evolved's Adjust PE nodes change them; numbers worked by hand."""

import pytest
import torch

from support.files.motion import motion_file
from zoetrope.motion_models.adjustment import Adjustment, adjust
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint


def table(*rows):
    """(1, F, 2): each row holds its number twice."""
    return torch.tensor(rows, dtype=torch.float32).view(1, -1, 1).expand(1, -1, 2).contiguous()


@pytest.mark.parametrize(
    ("adjustment", "expected"),
    [
        (Adjustment(), [0, 1, 2, 3]),
        (Adjustment(offset=1), [1, 2, 3]),
        (Adjustment(cap=2), [0, 1]),
        (Adjustment(offset=1, cap=2), [1, 2]),
        # Bilinear with half-pixel centres: position i of n looks at (i + 0.5) * 4 / n - 0.5.
        (Adjustment(interpolate=8), [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
        (Adjustment(stretch=4), [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
        (Adjustment(stretch=-2), [0.5, 2.5]),
        (Adjustment(cap=2, interpolate=4), [0, 0.25, 0.75, 1]),
        (Adjustment(stretch=4, offset=1, cap=2), [0.25, 0.75]),
    ],
)
def test_positions(adjustment, expected):
    torch.testing.assert_close(adjustment.positions(table(0, 1, 2, 3)), table(*expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("adjustment", "words"), [(Adjustment(stretch=-4), "pe_stretch -4"), (Adjustment(offset=4), "pe_offset 4")]
)
def test_nothing_left_is_refused(adjustment, words):
    with pytest.raises(ValueError, match=words):
        adjustment.positions(table(0, 1, 2, 3))


def test_adjusting_leaves_the_file_alone_and_chains():
    spec, weights = read_motion_checkpoint(motion_file())
    before = {name: tensor.clone() for name, tensor in weights.items()}
    changed_spec, changed = adjust(spec, weights, [Adjustment(cap=16, attention_gain=0.5), Adjustment(stretch=16)])
    assert (changed_spec.max_frames, changed_spec.attention_gain) == (32, 0.5)
    assert all(torch.equal(weights[name], tensor) for name, tensor in before.items())
    assert all(changed[name] is tensor for name, tensor in weights.items() if not name.endswith(".positions"))
    assert {t.shape[1] for name, t in changed.items() if name.endswith(".positions")} == {32}
