"""One ffmpeg process: found, started without a shell, drained, and never left behind."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread

from ..inputs.quoting import plain, quoted, reason_of

try:
    import imageio_ffmpeg  # pyright: ignore[reportMissingTypeStubs]  # it has none
except ImportError:
    imageio_ffmpeg = None

COMMON = ("-hide_banner", "-loglevel", "error", "-nostdin", "-y")
EXIT_POLL_SECONDS = 0.1
LAST_WORDS_SECONDS = 1.0
FIRST_LINES = 2
ORIGIN = re.compile(r"^(?:\[[^\]]*\] *)+")  # "[libx264 @ 0x55d0] ", an address that helps nobody
CHATTER = "Svt["  # SVT-AV1 introduces itself on stderr whatever the log level
DISK_FULL = "No space left on device"
KILLED = -9
CURE = "run 'pip install imageio-ffmpeg' with ComfyUI's Python, or set IMAGEIO_FFMPEG_EXE to an ffmpeg program"


class VideoError(ValueError):
    """A clip could not be written; the message is one sentence for the user."""


def find_ffmpeg() -> str:
    """Return the ffmpeg program: the one IMAGEIO_FFMPEG_EXE names, else imageio-ffmpeg's.

    Raises:
        VideoError: there is none; the sentence says how to get one.
    """
    named = os.environ.get("IMAGEIO_FFMPEG_EXE")
    if named:
        found = shutil.which(named)
        if found is None:
            raise VideoError(f"IMAGEIO_FFMPEG_EXE names {quoted(named)}, which is not a program: correct or unset it.")
        return found
    if imageio_ffmpeg is None:
        raise VideoError(f"ffmpeg is needed to write videos and imageio-ffmpeg is not installed: {CURE}.")
    try:
        found = shutil.which(imageio_ffmpeg.get_ffmpeg_exe())  # where its package has no program it says just "ffmpeg"
    except RuntimeError:
        found = None
    if found is None:
        raise VideoError(f"ffmpeg is needed to write videos and none was found: {CURE}.")
    return found


def said(line: bytes) -> str:
    """What a line of ffmpeg's stderr says, "" for nothing."""
    text = ORIGIN.sub("", line.decode("utf-8", "replace").strip()).strip(" .")
    return "" if not text or text.startswith(CHATTER) else reason_of(VideoError(text))


class FfmpegProcess:
    """A running ffmpeg. Its stderr is drained by a thread, so that neither side can block the other for ever."""

    def __init__(self, arguments: Sequence[str], name: str, piped: bool):
        """Start ffmpeg.

        Args:
            arguments: everything after the common options; no shell sees them.
            name: what is being written, for the error sentence.
            piped: whether ``write`` will feed its standard input.
        """
        self._name = name
        try:
            self._process = subprocess.Popen(
                [find_ffmpeg(), *COMMON, *arguments],
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise VideoError(f"ffmpeg could not be started ({reason_of(error)}): {CURE}.") from error
        self._first_lines: list[str] = []  # the first lines have the cause, the last what came of it
        self._last_line = ""
        self._drain = Thread(target=self._read_stderr, name="zoetrope-ffmpeg-stderr", daemon=True)
        self._drain.start()

    def write(self, data: memoryview) -> None:
        """Feed bytes; blocks while the pipe is full, which is what bounds the memory.

        Raises:
            VideoError: ffmpeg has stopped; the sentence holds its last lines.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()  # so that closing has nothing left to wait for
        except OSError as error:
            raise self._failure() from error

    def finish(self, check: Callable[[], None]) -> None:
        """End the input and wait.

        Args:
            check: called while waiting; what it raises ends the wait, and the caller then kills.

        Raises:
            VideoError: ffmpeg ended with an error.
        """
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
        except OSError as error:
            raise self._failure() from error
        check()
        while self._is_running():
            check()
        if self._process.returncode != 0:
            raise self._failure()
        self._drain.join()

    def kill(self) -> None:
        """End the process if it still runs, and reap it."""
        self._process.kill()
        self._process.wait()
        # Closed first: where the program was a script, ffmpeg is its child, reads on and keeps stderr open.
        if self._process.stdin is not None:
            with suppress(OSError):  # bytes that the dead process never read
                self._process.stdin.close()
        self._drain.join()

    def _is_running(self) -> bool:
        try:
            self._process.wait(EXIT_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                text = said(line)
                if text and len(self._first_lines) < FIRST_LINES:
                    self._first_lines.append(text)
                elif text:
                    self._last_line = text

    def _failure(self) -> VideoError:
        with suppress(subprocess.TimeoutExpired):  # it may close its input before it says why
            self._process.wait(LAST_WORDS_SECONDS)
        self.kill()
        lines = [*self._first_lines, self._last_line]
        reason = "; ".join(line for line in lines if line) or "it gave no reason"
        code = self._process.returncode
        cure = _cure(code, reason)
        return VideoError(f"ffmpeg stopped with code {code} while writing {plain(self._name)}: {reason}{cure}.")


def _cure(code: int, reason: str) -> str:
    """What helps, "" where ffmpeg's own words must do. A code below 0 is the signal that ended a process (POSIX)."""
    if DISK_FULL in reason:
        return "; free some space on the disks of the output and the temporary folder"
    if code == KILLED:
        return (
            "; the system ended it, as it does when memory runs out: close other programs, or write smaller frames or "
            "another format"
        )
    return "; something ended it: run the clip again, or choose another format" if code < 0 else ""
