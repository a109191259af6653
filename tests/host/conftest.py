"""Tests here need a ComfyUI checkout: COMFYUI_DIR=... pytest. Without it they are not collected."""

import os
import sys

import pytest

COMFYUI_DIR = os.environ.get("COMFYUI_DIR")


def pytest_ignore_collect(collection_path, config):
    return True if COMFYUI_DIR is None and collection_path.name.startswith("test_") else None


if COMFYUI_DIR is not None:
    sys.path.insert(0, COMFYUI_DIR)
    from comfy.cli_args import args

    args.cpu = True
    args.use_pytorch_cross_attention = True  # as on most GPUs; half of core's time on a CPU is its own attention

    import folder_paths
    from comfy import model_management

    @pytest.fixture
    def folders(tmp_path, monkeypatch):
        """Output and temporary folders of this test only, and no interrupt left before or behind it."""
        for kind in ("output", "temp"):
            (tmp_path / kind).mkdir()
            monkeypatch.setattr(folder_paths, f"{kind}_directory", str(tmp_path / kind))
        model_management.interrupt_current_processing(False)
        yield tmp_path
        model_management.interrupt_current_processing(False)
