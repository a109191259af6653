"""The CameraCtrl encoder: shapes, spans and passes. What it computes is tested in tests/parity."""

import pytest
import torch

from support.files.camera import camera_file
from zoetrope.motion_models.checkpoints.camera_ctrl import read_camera_checkpoint
from zoetrope.motion_models.networks import camera_encoder as camera_network
from zoetrope.motion_models.networks.camera_encoder import CameraNetwork


@pytest.fixture
def network():
    spec, weights = read_camera_checkpoint(camera_file())
    network = CameraNetwork(spec).eval().requires_grad_(False)
    network.load_state_dict(weights)
    return network


def rays(frames, height=64, width=64):
    return torch.randn(frames, 6, height, width, generator=torch.Generator().manual_seed(7))


def test_one_feature_per_level_at_the_sizes_of_the_unet(network):
    """Latent 15 x 8; a UNet's strided convolutions round up: 8 x 4, 4 x 2, 2 x 1."""
    shapes = [tuple(level.shape) for level in network.encode(rays(3, 120, 64))]
    assert shapes == [(3, 32, 15, 8), (3, 64, 8, 4), (3, 64, 4, 2), (3, 64, 2, 1)]


def test_frames_see_each_other(network):
    clip = rays(4)
    other = clip.clone()
    other[3] += 1.0
    levels = zip(network.encode(clip), network.encode(other), strict=True)
    assert all((a[0] - b[0]).abs().max() > 1e-4 for a, b in levels)


def test_passes_over_pixels_change_nothing(network, monkeypatch):
    whole = network.encode(rays(4))
    monkeypatch.setattr(camera_network, "sequences_per_pass", lambda *_: 5)
    for ours, theirs in zip(network.encode(rays(4)), whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_one_span_over_all_frames_is_no_span(network):
    spans = [(list(range(4)), [1.0] * 4)]
    assert all(torch.equal(a, b) for a, b in zip(network.encode(rays(4), spans), network.encode(rays(4)), strict=True))


def test_spans_keep_frames_apart_and_blend_where_they_overlap(network):
    """Spans that share no frame are clips of their own; equal spans with shares 1/4 and 3/4 are one span."""
    clip = rays(6)
    apart = network.encode(clip, [([0, 1, 2], [1.0] * 3), ([3, 4, 5], [1.0] * 3)])
    for level, first, second in zip(apart, network.encode(clip[:3]), network.encode(clip[3:]), strict=True):
        torch.testing.assert_close(level, torch.cat((first, second)), rtol=0, atol=1e-5)
    twice = network.encode(clip, [(list(range(6)), [0.25] * 6), (list(range(6)), [0.75] * 6)])
    for level, once in zip(twice, network.encode(clip), strict=True):
        torch.testing.assert_close(level, once, rtol=0, atol=1e-5)


def test_more_frames_than_positions_in_one_pass_are_refused(network):
    assert network.encode(rays(16, 8, 8))[0].shape[0] == 16
    with pytest.raises(ValueError, match="positions for 16 frames, but 17 would be sampled together"):
        network.encode(rays(17, 8, 8))


def test_merge_layers_by_block(network):
    assert network.merge_at("input", 1).weight.shape == (32, 32)
    assert network.merge_at("output", 0).weight.shape == (64, 64)
    assert network.merge_at("middle", 0) is None and network.merge_at("input", 3) is None
