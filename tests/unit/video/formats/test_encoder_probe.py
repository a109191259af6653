"""Encoders are told apart by opening them, and formats without one say so."""

import pytest

from support.clips import stand_in_ffmpeg
from zoetrope.video.ffmpeg import VideoError, find_ffmpeg
from zoetrope.video.formats import encoder_probe as probe
from zoetrope.video.formats.available import AvailableFormats, keep_writable
from zoetrope.video.formats.encoder_probe import probe_encoders
from zoetrope.video.formats.table import FORMATS

NO_CUDA = "Cannot load libcuda.so.1"


def all_open(**others):
    """What a machine finds whose ffmpeg opens everything but the others."""
    return {encoder.name: others.get(encoder.name, "") for row in FORMATS.values() for encoder in row.encoders}


def test_encoders_that_ffmpeg_has_open_and_others_say_why():
    found = probe_encoders(["libx264", "png", "nosuch", "libx264"], find_ffmpeg())
    assert list(found) == ["libx264", "png", "nosuch"]
    assert found["libx264"] == found["png"] == ""
    # ffmpeg 4 to 9 say: Unknown encoder 'nosuch'
    assert found["nosuch"] == "Unknown encoder 'nosuch'"


def test_nothing_to_try_starts_nothing(tmp_path):
    assert probe_encoders([], str(tmp_path / "missing")) == {}


@pytest.fixture
def runs(monkeypatch):
    """Encoder names of each ffmpeg process that was started."""
    seen, real = [], probe.subprocess.run

    def counted(command, **options):
        seen.append([command[at + 1] for at, word in enumerate(command) if word == "-c:v"])
        return real(command, **options)

    monkeypatch.setattr(probe.subprocess, "run", counted)
    return seen


def test_software_encoders_share_one_process_and_hardware_does_not(runs):
    probe_encoders(["ffv1", "h264_nvenc", "png", "nosuch_nvenc"], find_ffmpeg())
    assert sorted(runs) == [["ffv1", "png"], ["h264_nvenc"], ["nosuch_nvenc"]]


def test_one_bad_encoder_does_not_hide_the_others(runs):
    found = probe_encoders(["ffv1", "nosuch", "png"], find_ffmpeg())
    assert [bool(reason) for reason in found.values()] == [False, True, False]
    assert sorted(runs) == [["ffv1"], ["ffv1", "nosuch", "png"], ["nosuch"], ["png"]]


def test_a_missing_program_is_one_sentence(tmp_path):
    with pytest.raises(VideoError, match=r"^ffmpeg could not be started .*: run 'pip install imageio-ffmpeg'"):
        probe_encoders(["png", "h264_nvenc"], str(tmp_path / "missing"))


@pytest.mark.parametrize(
    "body, reason",
    [
        ("sys.exit(3)", "ffmpeg ended with code 3 and gave no reason"),
        (
            "sys.stderr.write('Svt[info]: hello\\n\\n[x @ 0x1] [enc:x @ 0x2] No driver.\\n[y] later\\n'); sys.exit(1)",
            "No driver",
        ),
        ("sys.stderr.write('a' * 5000); sys.exit(1)", "a" * 197),
        ("sys.stderr.buffer.write(b'\\xff\\xfe'); sys.exit(1)", r"\ufffd\ufffd"),
        ("time.sleep(30)", "it did not answer within 0.3 seconds"),
    ],
)
def test_the_reason_is_short(tmp_path, monkeypatch, body, reason):
    monkeypatch.setattr(probe, "TIME_LIMIT", 0.3 if "sleep" in body else 20)
    assert probe_encoders(["x"], stand_in_ffmpeg(tmp_path, body)) == {"x": reason}


def test_each_format_keeps_the_first_encoder_that_opens():
    assert encoder_of(all_open()) == "libsvtav1"
    assert encoder_of(all_open(libsvtav1="Unknown encoder")) == "libaom-av1"
    rows = keep_writable(FORMATS.values(), all_open()).rows
    assert list(rows) == list(FORMATS)
    assert rows["gif"] == FORMATS["gif"]


def encoder_of(found):
    (encoder,) = keep_writable(FORMATS.values(), found).find("av1-mp4").encoders
    return encoder.name


def message(found, name):
    with pytest.raises(ValueError) as raised:
        keep_writable(FORMATS.values(), found).find(name)
    return str(raised.value)


@pytest.mark.parametrize(
    "missing, name, expected",
    [
        (["hevc_nvenc"], "nvenc-h265", f"could not open hevc_nvenc ({NO_CUDA}): choose h265-mp4."),
        (["hevc_nvenc", "libx265"], "nvenc-h265", f"could not open hevc_nvenc ({NO_CUDA}): choose h264-mp4."),
        (["libvpx-vp9"], "vp9-webm", f"could not open libvpx-vp9 ({NO_CUDA}): choose h264-mp4."),
        (
            ["libsvtav1", "libaom-av1", "av1_nvenc"],
            "av1-mp4",
            f"could not open libsvtav1 ({NO_CUDA}) and libaom-av1 ({NO_CUDA}): choose h264-mp4.",
        ),
        (["libsvtav1", "libaom-av1"], "av1-mp4", "choose nvenc-av1."),
        (["libx264", "h264_nvenc"], "h264-mp4", "choose h265-mp4."),
    ],
)
def test_a_format_without_encoder_names_it_and_the_way_out(missing, name, expected):
    text = message(all_open(**dict.fromkeys(missing, NO_CUDA)), name)
    assert text.startswith(f"{name} cannot be written here, ffmpeg ")
    assert text.endswith(expected)


def test_an_encoder_that_was_not_tried_is_not_offered():
    assert "h264_nvenc (it was not tried)" in message({"libx264": ""}, "nvenc-h264")


def test_no_encoder_at_all_says_what_to_install():
    assert message({}, "h264-mp4").endswith("install imageio-ffmpeg, whose ffmpeg has the encoders.")


def test_an_unknown_name_lists_the_formats():
    assert message({"png": "", "gif": ""}, "mpeg") == "There is no video format 'mpeg': choose gif, png-frames."
    with pytest.raises(ValueError, match="none opens"):
        AvailableFormats({}, {}).find("mpeg")
