"""Load Video inside the real ComfyUI: real files, VAE and preview.

Shapes: F = frames, H, W = size in pixels, h, w = latent size.
"""

import errno
import os
import subprocess

import av
import comfy.utils
import folder_paths
import numpy as np
import psutil
import pytest
import torch
from comfy import model_management
from comfy.taesd.taesd import TAESD
from comfy_execution.graph_utils import ExecutionBlocker

from support.clips import chart, left_behind
from support.files.footage import film, flat, webp, written
from support.run_nodes import run_node
from support.sampling_nodes import toy_vae
from zoetrope.host.video import frame_stores as loaded
from zoetrope.host.video import input_files as inputs
from zoetrope.host.video import load_video as load_module
from zoetrope.nodes.load_video import LoadVideo
from zoetrope.video.ffmpeg import find_ffmpeg

pytestmark = pytest.mark.usefixtures("folders")


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    """An input folder of this test only."""
    (tmp_path / "input").mkdir()
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    return tmp_path / "input"


@pytest.fixture(scope="module")
def vae():
    return toy_vae(TAESD(latent_channels=4))


def load(video, **settings):
    return run_node(LoadVideo, video=video, **settings)


def grays(images, step=9, first=20):
    """Numbers of the flat frames."""
    return torch.round((images[:, 20, 20, 0] * 255 - first) / step).int().tolist()


def preview_of(ui):
    """Grays of the preview's frames, its rate and whether it has sound."""
    assert ui["animated"] == [True]
    (entry,) = ui["images"]
    assert entry["type"] == "temp" and not entry["subfolder"]
    with av.open(os.path.join(folder_paths.get_temp_directory(), entry["filename"])) as container:
        rate, sound = container.streams.video[0].average_rate, len(container.streams.audio)
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return frames, rate, sound


def test_frames_sound_and_facts(source):
    written(source / "clip.mkv", film(flat(23), 24, "matroska", sound=1.0))
    (image, latent, mask, audio, count, fps), _ = load("clip.mkv", start=0.25, every_nth=2, max_frames=4)
    assert grays(image) == [6, 8, 10, 12]
    assert (image.dtype, image.shape) == (torch.float32, (4, 48, 64, 3))
    assert (mask.shape, float(mask.abs().max())) == ((4, 64, 64), 0)
    assert (count, fps) == (4, 12.0)
    assert (audio["sample_rate"], audio["waveform"].shape) == (8000, (1, 1, round(4 / 12 * 8000)))
    assert abs(float(audio["waveform"][0, 0, 0]) + 0.25) < 1e-3  # a quarter of the ramp from -0.5 to 0.5
    assert isinstance(latent, ExecutionBlocker) and "connect vae" in latent.message


def test_the_preview_shows_the_frames_that_are_used(source):
    written(source / "clip.mkv", film(flat(23), 24, "matroska", sound=1.0))
    (image, *_), ui = load("clip.mkv", start=0.25, every_nth=3)
    frames, rate, sound = preview_of(ui)
    assert (rate, sound, len(frames)) == (8, 1, len(image))
    shown = [int(frame.mean()) for frame in frames]
    expected = (image.mean(dim=(1, 2, 3)) * 255).tolist()
    assert np.abs(np.array(shown) - expected).max() <= 3


@pytest.mark.parametrize("layout", ["7.1", "hexadecagonal"])
def test_sound_of_many_channels_loads_and_is_previewed(source, layout, caplog):
    """Eight and sixteen channels; the preview mixes what browsers do not play."""
    values = "|".join("0.1*sin(2*PI*440*t)" for _ in range(8 if layout == "7.1" else 16))
    inputs = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=24:duration=0.5", "-f", "lavfi", "-i"]
    command = [find_ffmpeg(), "-loglevel", "error", *inputs, f"aevalsrc={values}:s=48000:d=0.5:c={layout}"]
    subprocess.run([*command, "-c:a", "pcm_s16le", str(source / "clip.mkv")], check=True, timeout=100)
    (*_, audio, _, _), ui = load("clip.mkv")
    assert audio["waveform"].shape == (1, values.count("|") + 1, 24000)
    assert preview_of(ui)[2] == 1 and "No preview" not in caplog.text


