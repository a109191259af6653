import pytest

from support.toy_models.motion import SHAPES, diffusers_layout, motion_state_dict
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.families import FAMILIES, find_family
from zoetrope.motion_models.networks.motion_module import MotionNetwork
from zoetrope.motion_models.spec import describe

# frames, pixels, sampler, scheduler, steps, cfg, scale. Sources: guoyww/AnimateDiff configs/inference and configs/prompts
# (DDIM, 25 steps, cfg 7.5, 16 frames at 512) and its sdxl branch (Euler, 50 steps, 8.5, 1024); hotshotco/Hotshot-XL
# inference.py (EulerA, 30) and pipeline (5.0, 8 frames at 512); the model cards of wangfuyun/AnimateLCM (4 to 8 steps, cfg
# 1 to 2) and AnimateLCM-I2V (2 to 4, 1), ByteDance/AnimateDiff-Lightning (trailing Euler, cfg 1) and
# Lightricks/LongAnimateDiff (32 frames, 16 to 64, scale 1.15); open-mmlab/PIA (as v2). `sgm_uniform` is ComfyUI's
# trailing spacing, `ddim_uniform` its leading one.
DDIM = ("ddim", "ddim_uniform", 25, 7.5)
ADVISED = {
    "v1": ("16", 512, *DDIM, 1.0),
    "v2": ("16", 512, *DDIM, 1.0),
    "v3": ("16", 512, *DDIM, 1.0),
    "long": ("32", 512, *DDIM, 1.15),
    "long_64": ("16 to 64", 512, *DDIM, 1.15),
    "sdxl_beta": ("16", 1024, "euler", "ddim_uniform", 50, 8.5, 1.0),
    "hotshot_xl": ("8", 512, "euler_ancestral", "ddim_uniform", 30, 5.0, 1.0),
    "animatelcm": ("16", 512, "lcm", "sgm_uniform", 6, 1.5, 1.0),
    "animatelcm_i2v": ("16", 512, "lcm", "sgm_uniform", 4, 1.0, 1.0),
    "lightning": ("16", 512, "euler", "sgm_uniform", 4, 1.0, 1.0),
    "pia": ("16", 512, *DDIM, 1.0),
}
FILE_NAMES = {"lightning": "animatediff_lightning_8step_comfyui.safetensors"}


@pytest.mark.parametrize(
    ("middle", "positions", "name"),
    [
        (False, 24, "v1"),
        (False, 32, "v3"),
        (False, 28, "v1"),  # a v1 table somebody stretched
        (True, 32, "v2"),
        (True, 36, "v2"),
        (True, 64, "long"),  # LongAnimateDiff, 32 frames
        (True, 128, "long_64"),  # LongAnimateDiff, 16 to 64 frames
        (True, 24, "v2"),
        (False, 64, "v3"),
        (False, None, "v1"),  # training checkpoint of the published v1 recipe
        (True, None, "v2"),
    ],
)
def test_family_by_shape(middle, positions, name):
    assert find_family("sd15", middle, positions).name == name


@pytest.mark.parametrize(
    ("file_name", "middle", "name", "steps"),
    [
        ("animatediff_lightning_8step_comfyui.safetensors", True, "lightning", 8),
        ("AnimateDiff_Lightning_2step_diffusers.safetensors", True, "lightning", 2),
        ("lightning.safetensors", True, "lightning", 4),
        ("lightning_v3.safetensors", False, "v3", 25),  # Lightning has a middle block
        ("AnimateLCM_sd15_t2v.safetensors", True, "animatelcm", 6),
        ("mm_sd_v15_v2.ckpt", True, "v2", 25),
    ],
)
def test_family_by_file_name(file_name, middle, name, steps):
    family = find_family("sd15", middle, 32, file_name=file_name)
    assert (family.name, family.advised_steps) == (name, steps)


def test_no_family_for_another_base():
    assert find_family("sdxl", True, 32) is None


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_of_each_family(name):
    file = motion_state_dict(name)
    spec, weights = read_motion_checkpoint(file, FILE_NAMES.get(name, ""))
    middle, positions, levels = SHAPES[name]
    assert spec.family.name == name
    assert len(spec.sites) == 5 * levels + middle
    assert spec.max_frames == (positions or 64)
    assert (spec.image_input, spec.image_encoder) == (name == "pia", name == "animatelcm_i2v")
    MotionNetwork(spec).load_state_dict(weights, strict=True)
    assert spec.family.title in describe(spec)[0]


@pytest.mark.parametrize(
    ("name", "stored_positions"),
    # A v3 adapter without its table looks like a v1 adapter, so it is not here.
    [(name, True) for name in ("v1", "v2", "v3", "sdxl_beta", "pia")]
    + [("v1", False), ("v2", False), ("sdxl_beta", False)],
)
def test_diffusers_layout_is_the_original(name, stored_positions):
    file = motion_state_dict(name)
    spec, weights = read_motion_checkpoint(file)
    other_spec, other = read_motion_checkpoint(diffusers_layout(file, stored_positions))
    assert other_spec == spec
    assert weights.keys() == other.keys()
    # Without a stored table the same sinusoids are computed.
    assert all(abs(weights[key] - other[key]).max() < 1e-6 for key in weights)


def test_pia_takes_the_inputs_of_the_image():
    """Channels: 4 of the noisy latent, 1 of the mask, 4 of the condition latent."""
    file = motion_state_dict("pia")
    _, weights = read_motion_checkpoint(file)
    assert weights["image_input.weight"].equal(file["conv_in.weight"][:, 4:9])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_is_advised(family):
    advised = (
        family.trained_frames,
        family.advised_size,
        family.advised_sampler,
        family.advised_scheduler,
        family.advised_steps,
        family.advised_cfg,
        family.advised_scale,
    )
    assert advised == ADVISED[family.name]
    assert family.lcm == (family.advised_sampler == "lcm")


def test_names_are_unique():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_norms_across_frames():
    # use_inflated_groupnorm in configs/inference of guoyww/AnimateDiff: false for v1, true for v2 and v3. HotshotXL's
    # resnet.py and PIA's norm the 5-D tensor; the sdxl branch norms the motion modules' input across frames.
    assert {family.name for family in FAMILIES if family.norms_across_frames} == {"v1", "pia", "hotshot_xl"}
    assert {family.name for family in FAMILIES if family.motion_norm_across_frames} == {"sdxl_beta"}
