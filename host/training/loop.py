"""The loop of a training, the same for everything that learns.

Shapes: B = clips in a UNet call, F = frames of a clip, C = channels, h, w = size of a latent.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from comfy.model_management import InterruptProcessingException, throw_exception_if_processing_interrupted
from torch import Tensor

from ...inputs.quoting import plain, quoted, reason_of
from ...training.clips import Clips
from ...training.draws import BatchDraw, Draws
from ...training.loss_scale import LossScale
from ...training.losses import debiased_loss, min_snr_weight, noise_loss
from ...training.optimiser import Optimiser
from ...training.processes import Processes
from ...training.settings import TrainingSettings
from .agreement import OtherProcessMemoryError, agreed
from .files import TrainingFiles
from .placement import Placement, is_out_of_memory
from .predict import NoisePredictor
from .recompute import layers_in_training
from .target import Target
from .watching import StepReport, Watcher
from .weights import learning, leave_inference_mode

log = logging.getLogger("zoetrope")


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training leaves.

    Attributes:
        files: the finished file and the state.
        losses: of each step since the beginning.
        trained: steps that this call made; 0 where everything was there.
    """

    files: TrainingFiles
    losses: tuple[float, ...]
    trained: int


def train(
    target: Target,
    clips: Clips,
    settings: TrainingSettings,
    files: TrainingFiles,
    watcher: Watcher | None = None,
    go_on: bool = True,
    processes: Processes | None = None,
) -> TrainingResult:
    """Train until ``settings.steps`` are done, or go on from what is there.

    Args:
        target: what learns.
        clips: on what.
        settings: how; ``batch`` is that of one process.
        files: where the result and the state lie; process 0 writes them, all read them.
        watcher: is told of each step, in process 0.
        go_on: take up the state where there is one; else begin anew, and overwrite it.
        processes: that train together, each of which calls this; None is this one alone.

    Raises:
        ValueError: the clips or the settings do not fit, or the state is of another training.
        RuntimeError: memory ran out; what was learnt is saved.
    """
    training = _Training(target, clips, settings, files, watcher or Watcher(), processes or Processes())
    finished = go_on and training.take_up()
    training.require_same_beginning()
    return training.result(begun=training.done) if finished else training.run()


