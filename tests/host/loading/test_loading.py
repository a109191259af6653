"""Loading model files: what fits, in which precision, and a sentence for everything else."""

import comfy.model_base
import comfy.supported_models
import pytest
import safetensors.torch
import torch

from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_lora, motion_model, put, relative_error
from support.toy_models.motion import lora_state_dict, motion_state_dict
from zoetrope.host.call.strength import Strength
from zoetrope.host.loading import model_files as files
from zoetrope.host.lora.motion_lora import load_motion_lora
from zoetrope.host.motion.load import load_motion_model, load_motion_patcher


@pytest.mark.parametrize(("version", "modules", "frames"), [("v1", 20, 24), ("v2", 21, 32), ("v3", 20, 32)])
def test_family_is_read_from_the_weights(tmp_path, version, modules, frames):
    motion = motion_model(tmp_path, version, name="misleading_name.safetensors")
    assert motion.spec.family.name == version
    assert len(motion.spec.sites) == modules
    assert motion.spec.max_frames == frames


def test_ckpt_with_nested_state_dict_is_read_without_running_code(tmp_path):
    put(files.MOTION_MODELS, tmp_path / "any.safetensors", motion_state_dict("v2"))
    nested = {
        "epoch": 1,
        "global_step": 2,
        "state_dict": {f"module.{k}": v for k, v in motion_state_dict("v2").items()},
    }
    torch.save(nested, tmp_path / "mm.ckpt")
    motion = load_motion_model("mm.ckpt")
    plain = motion_model(tmp_path, "v2")
    for key, weight in plain.patcher.model.state_dict().items():
        assert torch.equal(motion.patcher.model.state_dict()[key], weight)


class Malice:
    def __reduce__(self):
        return (print, ("pickled code ran",))


def test_pickled_code_is_refused_and_not_run(tmp_path, capsys):
    put(files.MOTION_MODELS, tmp_path / "any.safetensors", motion_state_dict("v3"))
    torch.save({"state_dict": Malice()}, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match=r"'bad.ckpt' holds pickled code and was not opened; get a .safetensors"):
        load_motion_model("bad.ckpt")
    assert "pickled code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"nonsense" * 50])
@pytest.mark.parametrize("name", ["broken.safetensors", "broken.ckpt"])
def test_broken_files_give_one_sentence(tmp_path, name, content):
    put(files.MOTION_MODELS, tmp_path / "any.safetensors", motion_state_dict("v3"))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"'{name}' ") as caught:
        load_motion_model(name)
    assert "\n" not in str(caught.value)


def test_missing_file_names_the_folder_and_what_is_there(tmp_path):
    motion_model(tmp_path, "v3", name="here.safetensors")
    with pytest.raises(
        ValueError, match=r"'her.safetensors' is not in models/animatediff_models \(there is: .*here.safetensors"
    ):
        load_motion_model("her.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_low_precision_files_animate_exactly_as_stored(tmp_path, dtype):
    """Weights are widened where they are used, so the clip is that of a file with the same numbers in fp32."""
    weights = motion_state_dict("v3")
    vectors = dtype if dtype.itemsize == 2 else torch.float16  # fp8 files keep biases and norms in fp16
    low = {key: value.to(dtype if value.ndim == 2 else vectors) for key, value in weights.items()}
    wide = {key: value.float() for key, value in low.items()}
    model = toy.toy_model_patcher()
    clips = []
    for name, state_dict in (("low", low), ("wide", wide)):
        motion = load_motion_model(put(files.MOTION_MODELS, tmp_path / f"{name}.safetensors", state_dict))
        clips.append(toy.sample(animate(model, motion), frames=4, steps=1))
    assert relative_error(*clips) < 5e-5


def test_fp16_unet_animates(tmp_path):
    """A checkpoint kept in half precision: motion runs in the UNet's own type."""
    model = animate(toy.toy_model_patcher(dtype=torch.float16), motion_model(tmp_path, "v3"))
    out = toy.sample(model, noise=toy.noise_for(4, 8), steps=1)
    assert out.isfinite().all()


def test_cached_patcher_init_builds_the_same_network(tmp_path):
    motion = motion_model(tmp_path, "v2")
    load, arguments = motion.patcher.cached_patcher_init
    again = load(*arguments, disable_dynamic=True)
    assert load is load_motion_patcher
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.model.state_dict().values(), motion.patcher.model.state_dict().values(), strict=True)
    )


