"""What tests inside a ComfyUI share: where it is (COMFYUI_DIR), and that nothing is collected without it."""

import os
import sys

COMFYUI_DIR = os.environ.get("COMFYUI_DIR")


def pytest_ignore_collect(collection_path, config):
    """A hook for a conftest: test files are left out without a ComfyUI."""
    return True if COMFYUI_DIR is None and collection_path.name.startswith("test_") else None


def use_comfyui(**settings) -> bool:
    """Make ComfyUI importable, on the CPU.

    Args:
        settings: more of ComfyUI's command line options.

    Returns:
        Whether there is one.
    """
    if COMFYUI_DIR is None:
        return False
    sys.path.insert(0, COMFYUI_DIR)
    from comfy.cli_args import args

    for name, value in {"cpu": True, **settings}.items():
        setattr(args, name, value)
    return True
