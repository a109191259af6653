"""Selecting and joining frames of pictures, masks and latents."""

import pytest
import torch

from zoetrope.temporal.clips import length, merge, select
from zoetrope.temporal.frame_selection import parse_selection


def numbered(frames, *shape, first=0):
    """A clip whose frame i is filled with the number first + i."""
    return torch.arange(first, first + frames).view(-1, *[1] * len(shape)).expand(-1, *shape).float()


def numbers(clip):
    return clip.flatten(1)[:, 0].tolist()


def latent(frames, first=0, **entries):
    return {"samples": numbered(frames, 4, 2, 2, first=first), **entries}


@pytest.mark.parametrize(
    "text", [":", "0:16", "2:7", "::2", "::-1", "-1, 0", "3", "-3:", "8:2:-2", "0:3, 0:3", "5:100", "1\n2", " 1 : 4 "]
)
def test_a_selection_is_what_python_makes_of_it(text):
    frames = list(range(10))
    pieces = [piece.replace(" ", "") for piece in text.replace("\n", ",").split(",")]
    expected = []
    for piece in pieces:
        expected += (
            frames[slice(*[int(p) if p else None for p in piece.split(":")])] if ":" in piece else [frames[int(piece)]]
        )
    assert parse_selection(text).indexes(10) == expected


@pytest.mark.parametrize("text", ["", " , ", "a", "1:2:3:4", "::0", "1.5", "0-3"])
def test_unreadable_selections(text):
    with pytest.raises(ValueError, match=r"write (for example|numbers and slices)"):
        parse_selection(text)


@pytest.mark.parametrize(
    ("text", "words"), [("10", "frame 10, but the clip has 10"), ("7:3", "no frame of the clip's 10")]
)
def test_selections_outside_the_clip(text, words):
    with pytest.raises(ValueError, match=words):
        parse_selection(text).indexes(10)


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 2)])
def test_selecting_pictures_and_masks(shape):
    clip = numbered(6, *shape)
    chosen = select(clip, [5, 0, 0])
    assert numbers(chosen) == [5, 0, 0]
    chosen.zero_()
    assert numbers(clip) == [0, 1, 2, 3, 4, 5]
    assert select(clip, range(6)) is clip


def test_a_mask_without_a_frame_axis_is_one_frame():
    assert length(torch.ones(4, 5)) == 1
    assert select(torch.ones(4, 5), [0, 0]).shape == (2, 4, 5)


def test_a_selected_latent_keeps_its_masks_noise_and_other_entries():
    clip = latent(
        4,
        noise_mask=numbered(4, 1, 8, 8),
        batch_index=[7, 8, 9, 10],
        tags=("a", "b", "c", "d"),
        weights=numbered(4, 1),
        downscale_ratio_spacial=8,
        size=(512, 768),
    )
    chosen = select(clip, [3, 1])
    assert numbers(chosen["samples"]) == numbers(chosen["noise_mask"]) == numbers(chosen["weights"]) == [3, 1]
    assert chosen["batch_index"] == [10, 8]
    assert chosen["tags"] == ["d", "b"]
    assert chosen["size"] == (512, 768)
    assert chosen["downscale_ratio_spacial"] == 8
    assert clip["batch_index"] == [7, 8, 9, 10]


def test_the_noise_of_a_selected_latent_stays_and_short_masks_are_repeated_as_the_host_does():
    chosen = select(latent(6, noise_mask=numbered(2, 8, 8)), [1, 2, 5])
    assert chosen["batch_index"] == [1, 2, 5]
    assert numbers(chosen["noise_mask"]) == [1, 0, 1]
    assert select(latent(6, noise_mask=torch.ones(1, 8, 8)), [1])["noise_mask"].shape == (1, 8, 8)


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 2)])
def test_a_crossfade_is_linear_and_shows_neither_end_twice(shape):
    joined = merge(torch.zeros(5, *shape), torch.ones(6, *shape), 3)
    assert numbers(joined) == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1, 1])


def test_without_crossfade_clips_are_put_one_behind_the_other():
    assert numbers(merge(numbered(3, 2, 2), numbered(2, 2, 2, first=7))) == [0, 1, 2, 7, 8]
    assert numbers(merge(numbered(2, 2, 2), numbered(2, 2, 2, first=4), 2)) == pytest.approx([4 / 3, 1 + 8 / 3])


def test_merged_latents_have_one_mask_and_one_noise_number_per_frame():
    a = latent(3, noise_mask=torch.zeros(1, 16, 16), batch_index=[4, 5, 6], size="a")
    b = latent(4, first=10, only=[1, 2, 3, 4], size="b")
    joined = merge(a, b, 1)
    assert numbers(joined["samples"]) == [0, 1, 6, 11, 12, 13]
    assert numbers(joined["noise_mask"]) == [0, 0, 0.5, 1, 1, 1]
    assert joined["noise_mask"].shape == (6, 1, 16, 16)
    assert joined["batch_index"] == [4, 5, 6, 8, 9, 10]
    assert joined["size"] == "a"
    assert "only" not in joined
    assert set(merge(latent(2), latent(2))) == {"samples"}


def test_masks_of_other_sizes_are_resized():
    joined = merge(latent(1, noise_mask=torch.zeros(8, 8)), latent(2, noise_mask=torch.ones(2, 16, 16)))
    assert numbers(joined["noise_mask"]) == [0, 1, 1]
    assert joined["noise_mask"].shape == (3, 1, 8, 8)


@pytest.mark.parametrize(
    ("a", "b", "crossfade", "words"),
    [
        (numbered(2, 4, 6, 3), numbered(2, 4, 8, 3), 0, "a is an IMAGE of 6 x 4 .* and b is an IMAGE of 8 x 4"),
        (numbered(2, 4, 6, 3), numbered(2, 4, 6, 4), 0, "with 3 channels and b .* with 4 channels"),
        (numbered(2, 4, 6), numbered(2, 4, 6, 4), 0, "a is a MASK of 6 x 4 and b is an IMAGE"),
        (latent(2), numbered(2, 4, 6), 0, "a is a LATENT of 2 x 2 .* and b is a MASK"),
        (numbered(2, 4, 6), numbered(5, 4, 6), 3, "crossfade is 3 frames, but a has 2 and b has 5"),
        ({"samples": torch.zeros(1, 16, 5, 4, 4)}, latent(2), 0, r"a has the shape \(1, 16, 5, 4, 4\)"),
        ("clip", latent(2), 0, "a holds a str"),
        ({}, latent(2), 0, "a holds a NoneType"),
    ],
)
def test_clips_that_do_not_fit_are_described(a, b, crossfade, words):
    with pytest.raises(ValueError, match=words):
        merge(a, b, crossfade)
