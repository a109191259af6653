"""Live previews: what a listener of the prompt's progress receives while a clip is sampled.

Real sampling, previewer and progress registry; the listener stands for the browser. The hook does what main.py's
hook does: it hands the picture of core's own callback to the registry.
"""

import itertools
import threading
import time

import comfy.cli_args
import comfy.model_management
import comfy.utils
import latent_preview
import numpy as np
import pytest
import torch
from comfy.cli_args import LatentPreviewMethod
from comfy.patcher_extension import WrappersMP
from comfy_execution.graph import DynamicPrompt
from comfy_execution.progress import ProgressHandler, add_progress_handler, get_progress_state, reset_progress_state
from comfy_execution.utils import CurrentNodeContext

from support.toy_models import unet as toy
from zoetrope.host.call import keys
from zoetrope.host.progress import live_preview
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.temporal.windows.settings import WindowSettings

FRAMES, STEPS, NODE = 6, 4, "12"


class Listener(ProgressHandler):
    """Keeps (value, max, picture or None, thread) of every update."""

    def __init__(self):
        super().__init__("listener")
        self.seen = []

    def update_handler(self, node_id, value, max_value, state, prompt_id, image=None):
        assert node_id == NODE and state["state"].value == "running"
        picture = None if image is None else np.asarray(image[1])
        self.seen.append((value, max_value, picture, threading.current_thread()))


