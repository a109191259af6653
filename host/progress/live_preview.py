"""Live preview that plays the clip while it is sampled; core's shows frame 0 only.

Core's callback runs first and as ever, with the tensor the sampler gave. Our pictures follow it through the progress
registry, whose handlers bring them to the node: at once, so that core's is replaced before it is drawn, and then
from a thread until the next step, because a step of a long clip takes many seconds.

Shapes: N = frames of the clip, C = latent channels, H, W = latent size.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import latent_preview
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy_execution.progress import PreviewImageTuple, ProgressRegistry, get_progress_state
from comfy_execution.utils import get_executing_context
from torch import Tensor

from ..call import keys
from ..call.wrappers import bound, put_on

RATE = 8.0  # frames a second, the default of Combine Video
MOST_PREVIEWED = 64  # decoded at once; pictures of TAESD take 0.75 MiB each at 512 x 512

Callback = Callable[[int, Tensor, Tensor, int], Any]


def play_while_sampling(model: ModelPatcher) -> None:
    """Let previews of runs of ``model`` (a clone owned by the caller) move. A second call changes nothing."""
    put_on(model, keys.LIVE_PREVIEW, {WrappersMP.OUTER_SAMPLE: _play})


def _play(executor, *args, **kwargs):
    """OUTER_SAMPLE wrapper: follow the caller's callback with previews of our own."""
    call = bound(WrappersMP.OUTER_SAMPLE, args, kwargs)
    callback = call.arguments.get("callback")
    player = None if callback is None else _player(executor.class_obj.model_patcher, call.arguments["noise"])
    if callback is None or player is None:
        return executor(*args, **kwargs)
    call.arguments["callback"] = player.following(callback)
    try:
        return executor(*call.args, **call.kwargs)
    finally:
        player.stop()


def _player(model: ModelPatcher, noise: Tensor) -> "ClipPlayer | None":
    """A player, or None where nothing can be shown or nobody looks; then nothing is decoded either.

    Previewers of other packs show clips in ways of their own and are left to it.
    """
    context, registry = get_executing_context(), get_progress_state()
    watched = any(handler.enabled for handler in registry.handlers.values())
    if context is None or not watched or noise.ndim != 4 or noise.shape[0] == 1:
        return None
    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    if previewer is None or type(previewer).__module__ != latent_preview.__name__:
        return None
    return ClipPlayer(previewer, registry, context.node_id)


class ClipPlayer:
    """Walks through the newest prediction of a clip, RATE frames a second; belongs to one sampling run.

    Pictures are decoded on the sampling thread, and only those that will be shown before the next step ends. The
    thread only sends them.

    Args:
        previewer: core's, for the run's latents.
        registry: progress of the prompt.
        node: id of the node that samples.
    """

    def __init__(self, previewer: latent_preview.LatentPreviewer, registry: ProgressRegistry, node: str):
        self.previewer = previewer
        self.registry = registry
        self.node = node
        self.frame = 0  # that `pictures` starts with
        self.pictures: list[PreviewImageTuple] = []
        self.turn = 0  # which of the pictures is shown
        self.stepped: float | None = None
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._play, name="zoetrope preview", daemon=True)

    def following(self, callback: Callback) -> Callback:
        """A callback that calls ``callback`` with the same arguments, then shows the clip."""

        def step_done(step: int, x0: Tensor, x: Tensor, total_steps: int):
            # Decoded first: what core shows is replaced with no delay.
            frame, pictures = self._decode(x0)
            result = callback(step, x0, x, total_steps)
            self._show(frame, pictures, x0.shape[0])
            return result

        return step_done

    def stop(self) -> None:
        """End the show; nothing is sent after this returns."""
        self.stopped.set()
        if self.thread.is_alive():
            self.thread.join()

    def _decode(self, x0: Tensor) -> tuple[int, list[PreviewImageTuple]]:
        """The frame that is due and pictures from it on, for as long as a step takes.

        Args:
            x0: (N, C, H, W) prediction.
        """
        total = x0.shape[0]
        count = min(self._frames_in_a_step(), MOST_PREVIEWED, total)
        with self.lock:
            first = self._current(total)
        frames = [(first + number) % total for number in range(count)]
        return first, [self._picture(x0[frame : frame + 1]) for frame in frames]

    def _picture(self, x0: Tensor) -> PreviewImageTuple:
        picture: Any = self.previewer.decode_latent_to_preview_image("JPEG", x0)  # core declares that there is none
        return picture

    def _frames_in_a_step(self) -> int:
        """How many pictures are shown until the next step ends, from the time the last one took; a second at first."""
        now = time.monotonic()
        seconds = 1.0 if self.stepped is None else 1.25 * (now - self.stepped)
        self.stepped = now
        return 1 + math.ceil(seconds * RATE)

    def _current(self, total: int) -> int:
        return (self.frame + self.turn) % total

    def _show(self, frame: int, pictures: list[PreviewImageTuple], total: int) -> None:
        with self.lock:
            # The thread may have gone on since the frame was chosen; the clip must not step back.
            late = (self._current(total) - frame) % total
            self.frame, self.pictures, self.turn = frame, pictures, late if late < len(pictures) else 0
            self._send()
        if not self.thread.is_alive() and not self.stopped.is_set():
            self.thread.start()

    def _play(self) -> None:
        while not self.stopped.wait(1 / RATE):
            with self.lock:
                self.turn = (self.turn + 1) % len(self.pictures)
                self._send()

    def _send(self) -> None:
        """Send the picture with the node's progress as it stands."""
        progress = self.registry.nodes.get(self.node)
        if progress is not None and not self.stopped.is_set():
            self.registry.update_progress(self.node, progress["value"], progress["max"], self.pictures[self.turn])
