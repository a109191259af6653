"""Frames that wait on disk: the same ones come back, and a full disk is one sentence."""

import signal
import tracemalloc

import numpy as np
import pytest

from zoetrope.video.encode.frame_spool import FrameSpool
from zoetrope.video.ffmpeg import VideoError


def noise(frames, kind=np.uint8, size=16):
    return np.random.default_rng(frames).integers(0, np.iinfo(kind).max, (frames, size, size, 3), dtype=kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_frames_come_back_in_any_order_between_writes(tmp_path, kind):
    frames = noise(20, kind)
    with FrameSpool(tmp_path / "spool") as spool:
        spool.append(frames[:8])
        assert np.array_equal(spool.read([7, 0, 0]), frames[[7, 0, 0]])
        spool.append(frames[8:])
        assert np.array_equal(spool.read([*range(19, -1, -1)]), frames[::-1])
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_was_not_added_is_an_error(tmp_path):
    with FrameSpool(tmp_path / "spool") as spool:
        with pytest.raises(ValueError, match=r"Frames \[0\] are not among the 0 "):
            spool.read([0])
        spool.append(noise(3))
        for wrong in (3, -1):
            with pytest.raises(ValueError, match="are not among the 3 that were kept"):
                spool.read([0, wrong])


def test_memory_does_not_grow_with_what_is_kept(tmp_path):
    """10 MB go through; what is in memory at once is one piece of 8 frames, 98 kB, and what Python buffers."""
    frames = noise(8, size=64)
    tracemalloc.start()
    try:
        with FrameSpool(tmp_path / "spool") as spool:
            for _ in range(100):
                spool.append(frames)
            for start in range(0, 800, 8):
                spool.read([*range(start, start + 8)])
            peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * frames.nbytes


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    """Files of this process may have 20 kB at most; a refused write is what a full disk is."""
    resource = pytest.importorskip("resource")
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with (
            pytest.raises(VideoError, match=r"32 frames that are shown again could not be kept .*: free some space"),
            FrameSpool(tmp_path / "spool") as spool,
        ):
            for _ in range(5):
                spool.append(noise(8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_lost_its_end_is_not_shown(tmp_path):
    with FrameSpool(tmp_path / "spool") as spool:
        spool.append(noise(4))
        with (tmp_path / "spool").open("r+b") as file:
            file.truncate(3 * 16 * 16 * 3 + 5)
        with pytest.raises(VideoError, match="Frame 3 was cut off"):
            spool.read([2, 3])