def test_a_sound_track_can_be_chosen(source):
    written(source / "clip.mkv", film(flat(12), 24, "matroska", sound=0.5))
    assert load("clip.mkv", audio_track=1)[0][3] is not None
    with pytest.raises(ValueError, match="audio_track is 2, and the file's sound tracks are 1 to 1"):
        load("clip.mkv", audio_track=2)


def test_each_stored_frame_once(source):
    """Frames at 0, 8, 16 and 17 of 24ths."""
    written(source / "clip.mp4", film(flat(4, 40), times=[0, 8, 16, 17], options={"bf": "0"}))
    assert grays(load("clip.mp4", by_time=False)[0][0], 40) == [0, 1, 2, 3]
    assert grays(load("clip.mp4")[0][0], 40) != [0, 1, 2, 3]
    with pytest.raises(ValueError, match="frame_rate is 8 and by_time is off"):
        load("clip.mp4", by_time=False, frame_rate=8.0)


def test_by_time_stands_where_old_workflows_have_the_upload_button():
    """The editor kept its "image" behind the last widget; as a BOOLEAN that is True, and nothing else may stand there."""
    optional = list(LoadVideo.INPUT_TYPES()["optional"])
    assert optional[optional.index("untagged_colors") :] == [
        "untagged_colors",
        "by_time",
        "hdr",
        "interlaced",
        "audio_track",
    ]
    assert LoadVideo.INPUT_TYPES()["optional"]["by_time"][1]["default"] is bool("image")


def test_hdr_and_interlaced_files_are_mapped_unless_they_are_to_be_left(source, caplog):
    tags = {"color_trc": 18, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    written(source / "clip.mp4", film(flat(2, first=180), pixels="yuv420p10le", tags=tags))
    with caplog.at_level("INFO", "zoetrope"):
        mapped, left = load("clip.mp4")[0][0], load("clip.mp4", hdr="leave as stored")[0][0]
    assert float((mapped - left).mean()) > 0.1  # 71 % of HLG, near paper white
    assert caplog.text.count("HDR (HLG): it is mapped to SDR") == 1 and caplog.text.count("left as stored") == 1
    written(source / "woven.mp4", film(chart(8), options={"flags": "+ilme+ildct"}))
    whole, woven = load("woven.mp4")[0][0], load("woven.mp4", interlaced="leave")[0][0]
    assert whole.shape == woven.shape and not torch.equal(whole, woven)


def test_a_large_video_has_a_small_preview(source):
    written(source / "clip.mp4", film(flat(2, size=(1200, 62))))
    frames, _, _ = preview_of(load("clip.mp4")[1])
    assert frames[0].shape == (28, 512)  # 64 rows after rounding to 8, by 512 / 1200


def test_sizes_and_fits(source):
    written(source / "clip.mp4", film(chart(2)))
    assert load("clip.mp4", width=32)[0][0].shape == (2, 24, 32, 3)
    assert load("clip.mp4", width=30, height=30, multiple_of=1)[0][0].shape == (2, 30, 30, 3)
    padded = load("clip.mp4", width=64, height=64, fit="pad")[0][0]
    assert float(padded[:, :7].max()) == 0 and float(padded[:, 9].max()) > 0.2


def test_transparency_becomes_the_mask(source):
    pictures = np.concatenate([flat(3), np.full((3, 48, 64, 1), 255, np.uint8)], axis=3)
    pictures[:, :, 32:, 3] = 51
    written(source / "clip.apng", film(pictures, 24, "apng", "apng", "rgba", options={}))
    (image, _, mask, audio, *_), _ = load("clip.apng")
    assert mask.shape == image.shape[:3]
    assert (mask[:, :, :32] == 0).all() and torch.allclose(mask[:, :, 32:], torch.tensor(0.8))
    assert audio is None


def test_ten_bits_are_kept(source):
    """White of limited range is 1, and the steps are those of 10 bits."""
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, None, :, None] + 100, 48, 1).repeat(3, 3)
    ramp[:, :24] = 255
    written(source / "clip.mp4", film(ramp, pixels="yuv444p10le"))
    (image, *_), ui = load("clip.mp4")
    assert np.abs(preview_of(ui)[0][0].astype(int) - ramp[0, :, :, 0]).mean() < 3
    assert float(image[0, 4].min()) > 0.998
    assert torch.allclose(image[0, 40] * 255, torch.from_numpy(ramp[0, 40]).float(), atol=0.6)


