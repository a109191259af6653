"""A real ComfyUI server with toy models under the workflows' file names. Needs COMFYUI_DIR; without it nothing is collected."""

from pathlib import Path

import pytest
from comfy_host import server
from comfy_host.client import Client

from support.comfyui import COMFYUI_DIR, pytest_ignore_collect  # noqa: F401
from support.e2e.server import toy_host, write_base


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A base directory of its own: nothing of the developer's ComfyUI is read or written."""
    return write_base(tmp_path_factory.mktemp("comfyui"))


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """Where toy models lie that are none of the demo's."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def running(base, models):
    """The server process."""
    host = toy_host(Path(str(COMFYUI_DIR)), base, models)
    with server.running(host, extra=["--cpu"]) as started:
        yield started


@pytest.fixture
def client(running) -> Client:
    """A client of its own for each test."""
    return Client(running.url)
