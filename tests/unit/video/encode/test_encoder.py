"""One file that is whole, or none: errors, interrupts and hostile ffmpeg programs."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from support.clips import chart, clip_name, left_behind, running_children, send, stand_in_ffmpeg, written_formats
from zoetrope.video import ffmpeg
from zoetrope.video.encode.encoder import VideoEncoder
from zoetrope.video.encode.ffmpeg_arguments import later_passes
from zoetrope.video.encode.job import encode_job
from zoetrope.video.ffmpeg import VideoError, find_ffmpeg

FORMATS = written_formats()
WRITTEN = list(FORMATS)
every_format = pytest.mark.parametrize("name", WRITTEN)


class StopNowError(Exception):
    pass


def encoder_for(folder, name, check=lambda: None, **options):
    row = FORMATS[name]
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return VideoEncoder(encode_job(folder / clip_name(row), (64, 48), 8.0, row, work_dir=work, **options), check)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def fake_ffmpeg(folder, monkeypatch, body):
    """A program in ffmpeg's place."""
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in_ffmpeg(folder, body))


@every_format
def test_only_the_file_is_left(tmp_path, name):
    with encoder_for(tmp_path, name, metadata={"workflow": "{}"}) as encoder:
        send(encoder, chart(3))
        assert not encoder.job.path.exists()
    assert names_in(tmp_path) == [encoder.job.path.name, "work"]
    assert left_behind(tmp_path / "work") == []
    assert running_children() == []


@every_format
@pytest.mark.parametrize("stop", [StopNowError, KeyboardInterrupt, SystemExit])
def test_an_interrupt_leaves_nothing(tmp_path, name, stop):
    with pytest.raises(stop), encoder_for(tmp_path, name) as encoder:
        send(encoder, chart(20))
        assert len(running_children()) == 1
        raise stop
    assert left_behind(tmp_path) == ["work"]
    assert running_children() == []


@every_format
def test_an_older_file_survives_a_failed_one(tmp_path, name):
    encoder = encoder_for(tmp_path, name)
    encoder.job.path.write_bytes(b"precious")
    with pytest.raises(StopNowError), encoder:
        send(encoder, chart(2))
        raise StopNowError
    assert encoder.job.path.read_bytes() == b"precious"


@every_format
def test_an_interrupt_while_ffmpeg_finishes_leaves_nothing(tmp_path, name):
    def check():
        raise StopNowError

    with pytest.raises(StopNowError), encoder_for(tmp_path, name, check=check) as encoder:
        send(encoder, chart(20))
    assert left_behind(tmp_path) == ["work"]
    assert running_children() == []


@every_format
def test_no_frames_is_an_error_and_no_file(tmp_path, name):
    with pytest.raises(VideoError, match="would have no frames"), encoder_for(tmp_path, name):
        pass
    assert left_behind(tmp_path) == ["work"]


@every_format
def test_a_missing_folder_is_said(tmp_path, name):
    row = FORMATS[name]
    path = tmp_path / "not there" / clip_name(row)
    stopped = r"clip could not be written" if row.is_folder else r"ffmpeg stopped with code \d+ while writing clip\."
    said = pytest.raises(VideoError, match=rf"{stopped}.*(No such file|cannot find)")
    with said, VideoEncoder(encode_job(path, (64, 48), 8.0, row)) as encoder:
        for _ in range(50):
            send(encoder, chart(20))
    assert running_children() == []


def test_wrong_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="does not fit a clip of 64x48"), encoder_for(tmp_path, "h264-mp4") as encoder:
        encoder.write(chart(1, 48, 62))
    with pytest.raises(ValueError, match="float"), encoder_for(tmp_path, "h264-mp4") as encoder:
        encoder.write(chart(1).astype(np.float32))
    assert left_behind(tmp_path) == ["work"]


def test_what_fails_while_ffmpeg_is_not_at_work_is_one_sentence_too(tmp_path):
    """No temporary folder before it, a folder in the file's place after it."""
    encoder = VideoEncoder(
        encode_job(tmp_path / "clip.mp4", (64, 48), 8.0, FORMATS["h264-mp4"], work_dir=tmp_path / "gone")
    )
    with pytest.raises(VideoError, match=r"clip\.mp4 could not be written \((No such file|.*cannot find)"):
        encoder.__enter__()
    assert left_behind(tmp_path) == []
    (tmp_path / "clip.mp4").mkdir()
    with (
        pytest.raises(VideoError, match=r"clip\.mp4 could not be written \("),
        encoder_for(tmp_path, "h264-mp4") as encoder,
    ):
        send(encoder, chart(2))
    assert left_behind(tmp_path) == ["clip.mp4", "work"]
    assert running_children() == []


def test_a_flood_of_messages_blocks_nobody(tmp_path, monkeypatch):
    """A megabyte on stderr overfills the pipe unless somebody reads it."""
    body = "sys.stderr.write('noise\\n' * 200_000)\nsys.stdin.buffer.read()\nsys.stderr.write('the end')\nsys.exit(7)"
    fake_ffmpeg(tmp_path, monkeypatch, body)
    said = pytest.raises(
        VideoError, match=r"ffmpeg stopped with code 7 while writing clip.mp4: noise; noise; the end\."
    )
    with said, encoder_for(tmp_path, "h264-mp4") as encoder:
        send(encoder, chart(50))
    assert left_behind(tmp_path) == ["fake_ffmpeg", "work"]


def test_an_ffmpeg_that_dies_at_once_is_one_sentence(tmp_path, monkeypatch):
    fake_ffmpeg(tmp_path, monkeypatch, "sys.stderr.write('Svt[info]: hello\\n\\n[x @ 0x1] \\n'); sys.exit(5)")
    said = pytest.raises(VideoError, match="ffmpeg stopped with code 5 while writing clip.mp4: it gave no reason")
    with said, encoder_for(tmp_path, "h264-mp4") as encoder:
        for _ in range(50):
            send(encoder, chart(50))
    assert running_children() == []


