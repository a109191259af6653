"""What Combine Video writes, Load Video reads back: frames, count, rate, transparency and the time of the sound.

Shapes: F = frames, H, W = size in pixels.
"""

import folder_paths
import pytest
import torch

from support.clips import written_formats
from support.combine import combine, images, saved_file
from support.run_nodes import run_node
from zoetrope.host.video import input_files as inputs
from zoetrope.nodes.load_video import LoadFrames, LoadVideo
from zoetrope.video.formats.table import FORMATS

pytestmark = [pytest.mark.usefixtures("folders"), pytest.mark.newest_host]

FRAMES, RATE, HERTZ = 13, 12, 48000
CLICKS = range(0, HERTZ, HERTZ // RATE)  # one where each frame begins
EXACT = ("ffv1-mkv", "apng", "png-frames")
SOUNDING = ("h264-mp4", "h265-mp4", "av1-mp4", "vp9-webm", "prores-mov", "ffv1-mkv")
CLEAR = ("vp9-webm", "prores-mov", "ffv1-mkv", "webp", "apng", "png-frames")  # more than on and off


def clip():
    """(F, H, W, 4): the left columns four fifths transparent, the others not at all."""
    pictures = images(FRAMES)
    alpha = torch.ones_like(pictures[..., :1])
    alpha[:, :, :20] = 0.2
    return torch.cat([pictures, alpha], dim=-1)


def clicks():
    """Stereo, longer than the clip."""
    waveform = torch.zeros(1, 2, 2 * HERTZ)
    for place in CLICKS:
        waveform[..., place : place + 8] = 0.9
    return {"waveform": waveform, "sample_rate": HERTZ}


def read(path):
    """Outputs of the loading node, of a file or folder that it lists."""
    if path.is_dir():
        assert path.name in inputs.folder_names()
        (image, mask, count), _ = run_node(LoadFrames, folder=path.name)
        return image, mask, None, count, RATE
    assert path.name in inputs.video_names()
    (image, _, mask, audio, count, rate), _ = run_node(LoadVideo, video=path.name)
    return image, mask, audio, count, rate


@pytest.mark.parametrize("name", written_formats())
def test_a_clip_comes_back(folders, monkeypatch, name):
    given = clip()
    _, ui = combine(images=given, frame_rate=RATE, format=name, audio=clicks())
    path = saved_file(folders, ui)
    path = path.parent if FORMATS[name].is_folder else path
    monkeypatch.setattr(folder_paths, "input_directory", str(path.parent))
    image, mask, audio, count, rate = read(path)
    assert (count, rate, image.shape) == (FRAMES, RATE, (FRAMES, 48, 64, 3))
    errors = (image[:, None] - given[None, ..., :3])[..., 20:, :].abs().mean(dim=(2, 3, 4)) * 255
    assert errors.argmin(dim=1).tolist() == list(range(FRAMES))
    assert errors.diagonal().max() < (1e-3 if name in EXACT else 2)
    if name in CLEAR:
        assert (mask - (1 - given[..., 3])).abs().max() * 255 < 1.1
    assert (audio is not None) == (name in SOUNDING)
    if audio is not None:
        assert_clicks(audio)


def assert_clicks(audio):
    """As long as the frames, and each click within a millisecond of its frame; codecs smear it over some samples."""
    assert (audio["sample_rate"], audio["waveform"].shape) == (HERTZ, (1, 2, FRAMES * HERTZ // RATE))
    loud = audio["waveform"][0, 0].abs()
    for place in CLICKS[1:]:
        around = loud[place - 500 : place + 500]
        assert abs(int(around.argmax()) - 500 - 4) < 48
