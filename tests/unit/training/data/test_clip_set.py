"""Sets of clips on disk: written whole or not at all, read back as they were encoded."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file

from zoetrope.training.data import write
from zoetrope.training.data.clip_set import ClipSet
from zoetrope.training.data.write import ClipSetPlan, PlannedClip, UnreadableClipError, write_clip_set

TEXTS = {"": 0.0, "a ball": 1.0, "a box": 2.0}


def encoded(caption):
    """A text encoder: (1, 3, 4) and (1, 4) of one number a caption."""
    return {
        "cross_attn": torch.full((1, 3, 4), TEXTS[caption]),
        "pooled_output": torch.full((1, 4), TEXTS[caption] + 0.5),
    }


def stored(number, frames=10, height=4, width=6):
    """Latents in steps that half precision keeps exactly: frame f of clip n holds n + f / 16."""
    frame = torch.arange(frames).view(-1, 1, 1, 1) / 16
    return (number + frame).expand(frames, 4, height, width).clone()


def clip(number, frames=10, caption="a ball", flips=False, calls=None, **size):
    def chunks():
        if calls is not None:
            calls.append(number)
        whole = stored(number, frames, **size)
        for part in whole.split(3):
            yield (part, -part) if flips else (part,)

    return PlannedClip(
        name=f"{number}.mp4",
        caption=caption,
        frames=frames,
        source={"name": f"{number}.mp4", "size": number},
        chunks=chunks,
    )


def plan(*clips, flips=False, pictures=None, frames=4, stride=2, text=None):
    return ClipSetPlan(
        frames=frames,
        stride=stride,
        flips=flips,
        pictures={"vae": "v"} if pictures is None else pictures,
        text={"clip": "c"} if text is None else text,
        clips=clips,
    )


def test_frames_and_captions_come_back(tmp_path):
    made = write_clip_set(tmp_path / "set", plan(clip(1), clip(2, 7, "a box", height=2)), encoded)
    clips = ClipSet(tmp_path / "set")
    assert made.encoded == 2 and made.skipped == ()
    assert [(c.name, c.caption, c.frames, c.height, c.width) for c in clips.clips] == [
        ("1.mp4", "a ball", 10, 4, 6),
        ("2.mp4", "a box", 7, 2, 6),
    ]
    assert (clips.frames, clips.stride, clips.channels, clips.flips) == (4, 2, 4, False)
    assert torch.equal(clips.latents(0, [2, 5, 5, 9]), stored(1)[[2, 5, 5, 9]])
    assert torch.equal(clips.latents(1, [6, 0]), stored(2, 7, 2)[[6, 0]])
    assert clips.latents(0, [0]).dtype == torch.float32
    for caption in TEXTS:
        assert {key: value.tolist() for key, value in clips.text(caption).items()} == {
            key: value.tolist() for key, value in encoded(caption).items()
        }


def test_files_are_read_by_the_library_itself(tmp_path):
    write_clip_set(tmp_path / "set", plan(clip(1, flips=True), flips=True), encoded)
    tensors = load_file(tmp_path / "set" / "00000.safetensors")
    assert {key: value.dtype for key, value in tensors.items()} == dict.fromkeys(["latents", "flipped"], torch.float16)
    assert torch.equal(tensors["latents"], stored(1).half())
    assert torch.equal(tensors["flipped"], -stored(1).half())
    assert torch.equal(ClipSet(tmp_path / "set").latents(0, [3], flipped=True), -stored(1)[[3]])


def test_what_is_not_there_is_refused_in_words(tmp_path):
    clips = write_clip_set(tmp_path / "set", plan(clip(1)), encoded).clips
    with pytest.raises(ValueError, match=r"Frames \[3, 10\] of '1.mp4' .* it has 10: give numbers from 0 to 9"):
        clips.latents(0, [3, 10])
    with pytest.raises(ValueError, match="without mirrored"):
        clips.latents(0, [3], flipped=True)
    with pytest.raises(ValueError, match="caption 'a cat' was not encoded"):
        clips.text("a cat")
    with pytest.raises(ValueError, match="no training clips 'other'"):
        ClipSet(tmp_path / "other")


def test_the_same_set_is_taken_again_without_encoding(tmp_path):
    calls = []
    first = write_clip_set(tmp_path / "set", plan(clip(1, calls=calls), clip(2, calls=calls)), encoded)
    again = write_clip_set(tmp_path / "set", plan(clip(1, calls=calls), clip(2, calls=calls)), None)  # no text encoder
    assert calls == [1, 2] and again.encoded == 0
    assert again.clips.digest == first.clips.digest


def test_only_what_is_new_is_encoded(tmp_path):
    calls = []
    first = write_clip_set(tmp_path / "set", plan(clip(1, calls=calls), clip(2, calls=calls)), encoded)
    added = plan(clip(3, calls=calls), clip(2, caption="a box", calls=calls), clip(1, calls=calls), frames=8)
    second = write_clip_set(tmp_path / "set", added, encoded)
    assert calls == [1, 2, 3] and second.encoded == 1
    assert [second.clips.latents(number, [0])[0, 0, 0, 0].item() for number in range(3)] == [3, 2, 1]
    assert second.clips.clips[1].caption == "a box" and second.clips.frames == 8
    assert second.clips.digest != first.clips.digest
    assert os.listdir(tmp_path) == ["set"]


@pytest.mark.parametrize(
    "other",
    [
        plan(clip(1), pictures={"vae": "w"}),
        plan(clip(1, flips=True), flips=True),
        plan(clip(1), frames=5),
        plan(clip(1), stride=1),
        plan(clip(1), text={"clip": "d"}),
        plan(clip(1, caption="a box")),
        plan(clip(1, 9)),
        plan(clip(1), clip(2)),
    ],
)
def test_the_digest_tells_sets_apart(tmp_path, other):
    first = write_clip_set(tmp_path / "set", plan(clip(1)), encoded).clips.digest
    second = write_clip_set(tmp_path / "set", other, encoded).clips
    assert second.digest != first
    assert second.latents(0, [8]).shape == (1, 4, 4, 6)


def failing(number, error):
    def chunks():
        yield (stored(number)[:3],)
        raise error

    return PlannedClip(name=f"{number}.mp4", caption="a ball", frames=10, source={"name": number}, chunks=chunks)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory"), OSError(28, "No space left")])
def test_an_end_in_the_middle_leaves_the_set_that_was_there(tmp_path, error):
    before = write_clip_set(tmp_path / "set", plan(clip(1)), encoded).clips.digest
    with pytest.raises(ValueError if isinstance(error, OSError) else type(error)):
        write_clip_set(tmp_path / "set", plan(clip(1), failing(2, error)), encoded)
    assert os.listdir(tmp_path) == ["set"]
    assert ClipSet(tmp_path / "set").digest == before


def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"'set' cannot be written \(No space left\): make room"):
        write_clip_set(tmp_path / "set", plan(failing(2, OSError(28, "No space left"))), encoded)
    assert os.listdir(tmp_path) == []


def test_unreadable_clips_are_left_out_and_named(tmp_path):
    made = write_clip_set(
        tmp_path / "set", plan(clip(1), failing(2, UnreadableClipError("'2.mp4' is no video.")), clip(3)), encoded
    )
    assert made.skipped == ("'2.mp4' is no video.",)
    assert [c.name for c in made.clips.clips] == ["1.mp4", "3.mp4"]
    assert made.clips.latents(1, [0])[0, 0, 0, 0] == 3
    with pytest.raises(ValueError, match="None of the 1 clips can be read: '2.mp4' is no video."):
        write_clip_set(tmp_path / "none", plan(failing(2, UnreadableClipError("'2.mp4' is no video."))), encoded)


def test_frames_that_do_not_come_and_values_too_large_are_refused(tmp_path):
    short = PlannedClip(name="s", caption="", frames=12, source={}, chunks=lambda: iter([(stored(1),)]))
    with pytest.raises(ValueError, match="10 frames came where 12 were expected"):
        write_clip_set(tmp_path / "set", plan(short), encoded)
    large = PlannedClip(name="s", caption="", frames=10, source={}, chunks=lambda: iter([(stored(1) * 1e6,)]))
    with pytest.raises(ValueError, match="NaN or infinity: start ComfyUI with --fp32-vae"):
        write_clip_set(tmp_path / "set", plan(large), encoded)


def shorten(path):
    path.write_bytes(path.read_bytes()[:-2])


def other_size(path):
    number = path.parent / "manifest.json"
    number.write_text(number.read_text().replace('"height": 4', '"height": 5'))


def not_whole(path):
    manifest = path.parent / "manifest.json"
    content = json.loads(manifest.read_text())
    content["captions"] = [""]
    manifest.write_text(json.dumps(content))


@pytest.mark.parametrize("damage", [shorten, os.remove, other_size, not_whole])
def test_a_set_that_is_not_whole_is_refused_and_made_again(tmp_path, damage):
    calls = []
    write_clip_set(tmp_path / "set", plan(clip(1)), encoded)
    damage(tmp_path / "set" / "00000.safetensors")
    with pytest.raises(ValueError, match="'set' .*delete their folder and make them again"):
        ClipSet(tmp_path / "set")
    assert write_clip_set(tmp_path / "set", plan(clip(1, calls=calls)), encoded).encoded == 1 == len(calls)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 2}', "\x00" * 40, "[" * 100_000])
def test_a_list_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match="cannot be read .*: delete their folder"):
        ClipSet(tmp_path)


def test_what_a_killed_run_left_goes_away_after_an_hour(tmp_path):
    for name, age in (
        (".set.0123abcd.part", 2 * write.ABANDONED),
        (".set.89abcdef.part", 0),
        (".other", 2 * write.ABANDONED),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "00000.safetensors").write_bytes(b"x")
        for path in (tmp_path / name / "00000.safetensors", tmp_path / name):
            os.utime(path, (path.stat().st_mtime - age,) * 2)
    write_clip_set(tmp_path / "set", plan(clip(1)), encoded)
    assert sorted(os.listdir(tmp_path)) == [".other", ".set.89abcdef.part", "set"]
