"""The video formats of this machine: our table, the user's own, and what the ffmpeg program here really opens."""

import logging
import os
from functools import lru_cache
from pathlib import Path

import folder_paths

from ...video.ffmpeg import VideoError, find_ffmpeg
from ...video.formats.available import AvailableFormats, keep_writable
from ...video.formats.encoder_probe import probe_encoders
from ...video.formats.table import FORMATS
from ...video.formats.user_formats import read_formats
from ...video.formats.video_format import VideoFormat

log = logging.getLogger("zoetrope")

FORMATS_FOLDER = "video_formats"


def register_folder() -> None:
    """Tell ComfyUI about the folder of the user's formats; paths from extra_model_paths.yaml are kept.

    What is wrong with a file in it is said in the log, once.
    """
    folder_paths.add_model_folder_path(FORMATS_FOLDER, os.path.join(folder_paths.models_dir, FORMATS_FOLDER))
    for sentence in _user_formats()[1]:
        log.warning(sentence)


def available_formats() -> AvailableFormats:
    """The formats that can be written here, and why others cannot.

    Without any ffmpeg all formats that need no GPU are offered, and writing says how to get one.
    """
    rows = [*FORMATS.values(), *_user_formats()[0]]
    names = [encoder.name for row in rows for encoder in row.encoders]
    try:
        program = find_ffmpeg()
        opened = _opened(program, os.stat(program).st_mtime_ns, tuple(dict.fromkeys(names)))
    except VideoError:
        opened = {name: "there is no ffmpeg" if "_nvenc" in name else "" for name in names}
    return keep_writable(rows, opened)


def format_names() -> list[str]:
    """Names for a format widget."""
    return list(available_formats().rows)


@lru_cache(maxsize=4)
def _opened(program: str, _changed: int, names: tuple[str, ...]) -> dict[str, str]:
    """What a program opens, asked once for each version of the program: the frontend asks for the formats often.

    This is a fact of the machine, not of a run, so it may be kept. A GPU encoder that is taken at the first question stays
    missing until ComfyUI is started again.
    """
    return probe_encoders(names, program)


def _user_formats() -> tuple[list[VideoFormat], list[str]]:
    """The user's rows, and a sentence for each file that is none."""
    if FORMATS_FOLDER not in folder_paths.folder_names_and_paths:
        return [], []
    return read_formats([Path(path) for path in folder_paths.get_folder_paths(FORMATS_FOLDER)], set(FORMATS))
