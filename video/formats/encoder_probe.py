"""Which encoders this ffmpeg and this machine really open: ffmpeg also lists those whose driver is missing."""

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ...inputs.quoting import reason_of
from ..ffmpeg import CURE, VideoError, said

TIME_LIMIT = 20.0  # seconds; a driver that hangs counts as one that does not open
AT_ONCE = 4
# Larger than the smallest picture of every GPU encoder we know, small enough to take no time.
ONE_FRAME = (
    "-hide_banner",
    "-loglevel",
    "error",
    "-nostdin",
    "-f",
    "lavfi",
    "-i",
    "color=size=256x256:rate=8:duration=1",
)
NEEDS_HARDWARE = ("_nvenc", "_qsv", "_amf", "_vaapi", "_videotoolbox", "_mf", "_vulkan")
LONGEST_REASON = 200


def probe_encoders(names: Sequence[str], program: str) -> dict[str, str]:
    """Try encoders with one frame each.

    All encoders that need no hardware go into one process, which is quick; only when that fails each gets its own,
    to see which one it was.

    Args:
        names: ffmpeg's names of video encoders.
        program: path of ffmpeg.

    Returns:
        For each name "" when it opens, else ffmpeg's reason in a few words.

    Raises:
        VideoError: ffmpeg itself cannot be started.
    """
    hardware = [name for name in dict.fromkeys(names) if name.endswith(NEEDS_HARDWARE)]
    software = [name for name in dict.fromkeys(names) if name not in hardware]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        alone = [(name, pool.submit(_reason, [name], program)) for name in hardware]
        if software and _reason(software, program):
            alone += [(name, pool.submit(_reason, [name], program)) for name in software]
        found = dict.fromkeys(software, "") | {name: future.result() for name, future in alone}
    return {name: found[name] for name in names}


def _reason(names: Sequence[str], program: str) -> str:
    """Encode one frame with each of the encoders in one process; return "" or why that failed."""
    outputs = [word for name in names for word in ("-map", "0:v", "-c:v", name, "-frames:v", "1", "-f", "null", "-")]
    try:
        done = subprocess.run(
            [program, *ONE_FRAME, *outputs],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIME_LIMIT,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {TIME_LIMIT:g} seconds"
    except OSError as error:
        raise VideoError(f"ffmpeg could not be started ({reason_of(error)}): {CURE}.") from error
    return "" if done.returncode == 0 else _first_words(done.stderr, done.returncode)


def _first_words(stderr: bytes, code: int) -> str:
    """The first line has the cause; the lines after it only tell what stopped because of it."""
    first = next((words for line in stderr.splitlines() if (words := said(line))), "")
    return first[:LONGEST_REASON] or f"ffmpeg ended with code {code} and gave no reason"
