"""PIA and AnimateLCM-I2V on a MODEL, and their nodes."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import conv2d

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model, relative_error
from zoetrope.host.call.condition_image import encode_image
from zoetrope.host.call.frames import CallFrames
from zoetrope.host.call.strength import strength_of
from zoetrope.host.conditioners import animatelcm_i2v as image_reference
from zoetrope.host.conditioners.animatelcm_i2v import ImageReferenceConditioner
from zoetrope.host.conditioners.pia import PiaConditioner
from zoetrope.host.motion import conditioner as conditioners
from zoetrope.host.motion.conditioner import CallInputs
from zoetrope.host.motion.settings import settings_of
from zoetrope.host.sampling.context_windows import WindowSettings, apply_windows
from zoetrope.motion_models.errors import MotionFileError
from zoetrope.motion_models.pia_affinity import affinity
from zoetrope.nodes.image_to_video import ApplyAnimateLCMI2V, ApplyPIA
from zoetrope.nodes.motion import ApplyMotionModel
from zoetrope.temporal.values.frame_values import listed_values

LATENT = {"samples": torch.zeros(8, 4, toy.SIZE, toy.SIZE)}
HALVES = WindowSettings(length=2, overlap=0, schedule="standard_static")


class ToyVAE:
    """Means of 8 x 8 pixels: red, green, blue and their mean, as 4 channels."""

    channels = 4

    def spacial_compression_encode(self) -> int:
        return 8

    def encode(self, pixels):
        self.got = pixels
        colours = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)
        return torch.cat((colours, colours.mean(dim=1, keepdim=True)), dim=1)[:, : self.channels] * 8 - 4


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture(scope="module")
def pia(tmp_path_factory):
    return motion_model(tmp_path_factory.mktemp("pia"), "pia")


@pytest.fixture(scope="module")
def i2v(tmp_path_factory):
    return motion_model(tmp_path_factory.mktemp("i2v"), "animatelcm_i2v")


def latents(images=1, seed=8):
    """What a VAE gives for pictures: about five times as large as the UNet's latents."""
    return torch.randn(images, 4, toy.SIZE, toy.SIZE, generator=torch.Generator().manual_seed(seed)) / 0.18215


def with_image(model, motion, seed=8, **options):
    """A clone that animates an image with PIA."""
    guide = PiaConditioner(latents(seed=seed), **{"preset": "motion_medium"} | options)
    return animate(model, motion, conditioners=(guide,))


def with_reference(model, motion, images=1, seed=8, drift=0.8):
    """A clone that animates an image with AnimateLCM-I2V."""
    return animate(model, motion, conditioners=(ImageReferenceConditioner(latents(images, seed), drift),))


def clip_of(model, frames=4, steps=1, **options):
    """A short clip of one step."""
    return toy.sample(model, frames=frames, steps=steps, **options)


def chunk_for(model, frames, total, chunks=2, cache=None):
    """A UNet call of a window."""
    x = toy.noise_for(chunks * len(frames))
    return CallInputs(CallFrames(tuple(frames), total, chunks), x, model.model, {} if cache is None else cache)


@pytest.mark.parametrize("apply", [with_image, with_reference])
def test_another_image_is_another_clip(model, pia, i2v, apply):
    motion = pia if apply is with_image else i2v
    plain, one, other = (
        clip_of(made) for made in (animate(model, motion), apply(model, motion), apply(model, motion, seed=9))
    )
    assert relative_error(one, plain) > 1e-3 and relative_error(one, other) > 1e-3


@pytest.mark.parametrize("apply", [with_image, with_reference])
def test_conditionings_together_or_apart_give_the_same_clip(pia, i2v, apply):
    motion = pia if apply is with_image else i2v
    together, apart = (clip_of(apply(toy.toy_model_patcher(split_conds=split), motion)) for split in (False, True))
    assert relative_error(together, apart) < 5e-5


def test_pia_adds_a_convolution_of_affinity_and_scaled_image(model, pia):
    """Window of frames 4 to 7 of 8: the preset's values at their distances, the latent times SD1.5's 0.18215."""
    network = pia.patcher.model
    guidance = PiaConditioner(latents(), "motion_medium").prepare(network, None, chunk_for(model, range(4, 8), 8))
    values = torch.tensor([0.79, 0.78, 0.75, 0.75]).view(4, 1, 1, 1).expand(4, 1, toy.SIZE, toy.SIZE)
    condition = torch.cat((values, (latents() * 0.18215).expand(4, -1, -1, -1)), dim=1)
    expected = conv2d(condition, network.image_input.weight, padding=1)
    torch.testing.assert_close(guidance.first_block, expected, rtol=0, atol=1e-5)
    assert not guidance.before and not guidance.poses


