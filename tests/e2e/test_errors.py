"""What a headless user reads when something is wrong: the node, the fault and the cure, never a traceback."""

import pytest
from comfy_host.client import PromptError

from support.e2e import runs


def refusal(client, prompt):
    with pytest.raises(PromptError) as caught:
        runs.run(client, prompt)
    text = str(caught.value)
    assert "Traceback" not in text
    return text


def changed(node_type, **inputs):
    prompt = runs.small("text_to_video", steps=1)
    prompt[runs.of_type(prompt, node_type)]["inputs"].update(inputs)
    return prompt


def test_missing_input_names_node_and_input(client):
    prompt = runs.small("text_to_video")
    sampler = runs.of_type(prompt, "KSampler")
    del prompt[sampler]["inputs"]["model"]
    assert refusal(client, prompt).startswith(f"node {sampler} (KSampler), required_input_missing: ")


def test_unknown_motion_module_names_its_folder(client):
    text = refusal(client, changed("ZoetropeLoadMotionModel", motion_model="gone.ckpt"))
    assert "gone.ckpt" in text
    assert "animatediff_models" in text


def test_unknown_motion_lora_names_its_folder(client):
    prompt = runs.small("motion_lora", steps=1)
    prompt[next(k for k, n in prompt.items() if n["class_type"] == "ZoetropeMotionLora")]["inputs"]["motion_lora"] = (
        "gone"
    )
    text = refusal(client, prompt)
    assert "gone" in text
    assert "animatediff_motion_lora" in text


def test_overlap_as_long_as_the_window(client):
    text = refusal(client, changed("ZoetropeContextWindows", context_length=8, context_overlap=8))
    assert "overlap" in text
    assert "ZoetropeContextWindows" in text


def test_more_frames_than_positions_without_windows(client):
    prompt = changed("EmptyLatentImage", batch_size=33)
    sampler, apply = runs.of_type(prompt, "KSampler"), runs.of_type(prompt, "ZoetropeApplyMotionModel")
    prompt[sampler]["inputs"]["model"] = [apply, 0]
    text = refusal(client, prompt)
    assert text.startswith(f"node {sampler} (KSampler), ")
    assert "33" in text
    assert "32" in text


def test_unknown_node_type(client):
    prompt = runs.small("text_to_video")
    prompt["4"]["class_type"] = "ZoetropeGone"
    assert "ZoetropeGone" in refusal(client, prompt)


def test_a_wrong_prefix_is_shown_at_the_prefix_only(client):
    """ComfyUI repeats a sentence of ours under every input that was checked; no neighbour may be among them."""
    prompt = changed("ZoetropeCombineVideo", filename_prefix="../x")
    lines = refusal(client, prompt).splitlines()
    assert len(lines) == 1
    assert "filename_prefix - filename_prefix '../x'" in lines[0]


def test_what_does_not_go_together_is_said_before_anything_is_sampled(client):
    """The sampler would fail too, so an error of Combine Video shows that nothing was sampled before it."""
    prompt = changed("EmptyLatentImage", batch_size=33)
    sampler, apply = runs.of_type(prompt, "KSampler"), runs.of_type(prompt, "ZoetropeApplyMotionModel")
    prompt[sampler]["inputs"]["model"] = [apply, 0]
    combine = runs.of_type(prompt, "ZoetropeCombineVideo")
    prompt[combine]["inputs"]["quality"] = 200
    text = refusal(client, prompt)
    assert text.startswith(f"node {combine} (ZoetropeCombineVideo), ValueError: Quality 200 does not exist for ")
