"""Zoetrope: AnimateDiff for ComfyUI. Registration only."""

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override

from .host.loading import model_files
from .host.video import formats
from .nodes import NODES

WEB_DIRECTORY = "./web"


class ZoetropeExtension(ComfyExtension):
    @override
    async def on_load(self) -> None:
        model_files.register_model_folders()
        formats.register_folder()

    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> ComfyExtension:
    return ZoetropeExtension()
