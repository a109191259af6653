"""MotionLoRA: the published formula, whether it is part of the weights or beside them, and changing over the clip."""

import pytest
import torch
from comfy.weight_adapter.base import WeightAdapterBase

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_lora, motion_model, put, relative_error
from support.toy_models.motion import lora_state_dict, motion_state_dict
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import strength_of
from zoetrope.host.loading import model_files as files
from zoetrope.host.lora import motion_lora as lora
from zoetrope.host.motion.load import load_motion_model
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.values.schedule import parse_value_schedule
from zoetrope.temporal.windows.settings import WindowSettings

STRENGTH = -0.5
# The last module before the output: behind its attentions no layer lets frames meet.
LAST = "up_blocks.3.motion_modules.2"


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture
def motion(tmp_path):
    return motion_model(tmp_path, "v2")


def sample(animated, frames=4, **options):
    """A short clip, (frames, 4, 16, 16)."""
    return toy.sample(animated, frames=frames, **options)


def predictions(animated):
    """What the short clip is predicted to be after each of four steps."""
    return toy.predictions(animated, frames=4)


def with_delta(directory, strength, version="v2"):
    """A motion model whose file has strength * up @ down added to its weights, as the official script does.

    Source: guoyww/AnimateDiff ``convert_lora_safetensor_to_diffusers.py``, ``load_diffusers_lora``.
    """
    weights = motion_state_dict(version)
    pairs = lora_state_dict()
    for name in pairs:
        if name.endswith("down.weight"):
            up = pairs[name.replace("down.", "up.")]
            target = name.replace("processor.", "").replace("_lora.down", "").replace("to_out.", "to_out.0.")
            weights[target] += strength * up @ pairs[name]
    path = directory / f"delta{strength}.safetensors"
    return load_motion_model(put(files.MOTION_MODELS, path, weights))


def on_two_devices(motion):
    """As on a GPU: weights rest on another device than they are used on, so constant LoRAs become part of them."""
    motion.patcher.offload_device = torch.device("cpu", 0)
    return motion


@pytest.mark.parametrize("place", [lambda motion: motion, on_two_devices], ids=["beside the weights", "in the weights"])
def test_constant_strength_is_the_dense_delta(model, motion, tmp_path, place):
    expected = sample(animate(model, with_delta(tmp_path, STRENGTH)))
    animated = animate(model, place(motion), loras=(motion_lora(tmp_path, STRENGTH),))
    baked = bool(animated.get_additional_models()[0].patches)
    assert baked == (place is on_two_devices)
    assert relative_error(sample(animated), expected) < 1e-4
    assert relative_error(expected, sample(animate(model, motion))) > 1e-2


@pytest.mark.parametrize("place", [lambda motion: motion, on_two_devices], ids=["beside the weights", "in the weights"])
def test_alpha_over_rank_is_a_factor(model, motion, tmp_path, place):
    """kohya-ss/sd-scripts ``networks/lora.py``: the delta is multiplier * alpha / rank * up @ down."""
    weights = lora_state_dict(layout="kohya", rank=4)
    weights |= {name: torch.tensor(1.5) for name in weights if name.endswith(".alpha")}
    put(files.MOTION_LORAS, tmp_path / "alpha.safetensors", weights)
    stack = (lora.load_motion_lora("alpha.safetensors", lora.Strength(-1.0)),)
    expected = sample(animate(model, with_delta(tmp_path, -1.0 * 1.5 / 4)))
    assert relative_error(sample(animate(model, place(motion), loras=stack)), expected) < 1e-4
    assert relative_error(expected, sample(animate(model, with_delta(tmp_path, -1.0)))) > 1e-2


def test_it_leaves_no_trace(model, motion, tmp_path):
    plain = sample(animate(model, motion))
    sample(animate(model, on_two_devices(motion), loras=(motion_lora(tmp_path),)))
    assert torch.equal(sample(animate(model, motion)), plain)


@pytest.mark.newest_host
def test_constant_values_per_frame_and_masks_are_the_constant(model, motion, tmp_path):
    expected = sample(animate(model, motion, loras=(motion_lora(tmp_path, STRENGTH),)))
    for value in (parse_value_schedule(f"0: {STRENGTH}"), [STRENGTH], torch.full((1, 64, 64), STRENGTH)):
        got = sample(animate(model, motion, loras=(motion_lora(tmp_path, value),)))
        assert relative_error(got, expected) < 1e-4


@pytest.mark.newest_host
def test_a_mask_of_zeros_is_no_lora(model, motion, tmp_path):
    nothing = animate(model, motion, loras=(motion_lora(tmp_path, torch.zeros(1, 64, 64)),))
    assert relative_error(sample(nothing), sample(animate(model, motion))) < 1e-5


def last_layer_lora(directory, strength):
    """A MotionLoRA of the last attention's output only: what it does to a frame is that frame's own."""
    weights = {k: w for k, w in lora_state_dict().items() if k.startswith(LAST) and "attention_blocks.1" in k}
    put(files.MOTION_LORAS, directory / "last.safetensors", {k: w for k, w in weights.items() if "to_out" in k})
    return lora.load_motion_lora("last.safetensors", strength_of(strength, "strength"))


