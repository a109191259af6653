"""Tests here need a ComfyUI checkout: COMFYUI_DIR=... pytest. Without it they are not collected."""

import pytest

from support.comfyui import pytest_ignore_collect, use_comfyui  # noqa: F401

use_comfyui()

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
