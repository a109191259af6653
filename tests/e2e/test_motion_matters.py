"""The motion module and the MotionLoRA change what a server renders."""

from support.e2e import runs


def frames(client, change):
    prompt = runs.also_save_pictures(runs.small("motion_lora"))
    change(prompt)
    return runs.pictures(client, runs.run(client, prompt))


def roughness(clip):
    """Mean change from frame to frame, relative to the spread of the whole clip."""
    steps = [runs.difference(a, b) for a, b in zip(clip[1:], clip[:-1], strict=True)]
    return sum(steps) / len(steps) / clip.std()


def test_effect_zero_gives_unrelated_frames_and_the_lora_changes_them(client):
    def still(prompt):
        prompt[runs.of_type(prompt, "ZoetropeApplyMotionModel")]["inputs"]["effect"] = 0.0

    def no_lora(prompt):
        del prompt[runs.of_type(prompt, "ZoetropeApplyMotionModel")]["inputs"]["motion_lora"]

    unrelated, plain, with_lora = (frames(client, change) for change in (still, no_lora, lambda prompt: None))
    assert roughness(plain) < 0.7 * roughness(unrelated)
    assert runs.difference(plain, with_lora) > 1.0
