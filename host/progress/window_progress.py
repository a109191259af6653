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
        self.step, self.steps, self.windows, self.frames = step, steps, windows, frames
        self.sent = -INTERVAL

    def start_window(self, window: int) -> None:
        """Announce that window number ``window`` (from 0) starts."""
        now = time.monotonic()
        if self.server is None or self.node is None or now - self.sent < INTERVAL:
            return
        self.sent = now
        facts = {"step": self.step, "steps": self.steps, "windows": self.windows, "frames": self.frames}
        self.server.send_sync(EVENT, {"node": self.node, "window": window, **facts}, self.server.client_id)
        if self.windows > 1:
            line = f"step {self.step + 1} of {self.steps}, window {window + 1} of {self.windows}"
            self.server.send_progress_text(line, self.node, self.server.client_id)
