"""Tests here need a ComfyUI checkout: COMFYUI_DIR=... pytest. Without it they are not collected."""

import pytest

from support.comfyui import pytest_ignore_collect, use_comfyui  # noqa: F401

# As on most GPUs; half of core's time on a CPU is its own attention.
if use_comfyui(use_pytorch_cross_attention=True):
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
