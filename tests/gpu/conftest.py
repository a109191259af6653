"""Tests here need a ComfyUI (COMFYUI_DIR) and a CUDA device; without either they are not collected."""

import os
import sys

COMFYUI_DIR = os.environ.get("COMFYUI_DIR")

if COMFYUI_DIR is not None:
    sys.path.insert(0, COMFYUI_DIR)

import torch  # noqa: E402


def pytest_ignore_collect(collection_path, config):
    unable = COMFYUI_DIR is None or not torch.cuda.is_available()
    return True if unable and collection_path.name.startswith("test_") else None
