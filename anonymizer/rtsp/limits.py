"""What the server bears: strangers get no more of it, whatever they send or fail to read."""

from __future__ import annotations

from dataclasses import dataclass

from anonymizer.ipc.packets import MOST_QUEUED_BYTES, MOST_QUEUED_S


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of the server. Tests make them smaller, nobody else changes them."""

    connections: int = 256
    connections_per_address: int = 64
    viewers: int = 128
    viewers_per_address: int = 32
    head_bytes: int = 16 << 10  # request line and headers together
    headers: int = 64
    line_bytes: int = 4 << 10
    body_bytes: int = 4 << 10
    frame_bytes: int = 4 << 10  # interleaved, from a client: receiver reports have a hundred bytes
    messages: int = 500  # from one client in `messages_s`, reports included
    messages_s: float = 5.0
    passwords: int = 5  # wrong ones on one connection
    request_s: float = 10.0  # from a request's first byte to its last; a TLS handshake as well
    idle_s: float = 30.0  # between two requests of a client that does not play
    setup_s: float = 60.0  # from the connection to PLAY
    format_s: float = 5.0  # how long DESCRIBE waits for a camera whose sealer has not sent anything yet
    stall_s: float = 10.0  # a viewer that took nothing for so long is gone
    report_s: float = 5.0  # between two RTCP sender reports (RFC 3550, section 6.2)
    queued_bytes: int = MOST_QUEUED_BYTES
    queued_s: float = MOST_QUEUED_S
    nonce_s: float = 300.0
