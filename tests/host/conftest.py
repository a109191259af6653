"""Tests here need a ComfyUI checkout: COMFYUI_DIR=... pytest. Without it they are not collected."""

import os
import sys

COMFYUI_DIR = os.environ.get("COMFYUI_DIR")


def pytest_ignore_collect(collection_path, config):
    return True if COMFYUI_DIR is None and collection_path.name.startswith("test_") else None


if COMFYUI_DIR is not None:
    sys.path.insert(0, COMFYUI_DIR)
    from comfy.cli_args import args

    args.cpu = True
