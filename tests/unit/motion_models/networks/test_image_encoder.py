"""AnimateLCM-I2V's image encoder: names, sizes and frames. What it computes is tested in tests/parity."""

import pytest
import torch
from torch import nn

from support.files.motion import fill, motion_file
from support.toy_models.image_encoder import image_encoder_shapes
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.image_encoder import ImageEncoder
from zoetrope.motion_models.networks.motion_module import MotionNetwork

PUBLISHED = (320, 640, 1280, 1280)
WIDTHS = (32, 64, 64, 64)


@pytest.fixture
def encoder():
    encoder = ImageEncoder(WIDTHS)
    encoder.load_state_dict(fill(image_encoder_shapes(WIDTHS, prefix="")))
    return encoder.eval().requires_grad_(False)


def latent(images=1, height=16, width=16):
    return torch.randn(images, 4, height, width, generator=torch.Generator().manual_seed(1))


def test_names_and_shapes_are_those_of_the_published_file():
    ours = {name: tuple(weight.shape) for name, weight in ImageEncoder(PUBLISHED, device="meta").state_dict().items()}
    assert ours == image_encoder_shapes(PUBLISHED, prefix="")
    assert ours["body.2.in_conv.weight"] == (640, 320, 1, 1) and "body.6.in_conv.weight" not in ours


@pytest.mark.parametrize("height, width", [(16, 16), (15, 10), (9, 7)])
def test_sizes_are_those_of_the_unets_strided_convolutions(encoder, height, width):
    x, sizes = torch.zeros(1, 1, height, width), []
    for _ in WIDTHS:
        sizes.append(tuple(x.shape[-2:]))
        x = nn.Conv2d(1, 1, 3, stride=2, padding=1)(x)
    features = encoder(latent(1, height, width), 3, 0.8)
    assert [tuple(level.shape) for level in features] == [(3, c, *size) for c, size in zip(WIDTHS, sizes, strict=True)]


def test_drift_tells_frames_apart(encoder):
    still, drifting = encoder(latent(), 4, 0.0), encoder(latent(), 4, 0.8)
    for level, moved in zip(still, drifting, strict=True):
        torch.testing.assert_close(level, level[:1].expand_as(level), rtol=0, atol=1e-6)
        assert all((moved[f] - moved[0]).abs().max() > 1e-3 for f in range(1, 4))


def test_an_image_per_frame(encoder):
    """The same image for each is one image; the frames of others are theirs."""
    one = encoder(latent(), 3, 0.8)
    repeated = encoder(latent().repeat(3, 1, 1, 1), 3, 0.8)
    images = latent(3)
    each = encoder(images, 3, 0.8)
    for level, again, varied, last in zip(one, repeated, each, encoder(images[2:], 3, 0.8), strict=True):
        torch.testing.assert_close(level, again, rtol=0, atol=1e-5)
        torch.testing.assert_close(varied[2], last[2], rtol=0, atol=1e-5)
        assert (varied[0] - last[0]).abs().max() > 1e-3


def test_network_has_what_the_file_has():
    plain = motion_file(widths=WIDTHS, middle=True, positions=None)
    encoder = fill(image_encoder_shapes(WIDTHS))
    spec, weights = read_motion_checkpoint(plain | encoder)
    network = MotionNetwork(spec)
    network.load_state_dict(weights)  # strict: nothing is missing or left over
    assert network.image_input is None
    assert torch.equal(network.image_encoder.body[2].in_conv.weight, encoder["img_encoder.body.2.in_conv.weight"])
    assert MotionNetwork(read_motion_checkpoint(motion_file(widths=WIDTHS))[0]).image_encoder is None
