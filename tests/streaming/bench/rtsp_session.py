"""One connection to the mini camera: requests in, answers and packets out, never waiting."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from tests.streaming.bench.rtp import Packetizer

_MOST_WAITING = 8 << 20  # bytes that a reader who does not read may leave with us


class Session:
    """RTSP as far as players need it: OPTIONS, DESCRIBE, SETUP with RTP on the connection, PLAY, GET_PARAMETER, TEARDOWN."""

    def __init__(self, end: socket.socket, ssrc: int, first_sequence: int) -> None:
        end.setblocking(False)
        self.end = end
        self.packetizer = Packetizer(ssrc, first_sequence)
        self.began_s = time.monotonic()
        self.is_playing = False
        self.needs_key = True
        self.is_mute = False  # answers nothing, sends nothing
        self.is_silent = False  # answers, sends no packet
        self.next_report_s = 0.0
        self._held = b""
        self._waiting = bytearray()

    def read(self, describe: Callable[[], str] | None) -> bool:
        """Answer what has come, nothing at all without `describe`; False if the connection is over."""
        try:
            data = self.end.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self._held += data
        return describe is None or self._answer_all(describe)

    def write(self, data: bytes) -> bool:
        """Send as much as the connection takes; False if it is over, or its reader too far behind."""
        self._waiting += data
        try:
            while self._waiting:
                del self._waiting[: self.end.send(self._waiting)]
        except BlockingIOError:
            return len(self._waiting) < _MOST_WAITING
        except OSError:
            return False
        return True

    def _answer_all(self, describe: Callable[[], str]) -> bool:
        while self._held:
            if self._held[:1] == b"$":  # a receiver report
                length = 4 + int.from_bytes(self._held[2:4], "big")
                if len(self._held) < max(4, length):
                    return True
                self._held = self._held[length:]
                continue
            head, end, rest = self._held.partition(b"\r\n\r\n")
            if not end:
                return True
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            body_bytes = int(headers.get("content-length", "0"))
            if len(rest) < body_bytes:
                return True
            self._held = rest[body_bytes:]
            if not self._answer(lines[0].split(" "), headers, describe):
                return False
        return True

    def _answer(self, request: list[str], headers: dict[str, str], describe: Callable[[], str]) -> bool:
        method, url = request[0], (request[1] if len(request) > 1 else "*")
        status, more, body = "200 OK", ["Session: 1;timeout=60"], ""
        if method == "OPTIONS":
            more = ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"]
        elif method == "DESCRIBE":
            body = describe()
            more = [f"Content-Base: {url}/", "Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP" and "TCP" not in headers.get("transport", ""):
            status, more = "461 Unsupported Transport", []
        elif method == "SETUP":
            more.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        elif method == "PLAY":
            self.is_playing = True
            more.append("Range: npt=now-")
        elif method == "TEARDOWN":
            self.is_playing = False
        elif method != "GET_PARAMETER":
            status, more = "501 Not Implemented", []
        answer = "\r\n".join([f"RTSP/1.0 {status}", f"CSeq: {headers.get('cseq', '0')}", *more]) + "\r\n\r\n" + body
        return self.write(answer.encode())