@pytest.mark.newest_host
def test_pia_presets_and_image_frames_matter(model, pia):
    clips = [
        clip_of(with_image(model, pia, **options))
        for options in ({}, {"preset": "style_large"}, {"image_frame": 2}, {"image_frame": -2})
    ]
    assert relative_error(clips[1], clips[0]) > 1e-4 and relative_error(clips[2], clips[0]) > 1e-4
    assert torch.equal(clips[2], clips[3])  # of 4 frames


@pytest.mark.newest_host
def test_pia_affinity_as_number_values_and_mask(model, pia):
    """The preset's own values given as a list are the preset; a mask of one value is the number."""

    def clip(value):
        return clip_of(with_image(model, pia, values=strength_of(value, "affinity")))

    preset = clip_of(with_image(model, pia))
    assert torch.equal(clip(listed_values(affinity("motion_medium", range(4), 4))), preset)
    assert torch.equal(clip(torch.full((1, 32, 32), 0.5)), clip(0.5))
    left = torch.zeros(1, 32, 32)
    left[..., :16] = 1.0
    assert relative_error(clip(left), clip(0.5)) > 1e-4 and relative_error(clip(0.5), preset) > 1e-4


def test_pia_windows_keep_the_affinity_of_their_frames(model, pia):
    """Two windows without overlap: the second one is not a clip that starts at the image."""
    windowed = clip_of(apply_windows(with_image(model, pia), HALVES))
    values = strength_of(listed_values(affinity("motion_medium", range(4), 4)), "affinity")
    assert torch.equal(clip_of(apply_windows(with_image(model, pia, values=values), HALVES)), windowed)
    again = strength_of(listed_values(affinity("motion_medium", [0, 1] * 2, 4)), "affinity")
    other = clip_of(apply_windows(with_image(model, pia, values=again), HALVES))
    assert relative_error(other[:2], windowed[:2]) < 5e-5 and relative_error(other[2:], windowed[2:]) > 1e-4


def test_pia_refuses_a_frame_the_clip_does_not_have(model, pia):
    with pytest.raises(ValueError, match="image_frame 4 is not a frame of this clip; it has 4 frames, 0 to 3"):
        clip_of(with_image(model, pia, image_frame=4))


def test_reference_features_enter_before_the_second_motion_module_of_each_level(model, i2v):
    """Sizes of the toy UNet's blocks 2, 5, 8 and 11 at 16 x 16; the image is scaled by SD1.5's 0.18215."""
    network = i2v.patcher.model
    before = ImageReferenceConditioner(latents(), 0.8).prepare(network, None, chunk_for(model, range(4), 8)).before
    assert {place: tuple(rows.shape) for place, rows in before.items()} == {
        ("input", 2): (4, 32, 16, 16),
        ("input", 5): (4, 32, 8, 8),
        ("input", 8): (4, 32, 4, 4),
        ("input", 11): (4, 32, 2, 2),
    }
    expected = network.image_encoder(latents() * 0.18215, 4, 0.8)
    for rows, level in zip(before.values(), expected, strict=True):
        torch.testing.assert_close(rows, level, rtol=0, atol=1e-5)


@pytest.mark.newest_host
def test_reference_drift_moves_frames(model, i2v):
    still, drifting = (clip_of(with_reference(model, i2v, drift=drift)) for drift in (0.0, 0.8))
    assert relative_error(drifting, still) > 1e-3


def test_reference_is_encoded_once_per_window_length_and_run(model, i2v, monkeypatch):
    encoded = []
    for_unet = image_reference.for_unet
    monkeypatch.setattr(image_reference, "for_unet", lambda *args: encoded.append(1) or for_unet(*args))
    made = apply_windows(with_reference(model, i2v), HALVES)
    first = clip_of(made, steps=2)
    assert len(encoded) == 1
    assert torch.equal(clip_of(made, steps=2), first) and len(encoded) == 2


