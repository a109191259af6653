"""Every wrong file gets one sentence that says what it is and where it belongs."""

import pytest
import torch

from support.files.motion import BLOCK, motion_file
from support.toy_models.motion import lora_state_dict, motion_state_dict
from zoetrope.motion_models.checkpoints.motion_lora import read_motion_lora
from zoetrope.motion_models.checkpoints.motion_model import read_motion_checkpoint
from zoetrope.motion_models.errors import MotionFileError

MODULE = "down_blocks.0.motion_modules.0."
SPATIAL = "down_blocks.0.attentions.0.transformer_blocks.0.attn1."


def names(*keys):
    return {key: torch.zeros(1) for key in keys}


ELSEWHERE = {
    "checkpoint": (
        names("model.diffusion_model.input_blocks.0.0.weight", "cond_stage_model.transformer.a", "first_stage_model.b"),
        "ordinary Stable Diffusion checkpoint; .*Load Checkpoint from models/checkpoints",
    ),
    "domain adapter": (
        {"state_dict": names(SPATIAL + "processor.to_q_lora.down.weight", SPATIAL + "processor.to_q_lora.up.weight")},
        "domain adapter.*ZoetropeDomainAdapter.*models/loras",
    ),
    "kohya lora": (
        names("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "lora_te_text_model.alpha"),
        "ordinary LoRA; .*LoraLoader.*models/loras",
    ),
    "peft lora": (names(f"unet.{SPATIAL}to_q.lora_A.weight"), "ordinary LoRA.*models/loras"),
    "controlnet": (
        names("control_model.input_hint_block.0.weight", "control_model.zero_convs.0.0.weight"),
        "a ControlNet; .*Load ControlNet Model from models/controlnet",
    ),
    "diffusers controlnet": (
        names(
            "controlnet_cond_embedding.conv_in.weight", "controlnet_down_blocks.0.weight", "time_embedding.linear_1.b"
        ),
        "a ControlNet; .*models/controlnet",
    ),
    "t2i adapter": (names("body.0.block1.weight", "conv_in.weight"), "T2I-Adapter; .*models/controlnet"),
    "vae": (names("encoder.down.0.block.0.conv1.weight", "decoder.up.0.x"), "a VAE; .*Load VAE from models/vae"),
    "diffusers vae": (names("decoder.up_blocks.0.resnets.0.norm1.bias"), "a VAE; .*Load VAE from models/vae"),
    "unet": (
        names("down_blocks.0.resnets.0.norm1.weight", "time_embedding.linear_1.weight", "conv_in.weight"),
        "diffusion model without motion modules; .*models/diffusion_models",
    ),
    "text encoder": (
        names("text_model.encoder.layers.0.mlp.fc1.weight"),
        "text encoder; .*Load CLIP from models/text_encoders",
    ),
    "sparsectrl rgb": (
        {"controlnet": motion_file() | names("controlnet_cond_embedding.weight", "controlnet_down_blocks.0.bias")},
        "SparseCtrl encoder; load it with ZoetropeLoadSparseCtrl from models/controlnet",
    ),
    "sparsectrl scribble": (
        names("module.controlnet_cond_embedding.conv_in.weight", f"module.{MODULE}temporal_transformer.norm.bias"),
        "SparseCtrl encoder; load it with ZoetropeLoadSparseCtrl from models/controlnet",
    ),
    "cameractrl training": (
        {"epoch": 1, "pose_encoder_state_dict": {}, "attention_processor_state_dict": {}},
        "CameraCtrl encoder; .*ZoetropeApplyCameraCtrl",
    ),
    "cameractrl pruned": (
        names(
            f"{MODULE}{BLOCK}attention_blocks.0.processor.qkv_merge.weight", "encoder_down_conv_blocks.0.0.in_conv.b"
        ),
        "CameraCtrl encoder; .*ZoetropeApplyCameraCtrl",
    ),
    "fancyvideo": (
        motion_file(middle=True, positions=32) | names("FancyVideo"),
        "FancyVideo motion module; no node of this release loads it",
    ),
    "unknown": (names("some.weight"), "no known kind.*'some.weight'"),
    "empty": ({}, "no weights at all"),
    "empty state dict": ({"state_dict": {}}, "no weights at all"),
    "list": ([torch.zeros(1)], "holds a list and no named weights"),
    "tensor": (torch.zeros(1), "holds a Tensor and no named weights"),
}


@pytest.mark.parametrize("read", [read_motion_checkpoint, read_motion_lora], ids=["model", "lora"])
@pytest.mark.parametrize("kind", ELSEWHERE)
def test_file_of_another_kind(read, kind):
    content, sentence = ELSEWHERE[kind]
    with pytest.raises(MotionFileError, match=sentence) as raised:
        read(content)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("wrapped", [False, True])
def test_motion_lora_as_motion_model(wrapped):
    file = lora_state_dict()
    with pytest.raises(MotionFileError, match="a MotionLoRA; load it with ZoetropeMotionLora.*animatediff_motion_lora"):
        read_motion_checkpoint({"state_dict": file} if wrapped else file)


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_motion_model_as_motion_lora(version):
    with pytest.raises(MotionFileError, match="a motion module; load it with ZoetropeLoadMotionModel.*animatediff_mod"):
        read_motion_lora(motion_state_dict(version))