@pytest.mark.newest_host
def test_a_ramp_over_64_frames_acts_on_each_frame_as_asked(model, motion, tmp_path):
    """Every frame of the ramp from -1 to 1 must be that frame with its own strength all over the clip."""
    windows = WindowSettings(length=16, overlap=4, schedule="standard_static", fuse="pyramid")
    ramp = parse_value_schedule("0: -1, -1: 1")

    def one_step(value):
        stack = (last_layer_lora(tmp_path, value),)
        animated = apply_windows(animate(model, motion, loras=stack), windows)
        return sample(animated, noise=toy.noise_for(64, 8), steps=1)

    ramped, plain = one_step(ramp), one_step(0.0)
    distance = (ramped - plain).flatten(1).norm(dim=1)
    for frame in (0, 21, 42, 63):  # 21 lies in one window, 42 in two
        alone = one_step(ramp.at(64)[frame])
        assert relative_error(ramped[frame] - plain[frame], alone[frame] - plain[frame]) < 1e-3
    # Nearly proportional to the strength's size: least in the middle, most at the ends.
    assert min(distance[0], distance[63]) > 5 * distance[31:33].max()


def test_percent_range_switches_it_on_late(model, motion, tmp_path):
    late = (motion_lora(tmp_path, 1.0, when=SamplingRange(0.5, 1.0)),)
    plain, ours = predictions(animate(model, motion)), predictions(animate(model, motion, loras=late))
    assert relative_error(ours[0], plain[0]) < 1e-6
    assert relative_error(ours[-1], plain[-1]) > 1e-3


@pytest.mark.newest_host
def test_keyframes_change_it_over_the_steps(model, motion, tmp_path):
    keyed = (motion_lora(tmp_path, 1.0, when=SamplingRange(keyframes=((0.0, 0.0), (0.5, 1.0)))),)
    plain, ours = predictions(animate(model, motion)), predictions(animate(model, motion, loras=keyed))
    assert relative_error(ours[0], plain[0]) < 1e-6
    assert relative_error(ours[-1], plain[-1]) > 1e-3


@pytest.mark.newest_host
def test_a_stack_of_any_length_adds_up(model, motion, tmp_path):
    stack = tuple(motion_lora(tmp_path, strength) for strength in (0.9, -0.2, 0.3, -1.5))
    expected = sample(animate(model, motion, loras=(motion_lora(tmp_path, -0.5),)))
    assert relative_error(sample(animate(model, motion, loras=stack)), expected) < 1e-4


def test_fp8_weights_stay_fp8_and_feel_the_lora(model, tmp_path):
    weights = {k: w.to(torch.float8_e4m3fn) if w.ndim == 2 else w for k, w in motion_state_dict("v2").items()}
    name = put(files.MOTION_MODELS, tmp_path / "fp8.safetensors", weights)
    motion = on_two_devices(load_motion_model(name))
    animated = animate(model, motion, loras=(motion_lora(tmp_path, 1.0),))
    assert not animated.get_additional_models()[0].patches
    assert motion.patcher.model.module_at("input", 1).proj_in.weight.dtype == torch.float8_e4m3fn
    assert relative_error(sample(animated), sample(animate(model, motion))) > 1e-2


def bytes_in(value):
    """Bytes of all tensors in what a patcher holds."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, WeightAdapterBase):
        return bytes_in(value.weights)
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return sum(map(bytes_in, values))


@pytest.mark.parametrize("place", [lambda motion: motion, on_two_devices], ids=["beside the weights", "in the weights"])
def test_memory_of_a_stack_is_that_of_its_files(model, motion, tmp_path, place):
    """Three files of a low rank cost their own size, and not that of the dense deltas, before and after a run."""
    stack = tuple(motion_lora(tmp_path, s, f"{s}.safetensors", rank=4) for s in (0.3, 0.6, -1.0))
    on_disk = sum((tmp_path / one.name).stat().st_size for one in stack)
    own = 3 * bytes_in(lora_state_dict(rank=4))
    dense = 3 * bytes_in([torch.empty(32, 32)]) * 21 * 2 * 4  # modules, attentions, layers
    assert own < 1.2 * on_disk < dense
    animated = animate(model, place(motion), loras=stack)
    for _ in range(2):
        patched, *low_rank = animated.get_additional_models()
        held = bytes_in(patched.patches) + sum(patcher.model_size() for patcher in low_rank)
        assert held == own
        assert bool(low_rank) == (not patched.patches)
        sample(animated, frames=2, steps=1)


def test_clones_and_later_nodes_keep_it(model, motion, tmp_path):
    animated = animate(model, motion, loras=(motion_lora(tmp_path, [1.0, -1.0]),))
    assert torch.equal(sample(animated.clone().clone()), sample(animated))


def test_weights_of_another_version_are_named(model, tmp_path, caplog):
    with caplog.at_level("WARNING", "zoetrope"):
        animate(model, motion_model(tmp_path, "v2"), loras=(motion_lora(tmp_path, mid=False),))
    assert "without a middle block" in caplog.text


def test_a_lora_of_no_common_layer_is_refused(model, motion, tmp_path):
    weights = {k.replace("up_blocks.3.", "up_blocks.7."): w for k, w in lora_state_dict().items() if "up_blocks.3" in k}
    put(files.MOTION_LORAS, tmp_path / "alien.safetensors", weights)
    with pytest.raises(ValueError, match=r"alien.safetensors' has no layer in common"):
        animate(model, motion, loras=(lora.load_motion_lora("alien.safetensors", lora.Strength()),))