def test_reference_images_of_their_own_frames(model, i2v, monkeypatch):
    """An image per frame: windows get theirs, the last one is held, and a full cache changes nothing."""
    made = apply_windows(with_reference(model, i2v, images=4), HALVES)
    each = clip_of(made)
    first_only = clip_of(apply_windows(with_reference(model, i2v), HALVES))
    assert relative_error(each[2:], first_only[2:]) > 1e-3
    monkeypatch.setattr(conditioners, "CACHED_BYTES", 0)
    assert torch.equal(clip_of(made), each)
    network, cache = i2v.patcher.model, {}
    chunk = chunk_for(model, range(4, 8), 8, cache=cache)
    ImageReferenceConditioner(latents(6), 0.8).prepare(network, None, chunk)
    assert [rows for rows, _ in cache] == [(4, 5, 5, 5)]


@pytest.mark.parametrize("apply", [with_image, with_reference])
def test_odd_and_other_sizes_and_half_precision(pia, i2v, apply):
    """A second pass at another size resizes the image's latent."""
    motion = pia if apply is with_image else i2v
    model = apply(toy.toy_model_patcher(dtype=torch.bfloat16), motion)
    noise = torch.randn(4, 4, 15, 9, generator=torch.Generator().manual_seed(1))
    out = clip_of(model, noise=noise)
    assert out.shape == noise.shape and out.isfinite().all()


def test_pictures_are_cut_around_the_centre_and_resized():
    """200 x 100 pixels, left and right quarter black: only the white middle is left at 128 x 128."""
    image = torch.zeros(2, 100, 200, 4)
    image[:, :, 50:150] = 1.0
    vae = ToyVAE()
    encoded = encode_image(image, vae, LATENT)
    assert encoded.shape == (2, 4, toy.SIZE, toy.SIZE)
    assert vae.got.shape == (2, 128, 128, 3) and vae.got.min() > 0.99


def test_latents_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"latent has the shape \(1, 16, 2, 8, 8\); connect an image latent"):
        encode_image(toy.hints(1), ToyVAE(), {"samples": torch.zeros(1, 16, 2, 8, 8)})
    vae = ToyVAE()
    vae.channels = 3
    with pytest.raises(ValueError, match="connect the VAE of an SD1.5 checkpoint"):
        encode_image(toy.hints(1), vae, LATENT)


def pia_node(model, motion, **inputs):
    defaults = {"image": toy.hints(2), "vae": ToyVAE(), "latent": LATENT, "preset": "motion_small", "image_frame": 0}
    defaults["beta_schedule"] = "auto"
    return ApplyPIA.execute(model, motion, **defaults | inputs).result[0]


def i2v_node(model, motion, **inputs):
    defaults = {"image": toy.hints(1), "vae": ToyVAE(), "latent": LATENT, "ref_drift": 0.8, "beta_schedule": "auto"}
    return ApplyAnimateLCMI2V.execute(model, motion, **defaults | inputs).result[0]


def test_nodes_take_what_apply_motion_model_takes(model, pia, i2v):
    made = pia_node(model, pia, affinity=0.5, effect=0.5)
    settings = settings_of(made)[0]
    assert settings.effect.number == 0.5 and settings.conditioners[0].values.number == 0.5
    assert torch.equal(settings.conditioners[0].latent, encode_image(toy.hints(2)[:1], ToyVAE(), LATENT))
    assert settings_of(pia_node(model, pia))[0].conditioners[0].values is None
    settings = settings_of(i2v_node(model, i2v, ref_drift=0.3, effect=0.5))[0]
    assert settings.effect.number == 0.5 and settings.conditioners[0].drift == 0.3
    assert clip_of(made).isfinite().all()


def test_nodes_and_motion_models_that_do_not_belong_together(model, pia, i2v, tmp_path):
    plain = motion_model(tmp_path, "v2")
    for node, motion, right in [
        (pia_node, plain, "'v2.safetensors' is AnimateDiff v2, .* use the node Apply Motion Model"),
        (pia_node, i2v, "is AnimateLCM-I2V, .* use the node Apply AnimateLCM-I2V"),
        (i2v_node, pia, "is PIA, .* use the node Apply PIA"),
        (i2v_node, plain, "use the node Apply Motion Model"),
    ]:
        with pytest.raises(ValueError, match=right):
            node(model, motion)
    with pytest.raises(MotionFileError, match="use the node Apply PIA"):
        ApplyMotionModel.execute(model, pia)


def test_pia_refuses_models_with_more_input_channels(model, pia):
    inpainting = model.clone()
    inpainting.add_object_patch("diffusion_model", SimpleNamespace(in_channels=9))
    with pytest.raises(ValueError, match="takes 9 input channels, but PIA adds its condition to those of 4"):
        pia_node(inpainting, pia)
