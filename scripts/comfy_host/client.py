"""ComfyUI's HTTP API, as far as running a prompt and fetching its files needs it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

from .errors import SetupError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
Prompt = dict[str, Any]


class PromptError(RuntimeError):
    """A prompt that ComfyUI refused or that failed; the text is ComfyUI's own, one line a fault."""


def _refusal_lines(body: dict, prompt: Prompt) -> list[str]:
    lines = []
    for node_id, node in (body.get("node_errors") or {}).items():
        title = prompt.get(node_id, {}).get("class_type", node.get("class_type", "?"))
        for error in node.get("errors", []):
            text = ": ".join(part for part in (error.get("message"), error.get("details")) if part)
            lines.append(f"node {node_id} ({title}), {error.get('type')}: {text}")
    error = body.get("error")
    if isinstance(error, dict) and not lines:
        lines.append(f"{error.get('type')}: {error.get('message')} {error.get('details') or ''}".rstrip())
    return lines or [str(error or "the prompt was refused")]


def failure_text(status: dict) -> str:
    """The node error of a failed history entry in words.

    Args:
        status: ``/history/{id}``'s ``status``.
    """
    for event, data in reversed(status.get("messages", [])):
        if event == "execution_interrupted":
            return f"interrupted in node {data.get('node_id')} ({data.get('node_type')})"
        if event == "execution_error":
            where = f"node {data.get('node_id')} ({data.get('node_type')})"
            kind = str(data.get("exception_type", "")).rsplit(".", 1)[-1]
            return f"{where}, {kind}: {str(data.get('exception_message', '')).strip()}"
    return f"the prompt ended with status {status.get('status_str')!r}"


class Client:
    """One server, one client id."""

    def __init__(self, url: str) -> None:
        """Remember the address.

        Args:
            url: as in a browser, for example ``http://127.0.0.1:8188``.

        Raises:
            SetupError: the address is not http or https.
        """
        wrong = SetupError(f"--server {url!r} is no address: use one like http://127.0.0.1:8188.")
        try:
            parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
        except ValueError as error:  # of a port that is no number, or half an IPv6 address
            raise wrong from error
        if not usable:
            raise wrong
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self.id = uuid.uuid4().hex
        # Loopback must not go through a proxy that the environment names.
        handlers = [urllib.request.ProxyHandler({})] if parts.hostname in LOOPBACK else []
        self._opener = urllib.request.build_opener(*handlers)

    @property
    def websocket_url(self) -> str:
        """Address of this client's event stream."""
        return f"ws{self.url[4:]}/ws?clientId={self.id}"

    def _send(self, path: str, body: Any, timeout: float):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": "application/json"})
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError:
            raise
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise SetupError(f"No ComfyUI answers at {self.url} ({reason}): start it, or check the address.") from error

    def open(self, path: str, body: Any = None, timeout: float = 60):
        """The raw response of GET, or of POST when there is a body.

        Raises:
            SetupError: no server answers there, or not a ComfyUI.
        """
        try:
            return self._send(path, body, timeout)
        except urllib.error.HTTPError as error:
            raise SetupError(f"{self.url}{path} answered {error.code} {error.reason}: is this a ComfyUI?") from error

    def json(self, path: str, body: Any = None) -> Any:
        """The answer of a call, None when it has no content.

        Raises:
            SetupError: as ``open``.
        """
        with self.open(path, body) as response:
            text = response.read()
        try:
            return json.loads(text) if text.strip() else None
        except ValueError as error:
            raise SetupError(f"{self.url}{path} did not answer with JSON: is this a ComfyUI?") from error

    def submit(self, prompt: Prompt) -> str:
        """Queue a prompt.

        Args:
            prompt: graph in API format.

        Returns:
            Its prompt id.

        Raises:
            PromptError: the server refused it, or part of it.
        """
        body = {"prompt": prompt, "client_id": self.id, "prompt_id": str(uuid.uuid4())}
        try:
            with self._send("/prompt", body, timeout=60) as response:
                answer = json.loads(response.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            try:
                lines = _refusal_lines(json.loads(text), prompt)
            except json.JSONDecodeError:
                lines = [f"HTTP {error.code}: {text.strip() or error.reason}"]
            raise PromptError("\n".join(lines)) from error
        if answer.get("node_errors"):
            # ComfyUI runs the branches that are sound; half an answer is not what was asked for.
            self.cancel(answer["prompt_id"])
            raise PromptError("\n".join(_refusal_lines(answer, prompt)))
        return answer["prompt_id"]

    def history(self, prompt_id: str) -> dict | None:
        """The finished prompt's entry, None while it waits or runs."""
        return self.json(f"/history/{prompt_id}").get(prompt_id)

    def cancel(self, prompt_id: str) -> None:
        """Take this prompt out of the queue, or interrupt it when it is the one that runs."""
        self.json("/queue", {"delete": [prompt_id]})
        self.json("/interrupt", {"prompt_id": prompt_id})

    def node(self, class_type: str) -> dict | None:
        """A node's description from ``/object_info``, None when the server has no such node."""
        return (self.json(f"/object_info/{urllib.parse.quote(class_type)}") or {}).get(class_type)

    def choices(self, class_type: str, name: str) -> list[str]:
        """What a combo input offers now, in either of ComfyUI's two spellings.

        Raises:
            SetupError: the server has no such node.
        """
        node = self.node(class_type)
        if node is None:
            raise SetupError(
                f"The server at {self.url} has no node {class_type}: install Zoetrope there and restart it."
            )
        inputs = node.get("input", {})
        spec = {**inputs.get("required", {}), **inputs.get("optional", {})}.get(name, [[]])
        return list(spec[0]) if isinstance(spec[0], list) else list(spec[1].get("options", []))

    def view(self, file: dict) -> bytes:
        """Contents of a file that ``/history`` names."""
        keys = {
            "filename": file["filename"],
            "subfolder": file.get("subfolder", ""),
            "type": file.get("type", "output"),
        }
        with self.open(f"/view?{urllib.parse.urlencode(keys)}", timeout=300) as response:
            return response.read()
