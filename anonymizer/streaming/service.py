"""Telling systemd how the service is (sd_notify(3)); nothing happens where no systemd asked for it."""

from __future__ import annotations

import os
import socket


def notify(words: str) -> None:
    """Send a state such as "READY=1"; a service manager that does not listen changes nothing."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        try:
            line.connect("\0" + address[1:] if address.startswith("@") else address)
            line.sendall(words.encode())
        except OSError:
            pass
