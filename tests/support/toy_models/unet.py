"""Real ComfyUI classes at toy size: an SD1.5-shaped UNet, ControlNet and T2I-Adapter that sample in milliseconds.

Weights are seeded, so two calls with the same seed give equal networks. Width is 32 channels instead of 320 and
one channel multiplier, but blocks, attention places and key names are those of SD1.5 (12 input blocks, 12 output
blocks, no transformers in the last level). Latents of 16x16 leave 2x2 pixels in the deepest level.

Shapes: F = frames (batch axis), C = 4 latent channels, T = prompt tokens, D = context width.
"""

import inspect

import comfy.cldm.cldm
import comfy.context_windows as core
import comfy.controlnet
import comfy.model_base
import comfy.model_patcher
import comfy.ops
import comfy.sample
import comfy.samplers
import comfy.supported_models
import comfy.t2i_adapter.adapter
import torch
from comfy.patcher_extension import WrappersMP

CPU = torch.device("cpu")
WIDTH = 32
CONTEXT = 16
SIZE = 16
ALL_BLOCKS = {
    "image_size": 32,
    "use_spatial_transformer": True,
    "legacy": False,
    "adm_in_channels": None,
    "dtype": torch.float32,
    "in_channels": 4,
    "model_channels": WIDTH,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 1, 1, 1],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "use_linear_in_transformer": False,
    "context_dim": CONTEXT,
    "num_heads": 2,
}


def toy_sd15_unet_config(dtype=torch.float32) -> dict:
    """UNet configuration with every site of SD1.5 at 32 channels."""
    return {
        **ALL_BLOCKS,
        "dtype": dtype,
        "out_channels": 4,
        "use_checkpoint": False,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
    }


def fill(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Give every parameter a seeded value that keeps activations near 1 (ComfyUI leaves them uninitialised)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            value = torch.randn(weight.shape, generator=generator)
            if weight.ndim > 1:
                value /= weight[0].numel() ** 0.5
            else:
                value = value * 0.1 + (1.0 if name.endswith("weight") else 0.0)
            weight.copy_(value.to(weight.dtype))
    return module.eval().requires_grad_(False)


def toy_model_patcher(
    seed: int = 0, split_conds: bool = False, dtype=torch.float32, compute=None
) -> comfy.model_patcher.ModelPatcher:
    """A MODEL on the CPU: real BaseModel, real UNetModel, real model_sampling.

    Args:
        seed: seed of the weights.
        split_conds: claim to need endless memory, so that ComfyUI runs cond and uncond in separate UNet calls.
        dtype: storage type of the weights.
        compute: type that weights are cast to for each call, None for the storage type.
    """
    config = comfy.supported_models.SD15(toy_sd15_unet_config(dtype))
    if compute is not None:
        config.set_inference_dtype(dtype, compute)
    model = comfy.model_base.BaseModel(config, device=CPU)
    fill(model, seed)
    if split_conds:
        model.memory_required = lambda *args, **kwargs: 2.0**80
    return comfy.model_patcher.CoreModelPatcher(model, load_device=CPU, offload_device=CPU)


def answer_with(model, function):
    """A clone whose UNet is ``function(x, control, transformer_options) -> x``: for tests of what reaches it."""

    def wrapper(executor, x, t, c_concat, c_crossattn, control, transformer_options, **kwargs):
        return function(x, control, transformer_options)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "toy_answer", wrapper)
    return model


def watch(model, function):
    """A clone that calls ``function(x, control, transformer_options)`` before every UNet call."""

    def wrapper(executor, x, t, c_concat, c_crossattn, control, transformer_options, **kwargs):
        function(x, control, transformer_options)
        return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "toy_watch", wrapper)
    return model


def toy_controlnet(seed: int = 1, **options) -> comfy.controlnet.ControlNet:
    """A CONTROL_NET with the encoder of the toy UNet and zero-convs that are not zero; options of the network."""
    network = comfy.cldm.cldm.ControlNet(
        **{**{key: value for key, value in ALL_BLOCKS.items() if key != "transformer_depth_output"}, **options},
        hint_channels=3,
        device=CPU,
        operations=comfy.ops.disable_weight_init,
    )
    return comfy.controlnet.ControlNet(fill(network, seed), load_device=CPU)