def test_frames_go_where_comfyui_keeps_them(source, monkeypatch):
    """With --gpu-only that is no memory of the CPU."""
    written(source / "clip.mp4", film(flat(2)))
    monkeypatch.setattr(model_management, "intermediate_device", lambda: torch.device("meta"))
    (image, _, mask, *_), _ = load("clip.mp4")
    assert (image.device.type, mask.device.type) == ("meta", "meta")


def test_latents_are_those_of_the_frames(source, vae):
    written(source / "clip.mp4", film(chart(11), sound=0.4))
    image = load("clip.mp4", start=0.1)[0][0]
    (blocked, latent, mask, audio, count, _), ui = load("clip.mp4", start=0.1, vae=vae)
    assert isinstance(blocked, ExecutionBlocker) and "disconnect vae" in blocked.message
    with torch.inference_mode():
        expected = vae.encode(image)
    assert torch.allclose(latent["samples"], expected, atol=1e-2)
    assert (expected[1:] - expected[:-1]).abs().mean() > 0.1
    assert (count, mask.shape, len(latent["samples"])) == (9, (9, 64, 64), 9)
    assert audio is not None
    assert len(preview_of(ui)[0]) == 9


def test_the_mask_of_latents_has_their_size(source, vae):
    pictures = np.concatenate([flat(9), np.zeros((9, 48, 64, 1), np.uint8)], axis=3)
    pictures[:, :, 32:, 3] = 255
    written(source / "clip.apng", film(pictures, 24, "apng", "apng", "rgba", options={}))
    _, latent, mask, *_ = load("clip.apng", vae=vae)[0]
    assert mask.shape == (9, *latent["samples"].shape[-2:]) == (9, 6, 8)
    assert (mask[:, :, :4] == 1).all() and (mask[:, :, 4:] == 0).all()


def test_pixels_of_a_long_video_are_never_held_together(source, vae, monkeypatch):
    written(source / "clip.mp4", film(flat(40, 4)))
    sizes = []
    encode = vae.encode
    monkeypatch.setattr(vae, "encode", lambda pixels: sizes.append(len(pixels)) or encode(pixels))
    load("clip.mp4", vae=vae)
    assert sizes == [8] * 5


def test_a_video_vae_is_refused_in_words(source, vae, monkeypatch):
    written(source / "clip.mp4", film(flat(2)))
    monkeypatch.setattr(vae, "latent_dim", 3)
    with pytest.raises(ValueError, match="encodes videos, .*: connect that of an image model"):
        load("clip.mp4", vae=vae)


def test_memory_is_known_before_anything_is_decoded(source, monkeypatch):
    """48 x 64 x 3 floats and a mask of 64 x 64 are 53,248 bytes a frame; 10 of 23 fit into 10.5 of them."""
    written(source / "clip.mp4", film(flat(23)))
    monkeypatch.setattr(model_management, "get_free_memory", lambda device: 53_248 * 10.5)
    with monkeypatch.context() as nothing_stored:
        nothing_stored.setattr(loaded, "np", None)
        with pytest.raises(
            ValueError, match=r"23 frames of 64x48 need 1.2 MB .* 0.6 MB are free: set max_frames to 10 or"
        ):
            load("clip.mp4")
    assert load("clip.mp4", max_frames=10)[0][4] == 10


