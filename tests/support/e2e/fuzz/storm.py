"""A server under a storm of odd prompts: what each came to, and what was left when it was over."""

import contextlib
import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from comfy_host import Host, SetupError, server
from comfy_host.client import Client, Prompt, PromptError
from safetensors.torch import load_file

from support.e2e import runs
from support.e2e.fuzz import judge
from support.e2e.fuzz.judge import Verdict
from support.e2e.fuzz.prompts import Trial, good_prompts

QUEUE_SECONDS = 2.0  # the server's event loop must not wait for us longer
RUN_SECONDS = 20.0  # what runs longer is interrupted
STOP_SECONDS = 10.0
GONE, BLOCKED = "the server is gone", "cannot be interrupted"


@dataclass(frozen=True)
class Result:
    """One trial and its verdict."""

    trial: Trial
    verdict: Verdict
    seconds: float

    @property
    def ends_the_storm(self) -> bool:
        """Whether nothing more can be tried on this server."""
        return self.verdict.kind == judge.BROKEN and self.verdict.message.startswith((GONE, BLOCKED))


@dataclass
class Storm:
    """A running server and what was seen of it.

    Attributes:
        base: its folder.
        running: the server.
        client: for it.
        patience: factor of all time limits, for busy machines.
    """

    base: Path
    running: server.Server
    patience: float = 1.0
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.running.url)

    def send(self, trial: Trial) -> Result:
        """Queue one prompt and wait for what comes of it."""
        began = time.monotonic()
        try:
            verdict = self._verdict(trial.prompt)
        except SetupError as error:
            verdict = Verdict(judge.BROKEN, f"{GONE}: {error}")
        return Result(trial, verdict, time.monotonic() - began)

    def _verdict(self, prompt: Prompt) -> Verdict:
        began = time.monotonic()
        try:
            prompt_id = self.client.submit(prompt)
            refused: list[str] = []
        except PromptError as error:
            prompt_id, refused = "", str(error).splitlines()
        waited = time.monotonic() - began
        if waited > QUEUE_SECONDS * self.patience:
            return Verdict(judge.BROKEN, f"the server took {waited:.1f} s to answer")
        if refused:
            return judge.of_refusal(refused)
        entry = self._ended(prompt_id, RUN_SECONDS)
        if entry is None:
            self.client.cancel(prompt_id)
            entry = self._ended(prompt_id, STOP_SECONDS)
            return Verdict(judge.ACCEPTED, "interrupted") if entry else Verdict(judge.BROKEN, BLOCKED)
        for event, data in entry["status"].get("messages", []):
            if event == "execution_error":
                return judge.of_error(data)
        latents, films = self._results(entry["outputs"])
        return judge.of_results(
            [name for name, tensor in latents.items() if not tensor.isfinite().all()],
            [name for name, frames in films.items() if frames.std() == 0],
        )

    def _ended(self, prompt_id: str, seconds: float) -> dict | None:
        end = time.monotonic() + seconds * self.patience
        while time.monotonic() < end:
            entry = self.client.history(prompt_id)
            if entry is not None:
                return entry
            time.sleep(0.02)
        return None

    def _results(self, outputs: dict) -> tuple[dict, dict[str, np.ndarray]]:
        """Saved latents, and frames of films where no latent was saved."""
        files = [file for node in outputs.values() for file in node.get("latents", [])]
        latents = {
            file["filename"]: load_file(self.base / "output" / file["subfolder"] / file["filename"])["latent_tensor"]
            for file in files
        }
        films = [file for node in outputs.values() for file in node.get("video", []) if not latents]
        return latents, {file["filename"]: runs.film(self.client, file) for file in films}

    def digests(self) -> dict[str, str]:
        """Every good prompt run anew: a digest of its latents and of the frames it wrote."""
        made = {}
        for name, prompt in good_prompts().items():
            self.client.json("/free", {"free_memory": True})
            entry = self._ended(self.client.submit(prompt), 120)
            if entry is None or entry["status"]["status_str"] != "success":
                made[name] = (
                    f"failed: {judge.of_error(dict((entry or {'status': {}})['status'].get('messages', []))['execution_error']) if entry else 'no answer'}"
                )
                continue
            latents, films = self._results(entry["outputs"])
            digest = hashlib.sha256()
            for key in sorted(latents):
                digest.update(latents[key].contiguous().numpy().tobytes())
            for key in sorted(films):
                digest.update(films[key].tobytes())
            made[name] = digest.hexdigest()[:16]
        return made

    def load(self) -> dict[str, int]:
        """What the process holds: memory in MiB, threads, open files, children."""
        self.client.json("/history", {"clear": True})
        process = psutil.Process(self.running.process.pid)
        return {
            "memory, MiB": process.memory_info().rss >> 20,
            "threads": process.num_threads(),
            "open files": process.num_fds(),
            "child processes": len(process.children(recursive=True)),
        }

    def leftovers(self) -> list[str]:
        """Files that only stand there while something is written."""
        found = [*self.base.rglob("*.part"), *self.base.rglob("zoetrope-*")]
        return sorted(path.relative_to(self.base).as_posix() for path in found)

    def clean(self) -> None:
        """Remove what the prompts have written, so that the disk does not fill."""
        for path in (self.base / "output").rglob("*"):
            if path.is_file() and path.suffix != ".part":
                path.unlink()
        self.client.json("/history", {"clear": True})


@contextlib.contextmanager
def storm(host: Host, patience: float = 1.0) -> Iterator[Storm]:
    """A fresh server with everything it writes, temporary files too, below the host's base folder."""
    with server.running(host, extra=["--cpu"]) as running:
        yield Storm(host.base, running, patience)


def results(weather: Storm, trials: Iterable[Trial], often: int = 200) -> Iterator[Result]:
    """Send every trial; what it wrote is removed from time to time. A server that is gone or blocked ends the storm."""
    for number, trial in enumerate(trials):
        if number % often == often - 1:
            weather.clean()
        result = weather.send(trial)
        yield result
        if result.ends_the_storm:
            return
