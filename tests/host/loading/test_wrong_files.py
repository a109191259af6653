"""Wrong and damaged model files of every kind: one sentence with the file's name, never an error of a library."""

import io
import random
import re
from functools import cache
from pathlib import Path

import folder_paths
import pytest
import safetensors.torch
import torch

from support.files.camera import camera_file
from support.files.sparse import sparse_file
from support.toy_models import unet as toy
from support.toy_models.motion import lora_state_dict, motion_state_dict
from zoetrope.host.call.sampling_range import SamplingRange
from zoetrope.host.call.strength import Strength
from zoetrope.host.conditioners.camera_ctrl import camera_conditioner
from zoetrope.host.control.sparse_ctrl.load import load_sparse_control
from zoetrope.host.loading import model_files, patchers
from zoetrope.host.lora.domain_adapter import apply_domain_adapter
from zoetrope.host.lora.motion_lora import load_motion_lora
from zoetrope.host.lora.unet_lora import apply_lora
from zoetrope.host.motion.load import load_motion_model
from zoetrope.motion_models.camera_poses import motion_poses
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint

ALWAYS = SamplingRange()
PLACE = "down_blocks.0.attentions.0.transformer_blocks.0.attn1."
V3 = read_motion_checkpoint(motion_state_dict("v3"))[0]
BLOCK = "down_blocks.0.motion_modules.0.temporal_transformer."
ENCODER = "encoder_down_attention_blocks.0.0.attention_blocks.0."


@cache
def model():
    """A MODEL that nothing here changes."""
    return toy.toy_model_patcher()


def pairs(up, down):
    """A LoRA of two layers of the toy UNet."""
    return {up.format("to_q"): torch.ones(32, 4), down.format("to_q"): torch.ones(4, 32)} | {
        up.format("to_v"): torch.ones(32, 4),
        down.format("to_v"): torch.ones(4, 32),
    }


def adapter():
    return pairs(PLACE + "processor.{}_lora.up.weight", PLACE + "processor.{}_lora.down.weight")


def unet_lora():
    flat = "lora_unet_" + PLACE.replace(".", "_")
    return pairs(flat + "{}.lora_up.weight", flat + "{}.lora_down.weight")


def load_camera(name):
    return camera_conditioner(name, V3, motion_poses([("static", 1.0)], 2), Strength())


