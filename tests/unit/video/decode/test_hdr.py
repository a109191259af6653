"""HDR to SDR: numbers of the standards, and SDR pictures that were made HDR by their inverse come back as they were."""

import logging

import numpy as np
import pytest

from support.files.footage import film, read
from zoetrope.video.decode.container import VideoFile
from zoetrope.video.decode.hdr import HdrToSdr, bent, hlg_scene, pq_light
from zoetrope.video.decode.read_settings import ReadSettings
from zoetrope.video.decode.reader import scan

PQ, HLG, BT2020, BT709 = 16, 18, 9, 1
TO_BT2020 = np.array(
    ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))
)  # BT.2087-0, table 1
COLORS = np.array([(200, 60, 40), (40, 90, 200), (60, 160, 60), (128, 128, 128), (0, 0, 0), (220, 220, 220)], np.uint8)


def as_pq(nits):
    """Numbers 0-1 of light (SMPTE ST 2084, equation 5.2)."""
    y = (np.asarray(nits) / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def as_hlg(nits):
    """Numbers 0-1 of light (..., 3) on a screen of 1000 nits (BT.2100-2: inverse OOTF, then OETF)."""
    shown = np.asarray(nits) / 1000
    luminance = (shown @ (0.2627, 0.6780, 0.0593))[..., None]
    scene = shown * np.maximum(luminance, 1e-9) ** ((1 - 1.2) / 1.2)
    a = 0.17883277
    bright = a * np.log(np.maximum(12 * scene - (1 - 4 * a), 1e-9)) + 0.5 - a * np.log(4 * a)
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def as_hdr(colors, curve):
    """Numbers 0-1 of SDR colours whose white is 203 nits."""
    light = (colors / 255.0) ** 2.4 @ TO_BT2020.T * 203
    return {PQ: as_pq, HLG: as_hlg}[curve](light)


def test_light_of_stored_numbers():
    """BT.2408-7, table 1: 203 nits are 58 % of PQ and 75 % of HLG; ST 2084: 50.8 % are 100 nits, all is 10000."""
    assert pq_light(np.float32([0, 0.508, 0.5807, 1])) * 203 == pytest.approx([0, 100, 203, 10_000], rel=5e-3, abs=1e-6)
    assert hlg_scene(np.float32([0, 0.5, 1])) == pytest.approx([0, 1 / 12, 1], abs=1e-5)
    assert 1000 * float(hlg_scene(np.float32([0.75]))[0]) ** 1.2 == pytest.approx(203, rel=5e-3)


@pytest.mark.parametrize("curve", [PQ, HLG])
def test_sdr_in_hdr_comes_back_as_it_was(curve):
    stored = np.rint(as_hdr(COLORS, curve) * 65535).astype(np.uint16)[None]
    mapped = HdrToSdr(curve, BT2020)(stored)[0] / 257
    assert np.abs(mapped[:-1] - COLORS[:-1]).max() < 1
    assert np.abs(mapped[-1] - COLORS[-1]).max() < 2  # a little above the knee


def test_the_bend_is_smooth_and_ends_at_white():
    light = np.linspace(0, 6, 6001, dtype=np.float32)
    mapped = bent(light)
    assert np.array_equal(mapped[:750], light[:750])
    steps = np.diff(mapped)
    assert steps.min() >= 0 and steps.max() < 1.001e-3
    assert mapped[4926] == pytest.approx(1, abs=1e-3) and mapped[-1] == 1
    assert 0.85 < mapped[1000] < 0.9  # paper white keeps its place below the lights


def test_bright_colours_keep_their_hue_and_alpha_stays():
    stored = np.full((1, 1, 4), 4321, np.uint16)
    stored[..., :3] = np.rint(as_pq(np.array((900, 300, 100))) * 65535)
    mapped = HdrToSdr(PQ, BT709)(stored)[0, 0]
    light = (mapped[:3] / 65535) ** 2.4
    assert light / light[0] == pytest.approx([1, 1 / 3, 1 / 9], abs=2e-3)
    assert mapped[3] == 4321


@pytest.mark.parametrize("curve", [PQ, HLG])
def test_files_that_say_that_they_are_hdr(curve, caplog):
    """Stored in 10 bits of BT.2020; half red, half blue."""
    pictures = np.zeros((2, 48, 64, 3), np.uint8)
    pictures[:, :, :32], pictures[:, :, 32:] = np.rint(as_hdr(COLORS[:2], curve) * 255)
    tags = {"color_trc": curve, "color_primaries": BT2020, "colorspace": BT2020, "color_range": 1}
    file = film(in_bt2020(pictures), pixels="yuv444p10le", tags=tags)
    with caplog.at_level(logging.INFO, "zoetrope"):
        frames = scan(VideoFile(file))
    name = {PQ: "PQ", HLG: "HLG"}[curve]
    assert caplog.messages == [f"The video is HDR ({name}): it is mapped to SDR."]
    assert frames.high_bit_depth
    got = read(frames)[0, 24, [10, 54]] / 257
    assert np.abs(got - COLORS[:2]).max() < 6
    caplog.clear()
    with caplog.at_level(logging.INFO, "zoetrope"):
        left = scan(VideoFile(file, settings=ReadSettings(hdr="leave as stored")))
    assert caplog.messages == [f"The video is HDR ({name}): it is left as stored, which looks pale on screens."]
    stored = read(left)[0, 24, [10, 54]] / 257
    assert np.abs(stored - pictures[0, 24, [10, 54]]).max() < 3


def in_bt2020(pictures):
    """RGB whose YUV by BT.601, which PyAV makes, is that of the pictures by BT.2020."""

    def to_yuv(red, blue):
        green = 1 - red - blue
        luma = np.array((red, green, blue))
        return np.stack(
            [luma, (np.array((0, 0, 1)) - luma) / (2 - 2 * blue), (np.array((1, 0, 0)) - luma) / (2 - 2 * red)]
        )

    wanted = pictures @ to_yuv(0.2627, 0.0593).T
    return np.clip(np.rint(wanted @ np.linalg.inv(to_yuv(0.299, 0.114)).T), 0, 255).astype(np.uint8)


def test_sdr_files_are_left_alone(caplog):
    with caplog.at_level(logging.INFO, "zoetrope"):
        assert scan(VideoFile(film(np.full((2, 48, 64, 3), 90, np.uint8)))).hdr is None
    assert not caplog.messages


def test_a_choice_that_does_not_exist_is_refused():
    file = film(np.full((2, 48, 64, 3), 90, np.uint8))
    with pytest.raises(ValueError, match="hdr is 'no': give 'map to SDR', 'leave as stored'"):
        scan(VideoFile(file, settings=ReadSettings(hdr="no")))