def test_a_program_that_cannot_start_names_the_cure(tmp_path, monkeypatch):
    program = tmp_path / "fake_ffmpeg"
    program.write_bytes(b"\x7fELF this is no program")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    with pytest.raises(VideoError, match="could not be started .*: run 'pip install imageio-ffmpeg'"):
        encoder_for(tmp_path, "h264-mp4").__enter__()
    assert left_behind(tmp_path) == ["fake_ffmpeg", "work"]


def test_a_wrong_variable_is_named(monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    with pytest.raises(VideoError, match="IMAGEIO_FFMPEG_EXE names '/nowhere/ffmpeg', which is not a program"):
        find_ffmpeg()


def test_the_variable_wins(monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", sys.executable)
    assert find_ffmpeg() == sys.executable


def test_no_ffmpeg_at_all_names_the_cure(monkeypatch):
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    monkeypatch.setattr(ffmpeg, "imageio_ffmpeg", None)
    with pytest.raises(VideoError, match="imageio-ffmpeg is not installed: run 'pip install imageio-ffmpeg'"):
        find_ffmpeg()


class Empty:
    """imageio-ffmpeg on a machine that it has no program for."""

    found = None

    @classmethod
    def get_ffmpeg_exe(cls):
        if cls.found is None:
            raise RuntimeError("No ffmpeg exe could be found.")
        return cls.found


def test_the_systems_program_is_a_path_too(tmp_path, monkeypatch):
    """imageio-ffmpeg says just "ffmpeg" then, of which nobody can ask when it was changed."""
    fake_ffmpeg(tmp_path, monkeypatch, "")
    program = (tmp_path / "fake_ffmpeg").rename(tmp_path / "ffmpeg")
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    monkeypatch.setattr(ffmpeg, "imageio_ffmpeg", Empty)
    monkeypatch.setattr(Empty, "found", "ffmpeg")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == str(program)


def test_a_package_without_its_binary_names_the_cure(monkeypatch):
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    monkeypatch.setattr(ffmpeg, "imageio_ffmpeg", Empty)
    with pytest.raises(VideoError, match="none was found: run 'pip install imageio-ffmpeg'"):
        find_ffmpeg()


@pytest.mark.parametrize("folder", ["per%03dcent", "co:lon", "-y", "spa ce", "\u00fcn\u00ef", "pipe:1"])
@every_format
def test_names_are_never_read_as_options_or_patterns(tmp_path, name, folder):
    if os.name == "nt" and ":" in folder:
        folder = "semi;colon"
    (tmp_path / folder).mkdir()
    with encoder_for(tmp_path / folder, name, metadata={"workflow": "{}"}) as encoder:
        send(encoder, chart(2))
    assert names_in(tmp_path / folder) == [encoder.job.path.name, "work"]


def test_a_relative_path_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with VideoEncoder(encode_job(Path("clip.mp4"), (64, 48), 8.0, FORMATS["h264-mp4"])) as encoder:
        send(encoder, chart(2))
    assert left_behind(tmp_path) == ["clip.mp4"]


def test_an_interrupt_in_the_second_pass_of_a_gif_leaves_nothing(tmp_path):
    def check():
        if any("paletteuse" in word for child in running_children() for word in child.cmdline()):
            raise StopNowError

    with pytest.raises(StopNowError), encoder_for(tmp_path, "gif", check=check) as encoder:
        send(encoder, chart(20))
    assert left_behind(tmp_path) == ["work"]
    assert running_children() == []


def test_each_later_process_of_a_gif_has_one_output(tmp_path):
    """With the painter and the preview film in one process, ffmpeg n9.0.2 was seen waiting for itself for ever."""
    job = encode_job(tmp_path / "x.gif", (64, 48), 8.0, FORMATS["gif"], proxy=tmp_path / "x.mp4", work_dir=tmp_path)
    passes = later_passes(job, tmp_path, 4)
    targets = [[word.rsplit("/")[-1] for word in arguments if word.endswith(".part")] for arguments in passes]
    assert targets == [["x.gif.part"], ["x.mp4.part"]]


@every_format
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, name):
    """The real ffmpeg, allowed to write only small files; a refused write is to ffmpeg what a full disk is."""
    real = find_ffmpeg()
    largest = 5_000 if FORMATS[name].is_folder else 20_000
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest}))\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    fake_ffmpeg(
        tmp_path, monkeypatch, f"import os, resource, signal\n{limit}\nos.execv({real!r}, [{real!r}, *sys.argv[1:]])"
    )
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
    said = pytest.raises(VideoError, match=r"ffmpeg stopped with code \d+ while writing clip")
    with said, encoder_for(tmp_path, name) as encoder:
        for _ in range(10):
            send(encoder, noise)
    assert left_behind(tmp_path) == ["fake_ffmpeg", "work"]
    assert running_children() == []


@pytest.mark.parametrize(("body", "reason"), [
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "code -9 .*: it gave no reason; .*memory runs out: close other"),
    ("sys.stderr.write('/a/b/c.mp4.part: No space left on device'); sys.exit(228)", "code 228 .*: c.mp4.part: No space left on device; free some space"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "code -15 .*; something ended it: run the clip again"),
])  # fmt: skip
def test_an_end_of_ffmpeg_comes_with_a_cure(tmp_path, monkeypatch, body, reason):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in_ffmpeg(tmp_path, body))
    with pytest.raises(VideoError, match=reason):
        ffmpeg.FfmpegProcess([], "clip.mp4", piped=False).finish(lambda: None)
