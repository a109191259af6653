import math

import pytest
import torch

from zoetrope.motion_models.networks.positions import sinusoidal_positions


@pytest.mark.parametrize(("frame", "pair", "channels"), [(0, 0, 32), (1, 0, 32), (7, 3, 64), (31, 15, 32)])
def test_pairs_of_sine_and_cosine(frame, pair, channels):
    table = sinusoidal_positions(32, channels)
    angle = frame * 10000 ** (-2 * pair / channels)
    torch.testing.assert_close(
        table[0, frame, 2 * pair : 2 * pair + 2], torch.tensor([math.sin(angle), math.cos(angle)]), rtol=0, atol=2e-6
    )


def test_shape_and_type():
    table = sinusoidal_positions(24, 320)
    assert table.shape == (1, 24, 320)
    assert table.dtype == torch.float32


def test_a_longer_table_starts_with_the_shorter_one():
    assert torch.equal(sinusoidal_positions(64, 32)[:, :24], sinusoidal_positions(24, 32))
