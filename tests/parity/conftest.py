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


ERRORS = pytest.StashKey[dict]()


@pytest.fixture
def relative_error(request):
    """``relative_error(family, reference, ours, theirs)``: measured, and kept for the table at the end of the run."""

    def measure(family, reference, ours, theirs) -> float:
        error = ((ours - theirs).norm() / theirs.norm()).item()
        errors = request.config.stash.setdefault(ERRORS, {})
        errors[family, reference] = max(error, errors.get((family, reference), 0.0))
        return error

    return measure


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(ERRORS, {})
    if rows:
        terminalreporter.section("parity: largest relative error")
        for (family, reference), error in sorted(rows.items()):
            terminalreporter.write_line(f"{family:<16} {reference:<56} {error:.1e}")
