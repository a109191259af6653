"""What of a clip is in memory while it is written: the same few pieces whatever its length.

``benchmarks/video.py`` measures bytes, with ffmpeg's. Here pieces are counted, which no allocator can blur.

Shapes: F = frames, H = height, W = width.
"""

import sys
import weakref

import pytest
import torch

from support.clips import left_behind
from support.combine import plan_for
from zoetrope.host.video import frame_source as sources
from zoetrope.host.video import save_video as video
from zoetrope.video.encode.writer_thread import WAITING

pytestmark = [pytest.mark.newest_host, pytest.mark.usefixtures("folders")]

SIZE = (48, 64)  # a piece of 8 frames is 74 kB, so a pipe of 64 KiB never hides one


class Census:
    """Counts the pieces that are alive."""

    def __init__(self):
        self.alive = self.most = self.born = 0

    def add(self, piece):
        self.born += 1
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(piece, self._died)
        return piece

    def _died(self):
        self.alive -= 1


@pytest.fixture
def late_ffmpeg(tmp_path_factory, monkeypatch):
    """Reads nothing in its first half second, in which whoever may run ahead does."""
    program = tmp_path_factory.mktemp("programs") / "late_ffmpeg"
    program.write_text(f"#!{sys.executable} -S\nimport os, time\ntime.sleep(0.5)\nwhile os.read(0, 65536):\n    pass\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))


def written(monkeypatch, frames, in_memory, **widgets):
    """Write a clip; the census of decoded pieces, and that of pieces as ffmpeg gets them."""
    decoded, whole = Census(), Census()

    def at(numbers):
        assert len(numbers) <= video.WRITTEN_AT_ONCE
        return decoded.add(torch.full((len(numbers), *SIZE, 3), 0.5))

    def counted(*given):
        return whole.add(to_pixels(*given))

    to_pixels = video.to_pixels
    with monkeypatch.context() as patch:
        patch.setattr(video, "to_pixels", counted)
        saved = video.save_video(sources.FrameSource(frames, at, in_memory=in_memory), plan_for("clip", **widgets))
    assert (decoded.alive, whole.alive) == (0, 0), "a finished clip keeps nothing of its frames"
    assert saved.file.path.is_file()
    return decoded, whole, saved.frames


@pytest.mark.parametrize("frames", [40, 400])
@pytest.mark.parametrize(
    ("widgets", "shown"),
    [({}, 1), ({"bit_depth": 10}, 1), ({"pingpong": True}, 2), ({"pingpong": True, "loop_count": 1}, 4)],
)
@pytest.mark.parametrize("in_memory", [False, True])
def test_the_same_few_pieces_are_alive_whatever_the_length(
    late_ffmpeg, folders, monkeypatch, frames, widgets, shown, in_memory
):
    """One is written, ``WAITING`` wait, one is being made. Decoded: the first, which is kept, and the next."""
    decoded, whole, written_frames = written(monkeypatch, frames, in_memory, **widgets)
    assert written_frames == frames * shown - 2 * (shown // 2)
    assert decoded.born >= frames / video.WRITTEN_AT_ONCE
    assert whole.most <= WAITING + 2
    assert decoded.most <= 2
    assert not [name for name in left_behind(folders) if "zoetrope-" in name]