class _Training:
    """A training under way: after ``done`` steps with these ``losses``."""

    def __init__(
        self,
        target: Target,
        clips: Clips,
        settings: TrainingSettings,
        files: TrainingFiles,
        watcher: Watcher,
        processes: Processes,
    ) -> None:
        self.target, self.clips, self.settings = target, clips, settings
        self.files, self.watcher, self.processes = files, watcher, processes
        self.frames = 1 if target.stage.single_frames else settings.frames
        _require_fit(clips, self.frames, target.most_frames)
        self.digest = {
            "training": target.stage.name,
            "clips": clips.digest,
            **settings.digest_parts(),
            "batch": str(settings.batch * processes.count),  # two processes learn what one does with twice the batch
            **target.facts,
        }
        self.draws = Draws(
            clips.clips,
            flips=clips.flips,
            frames=self.frames,
            stride=settings.stride,
            batch=settings.batch,
            accumulation=settings.accumulation,
            text_dropout=settings.text_dropout,
            timesteps=(settings.min_timestep, settings.max_timestep),
            seed=settings.seed,
            processes=processes.count,
            rank=processes.rank,
        )
        self.placement = Placement(target, clips, settings, self.frames)
        self.done = 0
        self.losses: list[float] = []
        self.state: tuple[Mapping[str, Tensor], Mapping[str, float]] | None = None

    def take_up(self) -> bool:
        """Go on from a state; whether nothing is left to do."""
        state = self.files.read(self.digest)
        if state is None:
            return False
        self.done, self.losses = state.step, list(state.losses)
        self.state = state.tensors, state.numbers
        if self.done < self.settings.steps:
            log.info("Training of %s goes on at step %s.", quoted(self.files.name), plain(self.done + 1))
            return False
        if self.processes.first and self.files.lacks_result():
            self.files.write_result(self.target.file(state.learnt()))
        log.info("Training of %s is finished already (%s steps).", quoted(self.files.name), plain(self.done))
        return True

    def require_same_beginning(self) -> None:
        """Refuse processes that do not train the same from the same step on."""
        self.processes.require_same({**self.digest, "step": str(self.done)})

    def run(self) -> TrainingResult:
        """All steps that are left."""
        begun = self.done
        try:
            with agreed(self.processes):
                self.placement.load()
                self.placement.choose_checkpointing()
            with torch.inference_mode(False), torch.enable_grad(), self._prepared() as weights:
                optimiser = Optimiser(weights, self.settings, LossScale(self.placement.dtype == torch.float16))
                if self.state is not None:
                    optimiser.load(*self.state)
                    self.state = None
                with self._saved_when_stopped(optimiser):
                    self._steps(optimiser)
                self._save(optimiser)
        finally:
            self.target.model.cleanup()
        return self.result(begun)

    def result(self, begun: int) -> TrainingResult:
        """What there is now, of a call that found ``begun`` steps done."""
        return TrainingResult(files=self.files, losses=tuple(self.losses), trained=self.done - begun)

    def _steps(self, optimiser: Optimiser) -> None:
        settings, predictor = self.settings, NoisePredictor(self.target.model, self.frames)
        while self.done < settings.steps:
            started, step = time.monotonic(), self.done
            with agreed(self.processes):
                loss = self._calls(predictor, step, optimiser.scale.value)
            loss = self.processes.mean(loss)
            self.processes.average([weight.grad for weight in optimiser.weights.values() if weight.grad is not None])
            optimiser.step(step)
            self.losses.append(loss)
            self.done += 1
            seconds = time.monotonic() - started
            if self.done % settings.save_every == 0 and self.done < settings.steps:
                self._save(optimiser)
            report = StepReport(
                step=self.done, steps=settings.steps, loss=loss, rate=optimiser.rate(step), seconds=seconds
            )
            with agreed(self.processes):
                if self._shown(report):
                    predictor = NoisePredictor(self.target.model, self.frames)

    def _shown(self, report: StepReport) -> bool:
        """Tell the watcher, in process 0; whether it may have sampled."""
        if not self.processes.first:
            return False
        self.watcher.step(report)
        every = self.settings.preview_every
        if not every or report.step % every:
            return False
        self._preview()
        return True

    def _calls(self, predictor: NoisePredictor, step: int, scale: float) -> float:
        """The UNet calls of a step; their mean loss."""
        loss = 0.0
        for call in range(self.settings.accumulation):
            throw_exception_if_processing_interrupted()
            loss += self._call(predictor, self.draws.at(step, call), scale) / self.settings.accumulation
        return loss

    def _call(self, predictor: NoisePredictor, draw: BatchDraw, scale: float) -> float:
        """One UNet call on (B, F, C, h, w) latents and its gradients; its loss."""
        settings = self.settings
        latents = torch.stack([self.clips.latents(one.clip, one.numbers, one.flipped) for one in draw.clips])
        noise = draw.noise(latents.shape)
        noisy, sigmas = predictor.noisy(latents, noise, [one.timestep for one in draw.clips])
        captions = [self.clips.clips[one.clip].caption if one.captioned else "" for one in draw.clips]
        with ExitStack() as kept:
            predicted = predictor.predict(noisy, sigmas, [self.clips.text(caption) for caption in captions], kept)
            noise = noise.to(predicted)
            losses = (
                debiased_loss(predicted, noise, [one.debias_frame for one in draw.clips])
                if settings.loss == "debiased"
                else noise_loss(predicted, noise)
            )
            loss = (losses * min_snr_weight(sigmas, settings.min_snr)).mean()
            (loss * (scale / settings.accumulation)).backward()
        return float(loss.detach())

    @contextmanager
    def _prepared(self) -> Iterator[dict[str, Tensor]]:
        """The weights that learn, and all layers as training needs them."""
        networks = [patcher.model for patcher in self.target.patchers]
        leave_inference_mode(networks)
        checkpointing = self.placement.checkpointing
        with learning(networks, self.target.holders) as weights, layers_in_training(networks, checkpointing):
            yield weights

    @contextmanager
    def _saved_when_stopped(self, optimiser: Optimiser) -> Iterator[None]:
        """Save before a stop goes on its way. A step that was not finished is made again later, with the same draws."""
        try:
            yield
        except (InterruptProcessingException, KeyboardInterrupt):
            self._save(optimiser)
            raise
        except Exception as error:
            if not isinstance(error, OtherProcessMemoryError) and not is_out_of_memory(error):
                raise
            optimiser.adam.zero_grad(set_to_none=True)
            self._save(optimiser)
            raise RuntimeError(plain(self.placement.out_of_memory_sentence(self.done), 800)) from error

    def _save(self, optimiser: Optimiser) -> None:
        """Write both files, in process 0; the others wait, since torchrun ends all when one of them ends."""
        with agreed(self.processes):
            if self.processes.first:
                self.files.write(
                    self.target.file(optimiser.learnt()),
                    step=self.done,
                    tensors=optimiser.state(),
                    numbers=optimiser.numbers(),
                    losses=self.losses,
                    digest=self.digest,
                )

    def _preview(self) -> None:
        """Let the watcher sample; afterwards the models are where they were."""
        try:
            with torch.no_grad():
                self.watcher.preview(self.done, self.target.model)
        except InterruptProcessingException:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a sampler raises: hours of training weigh more than a picture
            log.warning("The preview after step %s failed (%s); training goes on.", plain(self.done), reason_of(error))
        self.placement.load()
        leave_inference_mode(patcher.model for patcher in self.target.patchers)


def _require_fit(clips: Clips, frames: int, most: int) -> None:
    """Refuse a set that is empty or has clips that are too short, and more frames than a motion model has positions for.

    Raises:
        ValueError: it is so; the sentence names the first clip.
    """
    if most and frames > most:
        raise ValueError(
            f"The motion model has positions for {most} frames; set frames from {frames} to {most} or fewer."
        )
    if not clips.clips:
        raise ValueError("The set of clips is empty; add videos to its folder and make it again.")
    short = [clip for clip in clips.clips if clip.frames < frames]
    if short:
        raise ValueError(
            f"{len(short)} of {len(clips.clips)} clips have fewer than {frames} frames (the first is {quoted(short[0].name)} with "
            f"{plain(short[0].frames)}); lower frames, or make the set without them."
        )
