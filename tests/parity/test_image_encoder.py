"""Image-to-video models against their published code, restated from the published weights.

The encoder was also run against the authors' own class (Adapter, float64, toy and published widths, even and odd
sizes): no difference at all. What is left here is the float32 of the frame numbers' embedding.

B = chunks, C = channels, F = frames, H and W = height and width.
"""

import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, pad

from support.files.motion import fill, motion_file
from support.toy_models.image_encoder import image_encoder_shapes
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.networks.image_encoder import ImageEncoder
from zoetrope.motion_models.networks.motion_module import MotionNetwork

WIDTHS = (32, 64, 128, 128)


@pytest.fixture(scope="module")
def weights():
    return fill(image_encoder_shapes(WIDTHS, prefix=""), dtype=torch.float64)


def authors_features(w, latent_FCHW, drift):
    """Features of all levels for a latent that is repeated for every frame.

    Source: G-U-N/AnimateLCM ``animatelcm_sd15/animatelcm/models/adapter.py``: fixed_positional_embedding,
    Adapter.forward, ResnetBlock.forward and Downsample.forward.
    """
    frames, width = latent_FCHW.shape[0], w["conv_in.weight"].shape[0]
    angles = torch.arange(frames).double()[:, None] * 10000.0 ** (-torch.arange(0, width, 2).double() / width)
    embedding = torch.zeros(frames, width, dtype=torch.float64)
    embedding[:, 0::2], embedding[:, 1::2] = angles.sin(), angles.cos()
    x = drift * embedding[:, :, None, None] + conv2d(latent_FCHW, w["conv_in.weight"], w["conv_in.bias"], padding=1)
    features = []
    for index in range(8):
        if index in (2, 4, 6):
            x = avg_pool2d(pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2), mode="replicate"), 2, 2)
        name = f"body.{index}"
        if f"{name}.in_conv.weight" in w:
            x = conv2d(x, w[f"{name}.in_conv.weight"], w[f"{name}.in_conv.bias"])
        h = conv2d(x, w[f"{name}.block1.weight"], w[f"{name}.block1.bias"], padding=1)
        x = conv2d(h.clamp(min=0), w[f"{name}.block2.weight"], w[f"{name}.block2.bias"]) + x
        if index % 2:
            features.append(x)
    return features


@pytest.mark.parametrize("drift", [0.0, 0.8, 2.0])
@pytest.mark.parametrize("height, width", [(16, 24), (15, 9)])
def test_image_encoder(weights, relative_error, drift, height, width):
    encoder = ImageEncoder(WIDTHS, dtype=torch.float64)
    encoder.load_state_dict(weights)
    latent = torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    ours = encoder(latent, 5, drift)
    for a, b in zip(ours, authors_features(weights, latent.repeat(5, 1, 1, 1), drift), strict=True):
        assert relative_error("animatelcm_i2v", "image encoder of G-U-N/AnimateLCM adapter.py", a, b) < 1e-6


def test_pia_is_a_convolution_of_nine_channels(relative_error):
    """The checkpoint's convolution and ours, added up, are PIA's: its weights behind channel 4, the checkpoint's bias.

    Source: open-mmlab/PIA ``animatediff/pipelines/i2v_pipeline.py``, build_pipeline, and ``models/unet.py``:
    cat(sample, mask_sample, masked_sample).
    """
    file = motion_file(middle=True, positions=32, dtype=torch.float64)
    file |= fill({"conv_in.weight": (32, 9, 3, 3), "conv_in.bias": (32,)}, seed=3, dtype=torch.float64)
    spec, weights = read_motion_checkpoint(file)
    network = MotionNetwork(spec, dtype=torch.float64)
    network.load_state_dict(weights)
    own = fill({"weight": (32, 4, 3, 3), "bias": (32,)}, seed=4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    noisy, mask, image = (torch.randn(6, c, 8, 10, generator=generator, dtype=torch.float64) for c in (4, 1, 4))
    joint = torch.cat((own["weight"], file["conv_in.weight"][:, 4:]), dim=1)
    theirs = conv2d(torch.cat((noisy, mask, image), dim=1), joint, own["bias"], padding=1)
    ours = conv2d(noisy, own["weight"], own["bias"], padding=1) + network.image_input(torch.cat((mask, image), dim=1))
    assert relative_error("pia", "nine channel convolution", ours, theirs) < 1e-6
