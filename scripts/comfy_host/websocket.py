"""A WebSocket client (RFC 6455) as far as ComfyUI's progress messages and previews need one."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    """A connection that yields messages and answers pings."""

    def __init__(self, url: str, timeout: float = 30) -> None:
        """Connect.

        Args:
            url: ``ws://`` or ``wss://`` address with path and query.
            timeout: seconds for the handshake.

        Raises:
            OSError: no connection, or the server does not speak WebSocket.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        address = (parts.hostname or "127.0.0.1", parts.port or (443 if secure else 80))
        self._socket = socket.create_connection(address, timeout=timeout)
        if secure:
            self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=parts.hostname)
        self._buffer = bytearray()
        self._handshake(f"{parts.path or '/'}?{parts.query}", parts.netloc)

    def _handshake(self, target: str, netloc: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        request = [f"GET {target} HTTP/1.1", f"Host: {netloc}", "Upgrade: websocket", "Connection: Upgrade"]
        request += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self._socket.sendall("\r\n".join(request).encode())
        while b"\r\n\r\n" not in self._buffer:
            self._read_more()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise OSError("the server refused the WebSocket: " + head.split(b"\r\n", 1)[0].decode("latin-1"))
        self._buffer = bytearray(rest)

    def _read_more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise OSError("the server closed the WebSocket")
        self._buffer += data

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._read_more()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _peek_complete(self) -> bool:
        """Whether a whole frame is buffered, so that a timeout never tears one apart."""
        if len(self._buffer) < 2:
            return False
        length, head = self._buffer[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(self._buffer) < 2 + size:
                return False
            length, head = int.from_bytes(self._buffer[2 : 2 + size], "big"), 2 + size
        return len(self._buffer) >= head + length

    def _frame(self, timeout: float) -> tuple[bool, int, bytes] | None:
        self._socket.settimeout(timeout)
        while not self._peek_complete():
            try:
                self._read_more()
            except socket.timeout:  # noqa: UP041 (TimeoutError only since Python 3.10)
                return None
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._take(8))[0]
        return bool(first & 0x80), first & 0x0F, self._take(length)

    def _send(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._socket.sendall(bytes((0x80 | opcode, 0x80 | len(payload))) + mask + masked)

    def send(self, text: str) -> None:
        """Send a text message."""
        self._send(TEXT, text.encode())

    def message(self, timeout: float = 1.0) -> str | bytes | None:
        """The next message, text or binary, or None when none came within the timeout.

        Args:
            timeout: seconds to wait for the next frame.

        Raises:
            OSError: the connection is gone.
        """
        kind, parts = TEXT, []
        while True:
            frame = self._frame(timeout)
            if frame is None:
                return None
            final, opcode, payload = frame
            if opcode == PING:
                self._send(PONG, payload)
            elif opcode == CLOSE:
                raise OSError("the server closed the WebSocket")
            elif opcode in (0, TEXT, BINARY):
                if opcode:
                    kind, parts = opcode, []
                parts.append(payload)
                if final:
                    whole = b"".join(parts)
                    return whole.decode("utf-8", "replace") if kind == TEXT else whole

    def receive(self, timeout: float = 1.0) -> str | None:
        """The next text message; as ``message``, past the binary ones."""
        while isinstance(message := self.message(timeout), bytes):
            pass
        return message

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()