# kind -> folder, weights, loader, a matrix that is used, and weights whose shapes are read
KINDS = {
    "motion": (
        *("animatediff_models", lambda: motion_state_dict("v2"), load_motion_model),
        BLOCK + "proj_in.weight",
        [BLOCK + "norm.weight", BLOCK + "transformer_blocks.0.attention_blocks.0.pos_encoder.pe"],
    ),
    "pia": (
        *("animatediff_models", lambda: motion_state_dict("pia"), load_motion_model, "conv_in.weight"),
        [BLOCK + "norm.weight"],
    ),
    "i2v": (
        *("animatediff_models", lambda: motion_state_dict("animatelcm_i2v"), load_motion_model),
        BLOCK + "proj_in.weight",
        [BLOCK + "norm.weight", "img_encoder.conv_in.weight"],
    ),
    "lora": (
        *("animatediff_motion_lora", lora_state_dict, lambda name: load_motion_lora(name, Strength())),
        BLOCK + "transformer_blocks.0.attention_blocks.0.processor.to_q_lora.up.weight",
        [BLOCK + "transformer_blocks.0.attention_blocks.0.processor.to_q_lora.down.weight"],
    ),
    "camera": (
        *("animatediff_models", camera_file, load_camera, ENCODER + "to_q.weight"),
        [ENCODER + "pos_encoder.pe", "encoder_down_conv_blocks.0.1.block2.weight"],
    ),
    "adapter": (
        *("loras", adapter, lambda name: apply_domain_adapter(model(), name, 1.0, ALWAYS)),
        PLACE + "processor.to_q_lora.up.weight",
        [PLACE + "processor.to_q_lora.down.weight"],
    ),
    "unet_lora": (
        *("loras", unet_lora, lambda name: apply_lora(model(), name, Strength(), ALWAYS)),
        next(iter(unet_lora())),
        list(unet_lora())[1:2],
    ),
    "sparse": (
        *("controlnet", lambda: sparse_file("rgb"), load_sparse_control, "conv_in.weight"),
        [
            "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight",
            "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
            "controlnet_cond_embedding.weight",
        ],
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def refused(tmp_path):
    """Load a file of a kind; returns the sentence that it is refused with."""

    def load(kind, content, name="wrong.ckpt"):
        folder, _, loader, *_ = KINDS[kind]
        place(folder, tmp_path / name, content)
        with pytest.raises(ValueError) as raised:
            loader(name)
        told = str(raised.value)
        assert f"'{name}'" in told and told.endswith(".") and told.count("\n") == 0, told
        assert str(tmp_path.parent) not in told and len(told) < 500 and told.isascii(), told
        return told

    return load


def place(folder, path: Path, content):
    model_files.register_model_folders()
    folder_paths.add_model_folder_path(folder, str(path.parent), is_default=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    folder_paths.filename_list_cache.pop(folder, None)


def saved(content, **options):
    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


CONTENTS = {
    "empty": (b"", "is empty; download it again"),
    "text": (b"just some words\n" * 9, "is a text, and holds no weights"),
    "page": (b"\n<!DOCTYPE html><html>log in</html>", "is a web page.*download the file itself"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*run git lfs pull"),
    "png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "is a PNG picture"),
    "gzip": (b"\x1f\x8b\x08" + b"\0" * 99, "packed with gzip.*unpack it"),
    "zeros": (b"\0" * 999, "holds zeros.*never finished"),
    "noise": (bytes(range(255, 100, -1)), "neither a .safetensors file nor one of torch"),
    "list": ([torch.ones(2)], "holds a list and no named weights"),
    "number": (5, "holds a int and no named weights"),
    "numbers": ({"a": 1, "b": 2.0}, "'wrong.ckpt'"),
    "nothing": ({}, "no weights at all"),
    "nested": ({"state_dict": {"state_dict": {"state_dict": {}}}}, "holds no weights"),
    "long name": ({"a" * 100_000: torch.ones(1)}, "name is 100,000 characters long"),
    "many": ({str(n): 1 for n in range(20_001)}, "20,001 entries"),
    "pickle": (b"\x80\x02}q\0.", "damaged or was cut off"),
    "other weights": ({"first_stage_model.x": torch.ones(1)}, "'wrong.ckpt'"),
}


@every_kind
@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_no_model_file(refused, kind, content):
    given, says = CONTENTS[content]
    assert re.search(says, refused(kind, given))


def weights_of(kind):
    return dict(KINDS[kind][1]())


FAULTS = {
    "NaN": (lambda w: torch.full_like(w, torch.nan), "numbers that are none .NaN or infinite"),
    "one inf": (lambda w: w.clone().index_fill_(0, torch.tensor(0), torch.inf), "numbers that are none"),
    "int8": (lambda w: w.to(torch.int8), "holds int8 where a network has floating-point numbers"),
    "bool": (lambda w: w.bool(), "holds bool where"),
    "complex": (lambda w: w.to(torch.complex64), "holds complex64 where"),
    "sparse": (lambda w: w.to_sparse(), "is stored as sparse_coo"),
    "quantised": (lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8), "is quantised"),
    "placeholder": (lambda w: w.to("meta"), "is a placeholder without numbers"),
    "expanded": (lambda w: torch.ones(1).expand(6400, 6400), "said to be 6400 x 6400, and the file has only a part"),
    "scalar": (lambda w: torch.tensor(1.0), "incomplete or damaged|is damaged"),
    "empty": (lambda w: w[:0], "incomplete or damaged|is damaged|no layer in common"),
    "flat": (lambda w: w.flatten()[:7], "incomplete or damaged|is damaged"),
    "none": (lambda w: None, "incomplete or damaged"),
    "a number": (lambda w: 5, "incomplete or damaged"),
}


@every_kind
@pytest.mark.parametrize("fault", FAULTS)
def test_a_weight_that_is_none(refused, kind, fault):
    weights, name = weights_of(kind), KINDS[kind][3]
    change, says = FAULTS[fault]
    if kind == "unet_lora" and fault in ("int8", "bool", "complex", "none", "a number"):
        pytest.skip("core's own reader decides about ordinary LoRAs")
    if kind == "pia" and fault in ("scalar", "empty", "flat", "none", "a number"):
        pytest.skip("without its first convolution it is a v2 file")
    weights[name] = change(weights[name])
    assert re.search(says, refused(kind, weights))


@every_kind
@pytest.mark.parametrize("fault", ["scalar", "empty", "flat"])
def test_a_shape_that_a_network_is_built_from(refused, kind, fault):
    for name in KINDS[kind][4]:
        weights = weights_of(kind)
        weights[name] = FAULTS[fault][0](weights[name])
        refused(kind, weights)


@pytest.mark.parametrize("kind", ["lora", "adapter"])
@pytest.mark.parametrize("half", ["up", "down"])
def test_half_a_pair(refused, kind, half):
    weights = weights_of(kind)
    gone = next(name for name in weights if f"{half}.weight" in name)
    del weights[gone]
    assert "incomplete or damaged" in refused(kind, weights) and "is missing" in refused(kind, weights)


def test_alpha_that_is_no_number(refused):
    for value in (torch.tensor(torch.nan), torch.ones(3), torch.ones(0)):
        weights = lora_state_dict(layout="kohya")
        weights[next(name for name in weights if name.endswith("alpha"))] = value
        assert "alpha is no finite number" in refused("lora", weights)


@every_kind
def test_files_that_were_cut_off_or_changed(refused, kind):
    """At every twelfth of the file, in both of torch's formats and in safetensors'."""
    weights = {name: weights_of(kind)[name] for name in list(weights_of(kind))[:3]}
    numbers = random.Random(4)
    formats = {
        "zip.ckpt": saved(weights),
        "legacy.pt": saved(weights, _use_new_zipfile_serialization=False),
        "cut.safetensors": safetensors.torch.save(weights),
    }
    for name, data in formats.items():
        for part in range(1, 12):
            refused(kind, data[: len(data) * part // 12], name)
        for _ in range(12 * ("lora" not in kind and kind != "adapter")):  # of pairs what is left is whole
            changed = bytearray(data[:3000])
            changed[numbers.randrange(len(changed))] ^= 1 << numbers.randrange(8)
            refused(kind, bytes(changed), name)


def test_a_file_is_read_as_what_it_is_whatever_its_name(tmp_path):
    weights = motion_state_dict("v3")
    contents = {
        "safe.ckpt": safetensors.torch.save(weights),
        "torch.safetensors": saved(weights),
        "legacy.bin": saved(weights, _use_new_zipfile_serialization=False),
        "plain.safetensors": safetensors.torch.save(weights),
    }
    read = []
    for name, data in contents.items():
        place("animatediff_models", tmp_path / name, data)
        read.append(load_motion_model(name).patcher.model.state_dict())
    for other in read[1:]:
        assert all(torch.equal(other[name], weight) for name, weight in read[0].items())


def test_a_file_that_the_system_does_not_give(refused, tmp_path):
    (tmp_path / "folder.ckpt").mkdir()
    with pytest.raises(ValueError, match=r"^'folder.ckpt' cannot be read \(Is a directory\); check the file") as told:
        model_files.read_path(str(tmp_path / "folder.ckpt"))
    assert str(tmp_path) not in str(told.value)
    with pytest.raises(ValueError, match=r"^'gone.ckpt' cannot be read \(No such file or directory\)"):
        model_files.read_path(str(tmp_path / "gone.ckpt"))


def test_weights_that_do_not_fit_a_network_are_named():
    network = torch.nn.Linear(3, 2)
    right = {name: torch.zeros_like(weight) for name, weight in network.state_dict().items()}
    for change, says in (
        (
            {"weight": torch.tensor(0.0)},
            "this toy is incomplete or damaged: weight is a single number and should be 2 x 3",
        ),
        ({"bias": torch.zeros(3)}, "bias is 3 and should be 2"),
        ({"more": torch.zeros(1)}, "has a weight that the published ones do not have, more; choose one of those"),
    ):
        with pytest.raises(ValueError, match=says):
            patchers.load_weights(network, right | change, "toy")
    with pytest.raises(ValueError, match="weight is missing"):
        patchers.load_weights(network, {"bias": torch.zeros(2)}, "toy")
    patchers.load_weights(network, right)
    assert not network.weight.any()