def test_sound_is_counted_too(source, monkeypatch):
    """The frames fit to the byte."""
    written(source / "clip.mkv", film(flat(23), 24, "matroska", sound=1.0))
    monkeypatch.setattr(model_management, "get_free_memory", lambda device: 53_248 * 23)
    with pytest.raises(ValueError, match="23 frames of 64x48 need 1.3 MB"):
        load("clip.mkv")


def test_years_of_frames_are_refused_and_not_listed(source):
    """Two frames eleven days apart, at 240 a second."""
    written(source / "clip.mkv", film(flat(2), 24, "matroska", times=[0, 24 * 10**6]))
    before = psutil.Process().memory_info().rss
    with pytest.raises(ValueError, match="240.* frames of 64x48 need .* GB"):
        load("clip.mkv", frame_rate=240.0)
    assert psutil.Process().memory_info().rss - before < 100e6


@pytest.mark.parametrize("previewed", [True, False])
def test_an_interrupt_is_noticed_between_chunks_and_leaves_nothing(source, folders, monkeypatch, previewed):
    """Pressed while the first of three chunks is counted."""
    written(source / "clip.mp4", film(flat(20)))
    if not previewed:
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "no such program")
    counted = []

    def pressed(bar, frames):
        counted.append(frames)
        model_management.interrupt_current_processing(True)

    monkeypatch.setattr(comfy.utils.ProgressBar, "update", pressed)
    with pytest.raises(model_management.InterruptProcessingException):
        load("clip.mp4")
    assert counted == [8]
    assert left_behind(folders / "temp") == []


def test_an_interrupt_is_noticed_while_the_file_is_looked_through(source, monkeypatch):
    written(source / "clip.ts", film(flat(20), kind="mpegts"))
    monkeypatch.setattr(load_module, "TimeMap", None)
    model_management.interrupt_current_processing(True)
    with pytest.raises(model_management.InterruptProcessingException):
        load("clip.ts")


def test_without_ffmpeg_there_is_no_preview_and_a_warning(source, folders, monkeypatch, caplog):
    written(source / "clip.mp4", film(flat(3)))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "no such program")
    (image, *_), ui = load("clip.mp4")
    assert len(image) == 3 and not ui
    assert caplog.text.count("No preview of the loaded frames") == 1
    assert left_behind(folders / "temp") == []


def test_which_files_are_offered(source):
    apng = film(flat(2), 24, "apng", "apng", "rgb24", options={}).getvalue()
    for name in ("b.mp4", "a.mkv", "c.gif", "d.webm", "notes.txt", "song.mp3"):
        (source / name).write_bytes(b"x")
    (source / "moves.png").write_bytes(apng)
    still = apng.replace(b"acTL", b"acTX")
    (source / "still.png").write_bytes(still)
    (source / "late.png").write_bytes(still[:-12] + apng[33:53] + still[-12:])  # acTL behind the pixels means nothing
    webp(source / "w.webp", flat(2), (40, 40))
    (source / "folder.mp4").mkdir()
    assert inputs.video_names() == ["a.mkv", "b.mp4", "c.gif", "d.webm", "moves.png", "w.webp"]


