"""Following a prompt: events of the server in, lines of text out, the finished entry of the history back."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TextIO

from .client import Client, Prompt, PromptError, failure_text
from .errors import SetupError
from .websocket import WebSocket

ENDINGS = ("execution_success", "execution_error", "execution_interrupted")


def clock(seconds: float) -> str:
    """1:05 for 65 seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Turns event messages into one line: node, step, window, time left.

    On a terminal the line is rewritten in place; in a file or a pipe each new step is a line of its own.
    """

    def __init__(self, prompt: Prompt, out: TextIO | None = None, now=time.monotonic) -> None:
        self.prompt = prompt
        self.out = out or sys.stdout
        self.now = now
        self.live = self.out.isatty()
        self.node: str | None = None
        self.began = 0.0
        self.window: dict[str, Any] | None = None
        self.trains = False  # its own line says more than the steps of the bar
        self.shown = ""

    def handle(self, event: str, data: dict[str, Any]) -> None:
        """Take one message of the server in."""
        if event == "executing":
            self._enter(data.get("node"))
        elif event == "zoetrope.progress":
            self._enter(data.get("node"))
            self.window = data
            self._show_window(data)
        elif event == "zoetrope.training":
            self._enter(data.get("node"))
            self.trains = True
            self._show_training(data)
        elif event == "progress" and not self.trains:
            self._enter(data.get("node"))
            self._show(f"{data.get('value')}/{data.get('max')}", data.get("value", 0) / max(data.get("max", 1), 1))

    def _enter(self, node: str | None) -> None:
        if node is None or node == self.node:
            return
        self.node, self.began, self.window, self.trains = node, self.now(), None, False
        self._write(self._title())

    def _title(self) -> str:
        return str(self.prompt.get(str(self.node), {}).get("class_type", f"node {self.node}"))

    def _show_window(self, data: dict[str, Any]) -> None:
        # step and window count from 0 and say what starts now
        step, steps, window, windows = (data.get(key, 0) for key in ("step", "steps", "window", "windows"))
        done = (step + window / max(windows, 1)) / max(steps, 1)
        text = f"step {step + 1}/{steps}, window {window + 1}/{windows} of {data.get('frames')} frames"
        self._show(text, done)

    def _show_training(self, data: dict[str, Any]) -> None:
        step, steps, loss, seconds = (data.get(key, 0) for key in ("step", "steps", "loss", "seconds"))
        loss = "left out" if loss is None else f"loss {loss:.4f}"
        left = clock(seconds * (steps - step))
        self._write(f"{self._title()}: step {step}/{steps}, {loss}, {seconds:.2f} s a step, {left} left")

    def _show(self, text: str, done: float) -> None:
        elapsed = self.now() - self.began
        left = f", {clock(elapsed / done - elapsed)} left" if 0 < done < 1 and elapsed > 1 else ""
        self._write(f"{self._title()}: {text}{left}")

    def _write(self, line: str) -> None:
        if line == self.shown:
            return
        if self.live:
            print(f"\r{line:<{len(self.shown)}}", end="", file=self.out, flush=True)
        else:
            print(line, file=self.out, flush=True)
        self.shown = line

    def end(self) -> None:
        """Leave the rewritten line behind."""
        if self.live and self.shown:
            print(file=self.out, flush=True)


def _concerns(message: dict, prompt_id: str) -> bool:
    # our own event carries no prompt id: it is sent to the client whose prompt runs
    return message["data"].get("prompt_id", prompt_id) == prompt_id


def _follow(client: Client, socket: WebSocket, prompt_id: str, progress: Progress) -> None:
    """Show events until the prompt ends; silence and a lost socket are covered by asking the history."""
    asked = time.monotonic()
    while True:
        text = socket.receive(timeout=1.0)
        message = json.loads(text) if text else {}
        # events of other packs may carry anything
        if isinstance(message.get("data"), dict) and _concerns(message, prompt_id):
            progress.handle(message.get("type", ""), message["data"])
            if message.get("type") in ENDINGS:
                return
        if time.monotonic() - asked > 5:
            asked = time.monotonic()
            if client.history(prompt_id) is not None:
                return


def run_prompt(client: Client, prompt: Prompt, out: TextIO | None = None) -> dict:
    """Queue a prompt, show its progress and wait for the end.

    A KeyboardInterrupt cancels this prompt, and no other, before it goes on.

    Args:
        client: the server.
        prompt: graph in API format.
        out: where progress goes, standard output by default.

    Returns:
        The prompt's entry in the history.

    Raises:
        PromptError: the server refused it, or a node failed.
        SetupError: the server refuses the connection that progress comes through.
    """
    try:
        socket = WebSocket(client.websocket_url)
    except OSError as error:
        raise SetupError(f"{client.url} refuses the connection for progress messages: {error}.") from error
    try:
        prompt_id = client.submit(prompt)
        progress = Progress(prompt, out)
        try:
            try:
                _follow(client, socket, prompt_id, progress)
            except OSError:
                print("The progress connection was lost; waiting for the result.", file=out or sys.stdout)
            entry = wait_for_history(client, prompt_id)
        except KeyboardInterrupt:
            client.cancel(prompt_id)
            raise
        finally:
            progress.end()
    finally:
        socket.close()
    if entry.get("status", {}).get("status_str") != "success":
        raise PromptError(failure_text(entry.get("status", {})))
    return entry


def wait_for_history(client: Client, prompt_id: str, seconds: float = 24 * 3600) -> dict:
    """The prompt's history entry, asked for until it is there.

    Raises:
        PromptError: it did not end in time.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        entry = client.history(prompt_id)
        if entry is not None:
            return entry
        time.sleep(0.5)
    raise PromptError(f"prompt {prompt_id} did not end within {seconds:.0f} s")
