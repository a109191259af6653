"""The workflow as text that containers hold."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from ...inputs.quoting import reason_of

SPECIAL = re.compile(r"([=;#\\\n\r])")


def workflow_metadata(prompt: object, extra: object) -> dict[str, str]:
    """Return the key and JSON text pairs that ComfyUI's canvas reads back from a dropped file.

    Args:
        prompt: the API prompt, or None.
        extra: ComfyUI's extra_pnginfo, whose "workflow" is the graph; anything but a mapping has nothing to embed.

    Raises:
        ValueError: it is nothing that JSON can hold.
    """
    pairs: dict[str, object] = {} if prompt is None else {"prompt": prompt}
    if isinstance(extra, Mapping):
        pairs |= cast("Mapping[str, object]", extra)
    try:
        return {str(key): json.dumps(value) for key, value in pairs.items()}
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"The workflow cannot be written as JSON ({reason_of(error)}), so it cannot be embedded: turn save_workflow off."
        ) from error


def escape(text: str) -> str:
    r"""Escape text for an FFMETADATA file.

    Source: ffmpeg's documentation, "Metadata": '=', ';', '#', '\' and newline are escaped with a backslash.
    A carriage return would end the line too, and a NUL the string, so one is escaped and the other removed.
    """
    return SPECIAL.sub(r"\\\1", text.replace("\0", ""))


def write_ffmetadata(path: Path, pairs: Mapping[str, str]) -> None:
    """Write pairs as an FFMETADATA file, which unlike a command line has no length limit and shows in no process list.

    A value that ends in a backslash (no JSON text does) gets a space after it: ffmpeg's reader takes a newline after
    any backslash, escaped or not, for a part of the value, and would swallow the next pair.

    Args:
        path: file to create.
        pairs: keys and values of any length.
    """
    lines = [";FFMETADATA1"]
    for key, value in pairs.items():
        lines.append(f"{escape(key)}={escape(value)}" + (" " if value.endswith("\\") else ""))
    path.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "replace"))