@pytest.fixture
def listener(monkeypatch):
    """A prompt that executes a node, with previews on and steps of a clip lasting several preview frames."""
    listener = Listener()
    reset_progress_state("prompt", DynamicPrompt({}))
    add_progress_handler(listener)
    monkeypatch.setattr(comfy.cli_args.args, "preview_method", LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(live_preview, "RATE", 50.0)

    def hook(value, total, preview, node_id=None):
        get_progress_state().update_progress(NODE, value, total, preview)

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", hook)
    with CurrentNodeContext("prompt", NODE):
        get_progress_state().start_progress(NODE)
        yield listener
    reset_progress_state("", DynamicPrompt({}))


@pytest.fixture(scope="module")
def model():
    """Installed as the motion models do, under the wrappers of Context Windows; 60 ms a step."""

    def slowly(x, control, options):
        time.sleep(0.03)
        return x * 0.5

    windowed = apply_windows(toy.answer_with(toy.toy_model_patcher(), slowly), WindowSettings(length=4, overlap=1))
    live_preview.play_while_sampling(windowed)
    return windowed


def sample(model, frames=FRAMES, **options):
    """A run as KSampler makes it; the predictions that core's callback got, with the tensors' versions then."""
    shown = latent_preview.prepare_callback(model, STEPS)
    predictions = []

    def callback(step, x0, x, total):
        predictions.append((x0, x0.clone()))
        shown(step, x0, x, total)

    result = toy.sample(model, frames=frames, steps=STEPS, callback=callback, **options)
    return result, predictions


def pictures_of(x0):
    """What core's previewer makes of each frame."""
    previewer = latent_preview.get_previewer(toy.CPU, comfy.latent_formats.SD15())
    return [np.asarray(previewer.decode_latent_to_preview(x0[frame : frame + 1])) for frame in range(len(x0))]


def walk(listener, predictions):
    """(step, frame, on the sampling thread) of every picture, by comparison with all frames of all predictions."""
    known = {(step, frame): p for step, (_, x0) in enumerate(predictions) for frame, p in enumerate(pictures_of(x0))}
    steps = []
    for _, total, picture, thread in listener.seen:
        assert total == STEPS
        if picture is not None:
            ((step, frame),) = [place for place, other in known.items() if np.array_equal(picture, other)]
            steps.append((step, frame, thread is threading.current_thread()))
    return steps


def test_previews_walk_through_the_clip_and_follow_cores_at_once(model, listener):
    _, predictions = sample(model)
    shown = walk(listener, predictions)
    sampling = [(step, frame) for step, frame, own in shown if own]
    assert sampling[0::2] == [(step, 0) for step in range(STEPS)]  # core's own
    assert [step for step, _ in sampling[1::2]] == list(range(STEPS))  # ours, before the sampler goes on
    turns = itertools.accumulate(own for _, _, own in shown)
    frames = [frame for (_, frame, own), turn in zip(shown, turns, strict=True) if not own or turn % 2 == 0]
    # the next frame, or the same again in the newer prediction
    assert {(b - a) % FRAMES for a, b in zip(frames, frames[1:], strict=False)} <= {0, 1}
    assert set(frames) == set(range(FRAMES))


def test_the_callers_callback_gets_the_samplers_own_tensor_and_the_result_stays(model, listener):
    plain, expected = toy.sample(model, frames=FRAMES, steps=STEPS), []
    toy.sample(model, frames=FRAMES, steps=STEPS, callback=lambda step, x0, x, total: expected.append(x0.clone()))
    result, predictions = sample(model)
    assert torch.equal(result, plain)
    assert all(torch.equal(then, x0) for (_, then), x0 in zip(predictions, expected, strict=True))
    assert all(type(x0) is torch.Tensor and x0.shape[0] == FRAMES for x0, _ in predictions)


def decoded_by(monkeypatch):
    calls = []
    decode = latent_preview.Latent2RGBPreviewer.decode_latent_to_preview
    monkeypatch.setattr(
        latent_preview.Latent2RGBPreviewer,
        "decode_latent_to_preview",
        lambda self, x0: (calls.append(len(x0)), decode(self, x0))[1],
    )
    return calls


@pytest.mark.parametrize("case", ["previews off", "nobody listens", "no node executes", "one frame"])
def test_nothing_is_decoded_or_sent_where_nothing_can_be_shown(model, listener, monkeypatch, case):
    frames = 1 if case == "one frame" else FRAMES
    calls = decoded_by(monkeypatch)
    if case == "previews off":
        monkeypatch.setattr(comfy.cli_args.args, "preview_method", LatentPreviewMethod.NoPreviews)
    if case == "nobody listens":
        get_progress_state().unregister_handler("listener")
    if case == "no node executes":
        monkeypatch.setattr(live_preview, "get_executing_context", lambda: None)
    sample(model, frames)
    core_only = 0 if case == "previews off" else STEPS
    assert calls == [frames] * core_only  # core's own call per step, with the whole batch
    pictures = [picture for _, _, picture, _ in listener.seen if picture is not None]
    assert len(pictures) == (0 if case == "nobody listens" else core_only)


def test_a_previewer_of_another_pack_is_left_alone(model, listener, monkeypatch):
    class Theirs(latent_preview.Latent2RGBPreviewer):
        pass

    monkeypatch.setattr(
        latent_preview, "get_previewer", lambda *args: Theirs(comfy.latent_formats.SD15().latent_rgb_factors)
    )
    sample(model)
    assert len([1 for _, _, picture, _ in listener.seen if picture is not None]) == STEPS


@pytest.mark.parametrize("interrupt", [True, False], ids=["interrupt", "end"])
def test_nothing_is_sent_after_the_run(model, listener, interrupt):
    def stop(step, x0, x, total):
        if step == 1:
            raise comfy.model_management.InterruptProcessingException

    if interrupt:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            toy.sample(model, frames=FRAMES, steps=STEPS, callback=stop)
    else:
        sample(model)
    sent = len(listener.seen)
    assert "zoetrope preview" not in [thread.name for thread in threading.enumerate()]
    time.sleep(0.06)
    assert len(listener.seen) == sent > 0


def test_installing_twice_is_once():
    model = toy.toy_model_patcher()
    for _ in range(2):
        live_preview.play_while_sampling(model)
    assert len(model.get_wrappers(WrappersMP.OUTER_SAMPLE, keys.LIVE_PREVIEW)) == 1