def toy_t2i_adapter(seed: int = 2) -> comfy.controlnet.T2IAdapter:
    """A T2I-Adapter as CONTROL_NET for the toy UNet."""
    network = comfy.t2i_adapter.adapter.Adapter(
        channels=[WIDTH] * 4, nums_rb=2, cin=3 * 64, ksize=1, sk=True, use_conv=False, xl=False
    )
    return comfy.controlnet.T2IAdapter(fill(network, seed), 3, 8, "nearest-exact", device=CPU)


def toy_control_lora(seed: int = 7) -> comfy.controlnet.ControlLora:
    """A Control-LoRA for the toy UNet: it takes its encoder from the UNet when a run starts."""
    network = toy_controlnet(seed).control_model.state_dict()
    return comfy.controlnet.ControlLora(
        {k: v for k, v in network.items() if k.startswith(("input_hint", "zero", "middle_block_out"))}
    )


def conditioning(seed: int = 3, tokens: int = 4, frames: int = 1, **options) -> list:
    """CONDITIONING of one entry: (frames, tokens, D) random prompt tokens and the options of the entry."""
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn((frames, tokens, CONTEXT), generator=generator), dict(options)]]


def hints(frames: int, size: int = SIZE * 8, seed: int = 4) -> torch.Tensor:
    """IMAGE batch (frames, size, size, 3) in which every frame is different."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((frames, size, size, 3), generator=generator)


def noise_for(frames: int, size: int = SIZE, seed: int = 5) -> torch.Tensor:
    """Latent noise (frames, 4, size, size)."""
    return torch.randn((frames, 4, size, size), generator=torch.Generator().manual_seed(seed))


def sample(model, positive=None, negative=None, *, frames=8, steps=2, cfg=2.0, sampler="euler", **options):
    """Run core's KSampler path on an empty latent and return (frames, 4, SIZE, SIZE)."""
    noise = options.pop("noise", None)
    noise = noise_for(frames) if noise is None else noise
    return comfy.sample.sample(
        model,
        noise,
        steps,
        cfg,
        sampler,
        options.pop("scheduler", "normal"),
        conditioning() if positive is None else positive,
        conditioning(seed=6) if negative is None else negative,
        options.pop("latent", torch.zeros_like(noise)),
        disable_pbar=True,
        seed=1,
        **options,
    )


def predictions(model, **options) -> list[torch.Tensor]:
    """What `sample` predicts the clip to be (x0) after each of four steps."""
    seen: list[torch.Tensor] = []
    sample(model, steps=4, callback=lambda step, x0, x, total: seen.append(x0.clone()), **options)
    return seen


def guided_sample(guider, *, frames=8, steps=2, scheduler="normal", sampler="euler", **options):
    """Run any core guider (CFGGuider, DualCFGGuider, BasicGuider) on an empty latent."""
    noise = noise_for(frames)
    model = guider.model_patcher
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)
    return guider.sample(
        noise,
        torch.zeros_like(noise),
        comfy.samplers.sampler_object(sampler),
        sigmas,
        disable_pbar=True,
        seed=1,
        **options,
    )


def same(a, b):
    """Equal but for the rounding of float32 in batches of other sizes, which leaves 2e-5 after a few steps."""
    return torch.allclose(a, b, rtol=0, atol=1e-4 * b.abs().max().item())


def with_core_handler(model, schedule, fuse, length=3, overlap=1, stride=1, closed_loop=False, **options):
    """A clone with core's own Context Windows; options that this ComfyUI lacks are left out."""
    known = inspect.signature(core.IndexListContextHandler.__init__).parameters
    model = model.clone()
    model.model_options["context_handler"] = core.IndexListContextHandler(
        core.get_matching_context_schedule(schedule),
        core.get_matching_fuse_method(fuse),
        length,
        overlap,
        stride,
        closed_loop,
        **{name: value for name, value in options.items() if name in known},
    )
    return model
