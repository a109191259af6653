"""What training needs of ComfyUI, on the CPU: run these scripts with ``python scripts/in_host.py``."""

from __future__ import annotations

from support.comfyui import use_comfyui

if not use_comfyui(use_pytorch_cross_attention=True):
    raise SystemExit("Training needs ComfyUI: python scripts/in_host.py scripts/train_demo_models.py ...")

import comfy.cldm.cldm as cldm  # noqa: E402
import comfy.ldm.modules.diffusionmodules.openaimodel as openaimodel  # noqa: E402
import comfy.model_base as model_base  # noqa: E402
import comfy.model_patcher as model_patcher  # noqa: E402
import comfy.ops as ops  # noqa: E402
import comfy.sample as sample  # noqa: E402
import comfy.sd as sd  # noqa: E402
import comfy.supported_models as supported_models  # noqa: E402

__all__ = ["cldm", "model_base", "model_patcher", "openaimodel", "ops", "sample", "sd", "supported_models"]