OUTSIDE = [
    "../secret.mp4",
    "/etc/hostname",
    "sub/../../secret.mp4",
    "..",
    "",
    ".",
    "../secret.mp4 [input]",
    "a\0.mp4",
    "\ud800.mp4",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out_of_the_folder_are_refused(source, name):
    written(source.parent / "secret.mp4", film(flat(2)))
    assert "is no name inside the input folder" in LoadVideo.validate_inputs(video=name)
    with pytest.raises(ValueError, match="is no name inside the input folder"):
        load(name)


def test_links_that_lead_out_of_the_folder_are_refused(source):
    written(source.parent / "secret.mp4", film(flat(2)))
    (source / "link.mp4").symlink_to(source.parent / "secret.mp4")
    (source / "clip.mp4").write_bytes(b"x")
    (source / "inner.mp4").symlink_to(source / "clip.mp4")
    assert "is no name inside" in LoadVideo.validate_inputs(video="link.mp4")
    assert LoadVideo.validate_inputs(video="inner.mp4") is True
    assert inputs.video_names() == ["clip.mp4", "inner.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
def test_odd_things_in_the_folder_disturb_nobody(source):
    """A link to itself, one into nothing, one in a circle of two, a pipe, a link to a pipe and a name that is no UTF-8."""
    written(source / "clip.mp4", film(flat(2)))
    (source / "loop.mp4").symlink_to(source / "loop.mp4")
    (source / "gone.mp4").symlink_to(source / "nothing.mp4")
    (source / "a.mp4").symlink_to(source / "b.mp4")
    (source / "b.mp4").symlink_to(source / "a.mp4")
    os.mkfifo(source / "pipe.mp4")
    (source / "to_pipe.mp4").symlink_to(source / "pipe.mp4")
    assert inputs.video_names() == ["clip.mp4"]
    assert LoadVideo.INPUT_TYPES()["required"]["video"][1]["options"] == ["clip.mp4"]
    assert "'pipe.mp4' is a pipe or a device, not a file" in LoadVideo.validate_inputs(video="pipe.mp4")
    with pytest.raises(ValueError, match="'to_pipe.mp4' is a pipe"):
        load("to_pipe.mp4")
    assert LoadVideo.validate_inputs(video="loop.mp4").startswith("'loop.mp4' ")
    assert "is not in ComfyUI's input folder" in LoadVideo.validate_inputs(video="gone.mp4")


def test_files_that_the_system_cannot_look_at_are_not_offered(source, monkeypatch):
    """As those of a mount that is gone."""
    written(source / "clip.mp4", film(flat(2)))
    written(source / "dead.mp4", film(flat(2)))
    stat = os.stat

    def dead(path, *args, **options):
        if str(path).endswith("dead.mp4"):
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected", path)
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", dead)
    assert inputs.video_names() == ["clip.mp4"]
    sentence = LoadVideo.validate_inputs(video="dead.mp4")
    assert sentence == "'dead.mp4' cannot be read (Transport endpoint is not connected): replace it, or choose another."
    monkeypatch.setattr(folder_paths, "input_directory", str(source / "missing"))
    assert inputs.video_names() == []


def test_validation_and_fingerprint(source):
    path = written(source / "clip.mp4", film(flat(2)))
    (source / "sub").mkdir()
    assert LoadVideo.validate_inputs(video="clip.mp4") is True
    assert LoadVideo.validate_inputs(video="clip.mp4 [input]") is True
    assert "put it there" in LoadVideo.validate_inputs(video="other.mp4")
    assert "is a folder" in LoadVideo.validate_inputs(video="sub")
    first = LoadVideo.fingerprint_inputs(video="clip.mp4", start=0.0)
    assert first == LoadVideo.fingerprint_inputs(video="clip.mp4", start=0.0)
    os.utime(path, ns=(1, 1))
    assert LoadVideo.fingerprint_inputs(video="clip.mp4", start=0.0) != first


def test_only_the_name_escapes_comfyuis_own_checks():
    """What ``validate_inputs`` names is not checked by ComfyUI: ranges of the other widgets must be."""
    required = LoadVideo.INPUT_TYPES()["required"]
    assert list(required) == ["video"] and required["video"][1]["video_upload"] is True
    code = LoadVideo.validate_inputs.__func__.__code__
    assert code.co_varnames[: code.co_argcount] == ("cls", "video") and not code.co_flags & 0x08
