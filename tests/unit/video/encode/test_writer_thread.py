"""The thread between who makes frames and who writes them: order, bounds, errors from either side, nothing left."""

import threading
import time

import numpy as np
import pytest

from support.clips import chart, left_behind, running_children, stand_in_ffmpeg
from zoetrope.video.encode.encoder import VideoEncoder
from zoetrope.video.encode.job import encode_job
from zoetrope.video.encode.writer_thread import WAITING, WriterThread
from zoetrope.video.ffmpeg import VideoError
from zoetrope.video.formats.table import FORMATS


class StopNowError(Exception):
    pass


def never():
    pass


def stop():
    raise StopNowError


def piece(number):
    return memoryview(bytes([number]))


def writers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("zoetrope-")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    assert writers() == []
    yield
    assert writers() == []


class Gate:
    """A writer that stands still in its first piece until it is let go."""

    def __init__(self):
        self.written, self.busy, self.open = [], threading.Event(), threading.Event()

    def __call__(self, data):
        self.busy.set()
        assert self.open.wait(20)
        self.written.append(data[0])

    def full_pump(self, check):
        """A pump with one piece in the writer's hands and as many behind it as fit."""
        pump = WriterThread(self, check)
        pump.put(piece(0))
        assert self.busy.wait(20)
        for number in range(WAITING):
            pump.put(piece(1 + number))
        return pump


def test_everything_is_written_in_order_before_finish_returns():
    written = []

    def slowly(data):
        time.sleep(0.001)
        written.append(data[0])

    pump = WriterThread(slowly, never)
    for number in range(50):
        pump.put(piece(number))
    pump.finish()
    assert written == list(range(50))


def test_the_maker_waits_when_two_pieces_wait_and_can_be_interrupted_there():
    gate = Gate()
    pump = gate.full_pump(lambda: None if gate.open.is_set() else stop())
    with pytest.raises(StopNowError):
        pump.put(piece(9))
    gate.open.set()
    pump.finish()
    assert gate.written == [0, 1, 2]


def test_an_interrupt_while_the_last_pieces_are_written():
    gate = Gate()
    interrupted = threading.Event()
    pump = WriterThread(gate, lambda: stop() if interrupted.is_set() else None)
    pump.put(piece(0))
    interrupted.set()
    with pytest.raises(StopNowError):
        pump.finish()
    gate.open.set()
    pump.abandon()


def test_abandon_drops_what_waits():
    gate = Gate()
    pump = gate.full_pump(never)
    threading.Timer(0.1, gate.open.set).start()
    pump.abandon()
    assert gate.written == [0]
    pump.abandon()


def test_abandon_after_the_end_is_harmless():
    pump = WriterThread(lambda _: None, never)
    pump.put(piece(0))
    pump.finish()
    pump.abandon()


@pytest.mark.parametrize("end", [WriterThread.finish, WriterThread.abandon])
def test_a_piece_after_the_end_is_refused_and_does_not_wait_for_ever(end):
    pump = WriterThread(lambda _: None, never)
    end(pump)
    with pytest.raises(RuntimeError, match="came after the end"):
        pump.put(piece(0))


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_the_writer_raises_is_raised_where_frames_are_made(kind):
    error = kind("said by the writer")

    def fail(_):
        raise error

    pump = WriterThread(fail, never)
    with pytest.raises(kind) as raised:
        for number in range(50):
            pump.put(piece(number))
    assert raised.value is error
    with pytest.raises(kind):
        pump.finish()
    pump.abandon()


def test_an_error_reaches_a_maker_that_waits():
    gate = Gate()

    def fail(data):
        gate(data)
        raise ValueError("the disk is full")

    pump = WriterThread(fail, gate.open.set)
    with pytest.raises(ValueError, match="the disk is full"):
        for number in range(WAITING + 3):
            pump.put(piece(number))
    assert gate.written == [0]
    pump.abandon()


def test_an_error_in_the_last_piece_reaches_finish():
    gate = Gate()

    def fail(data):
        gate(data)
        raise ValueError("the disk is full")

    pump = WriterThread(fail, gate.open.set)
    pump.put(piece(0))
    with pytest.raises(ValueError, match="the disk is full"):
        pump.finish()


def encoder_with(folder, monkeypatch, body, check=lambda: None):
    """An encoder whose ffmpeg is a few lines of Python."""
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in_ffmpeg(folder, body))
    return VideoEncoder(encode_job(folder / "clip.mp4", (64, 48), 8.0, FORMATS["h264-mp4"], work_dir=folder), check)


def test_an_interrupt_while_the_thread_is_stuck_in_a_write(tmp_path, monkeypatch):
    """An ffmpeg that never reads: the pipe is full after 64 KiB, and nothing that waits may keep the run."""
    with pytest.raises(StopNowError), encoder_with(tmp_path, monkeypatch, "time.sleep(60)", check=stop) as encoder:
        start = time.monotonic()
        for _ in range(10):
            encoder.write(chart(20))
    assert time.monotonic() - start < 20
    assert left_behind(tmp_path) == ["fake_ffmpeg"]
    assert running_children() == []


def test_an_error_of_the_maker_while_the_thread_is_stuck_in_a_write(tmp_path, monkeypatch):
    with pytest.raises(StopNowError), encoder_with(tmp_path, monkeypatch, "time.sleep(60)") as encoder:
        encoder.write(chart(20))
        encoder.write(chart(20))
        raise StopNowError
    assert left_behind(tmp_path) == ["fake_ffmpeg"]
    assert running_children() == []


@pytest.mark.parametrize("taken", [0, 1, 100_000])
def test_an_ffmpeg_that_dies_in_the_middle_of_a_write(tmp_path, monkeypatch, taken):
    body = f"sys.stdin.buffer.read({taken})\nsys.stderr.write('no more')\nsys.exit(3)"
    said = pytest.raises(VideoError, match=r"ffmpeg stopped with code 3 while writing clip.mp4: no more\.")
    with said, encoder_with(tmp_path, monkeypatch, body) as encoder:
        for _ in range(50):
            encoder.write(chart(20))
    assert left_behind(tmp_path) == ["fake_ffmpeg"]
    assert running_children() == []


def test_a_frame_after_the_clip_is_refused(tmp_path):
    encoder = VideoEncoder(encode_job(tmp_path / "clip.mp4", (64, 48), 8.0, FORMATS["h264-mp4"], work_dir=tmp_path))
    with encoder:
        encoder.write(chart(2))
    with pytest.raises(RuntimeError, match="came after the end"):
        encoder.write(np.ascontiguousarray(chart(2)))
    assert left_behind(tmp_path) == ["clip.mp4"]
