"""Tell the browser and API clients which window of which step is running.

API clients get an event; the browser shows a line on the node that samples, as the host does for its own nodes.
"""

import sys
import time

from comfy_execution.utils import get_executing_context

EVENT = "zoetrope.progress"
INTERVAL = 0.1  # seconds between messages, as core's own progress


class WindowProgress:
    """Sends one message at the start of a step and then at most every INTERVAL seconds.

    Silent without a server (scripts, tests) or outside the execution of a node.
    """

    def __init__(self, step: int, steps: int, windows: int, frames: int):
        context = get_executing_context()
        self.server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
        self.node = None if context is None else context.node_id
        self.numbers = {"step": step, "steps": steps, "windows": windows, "frames": frames}
        self.sent = -INTERVAL

    def start_window(self, window: int) -> None:
        """Announce that window number ``window`` (from 0) starts."""
        now = time.monotonic()
        if self.server is None or self.node is None or now - self.sent < INTERVAL:
            return
        self.sent = now
        message = {"node": self.node, "window": window, **self.numbers}
        self.server.send_sync(EVENT, message, self.server.client_id)
        if self.numbers["windows"] > 1:
            self.server.send_progress_text(self._line(window), self.node, self.server.client_id)

    def _line(self, window: int) -> str:
        step, steps, windows, _ = self.numbers.values()
        return f"step {step + 1} of {steps}, window {window + 1} of {windows}"
