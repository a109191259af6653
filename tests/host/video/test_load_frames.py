"""Load Frames inside the real ComfyUI.

Shapes: F = frames, H, W = size in pixels.
"""

import os

import cv2
import folder_paths
import numpy as np
import pytest
import torch
from comfy import model_management
from PIL import Image

from support.run_nodes import run_node
from zoetrope.host.video import input_files as inputs
from zoetrope.nodes.load_video import LoadFrames

pytestmark = pytest.mark.usefixtures("folders")


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    """An input folder of this test only, with twelve gray pictures whose value is ten times their number."""
    folder = tmp_path / "input" / "shots" / "one"
    folder.mkdir(parents=True)
    for number in range(1, 13):
        gray(folder / f"f{number}.png", number * 10)
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    return folder


def gray(path, value, size=(40, 30), mode="RGB"):
    Image.new(mode, size, (value,) * 3 if mode == "RGB" else (value, value, value, 51)).save(path)


def load(folder="shots/one", **settings):
    return run_node(LoadFrames, folder=folder, **settings)


def values(image):
    return torch.round(image[:, 15, 20, 0] * 255).int().tolist()


def test_natural_order_and_selection():
    (image, mask, count), ui = load()
    assert values(image) == [10 * n for n in range(1, 13)]
    assert (image.shape, image.dtype, count) == ((12, 30, 40, 3), torch.float32, 12)
    assert mask.shape == (12, 64, 64) and not mask.any()
    assert ui["images"][0]["type"] == "temp"
    assert values(load(start=3, every_nth=4, max_frames=2)[0][0]) == [40, 80]


def test_other_files_are_ignored(source):
    (source / "notes.txt").write_text("x")
    (source / ".f0.png").write_text("x")
    (source / "f0.png").mkdir()
    assert load()[0][2] == 12


def test_transparency_that_shows_up_late(source):
    gray(source / "f13.png", 130, mode="RGBA")
    (image, mask, _), _ = load(start=10)
    assert mask.shape == image.shape[:3] == (3, 30, 40)
    assert not mask[:2].any() and torch.allclose(mask[2], torch.tensor(0.8))


def test_sizes_follow_the_first_image(source):
    gray(source / "f2.png", 20, (60, 60))
    assert load(max_frames=2)[0][0].shape == (2, 30, 40, 3)
    padded = load(max_frames=2, size_mismatch="pad")[0][0]
    assert float(padded[1, 15, 2].max()) == 0 and values(padded)[1] == 20
    with pytest.raises(ValueError, match="'f2.png' is 60x60 pixels and the first image 40x30: choose crop"):
        load(size_mismatch="error")


def test_sixteen_bits_are_kept(source):
    ok, data = cv2.imencode(".png", np.full((30, 40, 3), 2570 + 64, np.uint16))
    assert ok
    (source / "f1.png").write_bytes(data.tobytes())
    assert abs(float(load(max_frames=1)[0][0].mean()) - 2634 / 65535) < 1e-6


def test_a_broken_image_is_named(source):
    (source / "f5.png").write_bytes((source / "f5.png").read_bytes()[:50])
    with pytest.raises(ValueError, match=r"'f5.png' cannot be read as an image"):
        load()


def test_what_leaves_no_frames_is_said_in_words(source):
    (source / "sub").mkdir()
    with pytest.raises(ValueError, match="has no images; choose one that has"):
        load("shots/one/sub")
    with pytest.raises(ValueError, match="has 12 images and start 12 leaves none"):
        load(start=12)
    with pytest.raises(ValueError, match="every_nth is 0; give a whole number from 1"):
        load(every_nth=0)


def test_memory_is_known_before_anything_is_decoded(source, monkeypatch):
    """30 x 40 x 3 floats and a mask of 64 x 64 are 30,784 bytes a frame."""
    monkeypatch.setattr(model_management, "get_free_memory", lambda device: 30_784 * 5.5)
    with pytest.raises(ValueError, match="12 frames of 40x30 need 0.4 MB .* set max_frames to 5 or less"):
        load()
    assert load(max_frames=5)[0][2] == 5


def test_which_folders_are_offered(source):
    deep = source / "deep"
    deep.mkdir()
    gray(deep / "a.png", 1)
    hidden = source.parent.parent / ".cache"
    hidden.mkdir()
    gray(hidden / "a.png", 1)
    gray(source.parent / "a.png", 1)
    assert inputs.folder_names() == ["shots", "shots/one"]


def test_names_that_lead_out_of_the_folder_are_refused(source, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    gray(outside / "a.png", 1)
    (source.parent / "link").symlink_to(outside)
    for name in ("../outside", str(outside), "..", "", "shots/link"):
        assert "is no name inside the input folder" in LoadFrames.validate_inputs(folder=name)
        with pytest.raises(ValueError, match="is no name inside the input folder"):
            load(name)
    assert LoadFrames.validate_inputs(folder="shots/one") is True
    assert "is no folder" in LoadFrames.validate_inputs(folder="shots/one/f1.png")


def test_pictures_that_link_out_of_the_folder_are_left_out(source, tmp_path):
    gray(tmp_path / "secret.png", 200)
    (source / "f0.png").symlink_to(tmp_path / "secret.png")
    assert values(load()[0][0])[0] == 10


def test_fingerprint_follows_names_and_contents(source):
    first = LoadFrames.fingerprint_inputs(folder="shots/one", start=0)
    assert first == LoadFrames.fingerprint_inputs(folder="shots/one", start=0)
    os.utime(source / "f3.png", ns=(1, 1))
    second = LoadFrames.fingerprint_inputs(folder="shots/one", start=0)
    (source / "f4.png").rename(source / "f40.png")
    assert len({first, second, LoadFrames.fingerprint_inputs(folder="shots/one", start=0)}) == 3