def checkpoint_like():
    return {
        "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8, 4, 3, 3),
        "cond_stage_model.x": torch.zeros(1),
    }


def adapter_like():
    base = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora."
    return {base + "down.weight": torch.zeros(4, 32), base + "up.weight": torch.zeros(32, 4)}


def sparse_ctrl_like():
    return {"controlnet_cond_embedding.weight": torch.zeros(32, 5, 3, 3), **motion_state_dict("v3")}


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (checkpoint_like, "checkpoint"),
        (lora_state_dict, "MotionLoRA"),
        (adapter_like, "domain adapter|Load LoRA"),
        (sparse_ctrl_like, "SparseCtrl"),
    ],
)
def test_wrong_file_in_load_motion_model(tmp_path, build, says):
    name = put(files.MOTION_MODELS, tmp_path / "wrong.safetensors", build())
    with pytest.raises(ValueError, match=f"'wrong.safetensors'.*({says})"):
        load_motion_model(name)


@pytest.mark.parametrize(
    ("build", "says"),
    [(motion_state_dict, "[Mm]otion mod"), (adapter_like, "domain adapter|Load LoRA"), (checkpoint_like, "checkpoint")],
)
def test_wrong_file_in_motion_lora(tmp_path, build, says):
    put(files.MOTION_LORAS, tmp_path / "wrong.safetensors", build())
    with pytest.raises(ValueError, match=f"'wrong.safetensors'.*({says})"):
        load_motion_lora("wrong.safetensors", Strength())


def test_sdxl_motion_model_on_sd15_and_the_reverse(tmp_path):
    """The widths and the context size tell the base; both ways are one sentence."""
    motion = motion_model(tmp_path, "v3")
    wide = {**toy.toy_sd15_unet_config(), "model_channels": 64}
    model = comfy.model_base.BaseModel(comfy.supported_models.SD15(wide), device=toy.CPU)
    other = type(toy.toy_model_patcher())(model, toy.CPU, toy.CPU)
    with pytest.raises(ValueError, match="made for SD1.5, but this checkpoint is of another kind"):
        animate(other, motion)

    sdxl = toy.toy_model_patcher()
    sdxl.model.model_config.unet_config["context_dim"] = 2048
    with pytest.raises(ValueError, match="made for SD1.5, but this checkpoint is SDXL"):
        animate(sdxl, motion)


def test_a_model_that_is_no_sd_unet_is_refused(tmp_path):
    model = toy.toy_model_patcher()
    model.model.diffusion_model = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="connect an SD1.5 checkpoint"):
        animate(model, motion_model(tmp_path, "v3"))


def test_motion_lora_of_other_widths_is_refused(tmp_path):
    motion = motion_model(tmp_path, "v3")
    with pytest.raises(ValueError, match="trained for the same base"):
        animate(toy.toy_model_patcher(), motion, loras=(motion_lora(tmp_path, channels=64, mid=False),))


def test_motion_lora_file_is_safetensors_or_nested_ckpt(tmp_path):
    motion_lora(tmp_path)
    torch.save({"state_dict": lora_state_dict()}, tmp_path / "nested.ckpt")
    for name in ("nested.ckpt", "lora.safetensors"):
        assert len(load_motion_lora(name, Strength()).file.pairs) == 168
    assert safetensors.torch.load_file(tmp_path / "lora.safetensors").keys() == lora_state_dict().keys()
