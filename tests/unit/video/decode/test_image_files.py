"""Picture files as frames.

Shapes: H, W = size in pixels, C = channels.
"""

import cv2
import numpy as np
import pytest
from PIL import Image

from zoetrope.video.decode.image_files import fitted_image, image_names, read_header, read_image


def save(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return str(path)


def quarters():
    """(4, 6, 3): top left red, top right green, bottom white."""
    pixels = np.full((4, 6, 3), 255, np.uint8)
    pixels[:2, :3], pixels[:2, 3:] = (255, 0, 0), (0, 255, 0)
    return pixels


def test_natural_order_and_no_other_files():
    names = ["f10.png", "f2.png", "F1.PNG", "f02.jpg", "notes.txt", ".hidden.png", "a.webp", "f2.png.part"]
    assert image_names(names) == ["a.webp", "F1.PNG", "f02.jpg", "f2.png", "f10.png"]
    assert image_names(["2.png", "10.png", "1.png", "b1.png"]) == ["1.png", "2.png", "10.png", "b1.png"]
    assert image_names(["\u00b2.png", "1.png"]) == ["1.png", "\u00b2.png"]  # a digit that is no decimal number


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    """A viewer of a picture stored by Pillow's own transposition sees the quarters upright."""
    stored = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: np.rot90(p, 2),
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation](quarters())
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", np.ascontiguousarray(stored), exif=exif)
    assert np.array_equal(read_image(path), quarters())
    assert read_header(path).size == (6, 4)


def test_transparency_of_every_kind(tmp_path):
    pixels = np.full((4, 6, 4), 200, np.uint8)
    pixels[:, :3, 3] = 0
    keyed = np.zeros((4, 6), np.uint8)
    keyed[:, 3:] = 1
    palette = Image.fromarray(keyed, "P")
    palette.putpalette([9, 9, 9, 200, 200, 200])
    palette.save(tmp_path / "palette.png", transparency=0)
    Image.fromarray(keyed * 200).save(tmp_path / "gray.png", transparency=0)
    save(tmp_path / "rgba.png", pixels)
    Image.fromarray(pixels).convert("LA").save(tmp_path / "la.png")
    save(tmp_path / "rgba.webp", pixels, lossless=True)
    for name in ("palette.png", "gray.png", "rgba.png", "la.png", "rgba.webp"):
        got = read_image(str(tmp_path / name))
        assert read_header(str(tmp_path / name)).alpha
        assert got.shape == (4, 6, 4)
        assert got[0, 5, :3].tolist() == [200, 200, 200]
        assert (got[:, :3, 3] == 0).all()
        assert (got[:, 3:, 3] > 0).all()


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr"])
def test_colours_of_every_kind(tmp_path, mode):
    """White stays white and black black, also in the inverted inks of print."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    path = save(tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png"), pixels, mode)
    got = read_image(path).astype(int)
    assert got.shape == (8, 8, 3)
    assert (got[:3] > 250).all() and (got[5:] < 5).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_kept(tmp_path, channels):
    pixels = np.full((4, 6, channels), (1000, 2000, 3001, 65535)[:channels], np.uint16)
    for name in ("sixteen \u00e9.png", "a.tiff") if channels == 1 else ("sixteen \u00e9.png",):
        ok, data = cv2.imencode(
            name[-4:].replace("tiff", ".tif"), pixels[..., [2, 1, 0, 3][:channels]] if channels > 1 else pixels
        )
        assert ok
        (tmp_path / name).write_bytes(data.tobytes())
        got = read_image(str(tmp_path / name))
        assert got.dtype == np.uint16
        expected = [1000, 1000, 1000] if channels == 1 else [1000, 2000, 3001, 65535][:channels]
        assert (got == expected).all()


def test_other_sizes(tmp_path):
    picture = quarters()
    assert fitted_image("a", picture, (6, 4), "error") is picture
    assert [fitted_image("a", picture, (9, 9), fit).shape for fit in ("crop", "pad", "stretch")] == [(9, 9, 3)] * 3
    with pytest.raises(ValueError, match="'b.png' is 6x4 pixels and the first image 8x8: choose crop"):
        fitted_image(str(tmp_path / "b.png"), picture, (8, 8), "error")
    with pytest.raises(ValueError, match="Unknown size_mismatch 'fill'; choose one of crop, pad, stretch, error"):
        fitted_image("a", picture, (8, 8), "fill")


def damaged(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = (tmp_path / "whole.png", tmp_path / "whole.jpg")
    for path in whole:
        save(path, noise)
    yield "cut.png", whole[0].read_bytes()[:4000]
    yield "cut.jpg", whole[1].read_bytes()[:1500]
    yield "text.png", b"no picture"
    yield "empty.png", b""
    header = bytearray(whole[0].read_bytes())
    header[16:24] = b"\0\0\xff\xff\0\0\xff\xff"
    yield "huge.png", bytes(header)
    # Pillow gives it to a program
    yield "eps.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    ok, deep = cv2.imencode(".png", noise.astype(np.uint16) * 256)
    assert ok
    yield "deep.png", deep.tobytes()[:60]


def test_a_broken_picture_is_named(tmp_path):
    for name, data in damaged(tmp_path):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"^'{name}' cannot be read as an image .*; replace or remove") as caught:
            read_image(str(tmp_path / name))
        assert str(tmp_path) not in str(caught.value)
        assert "Ghostscript" not in str(caught.value)
