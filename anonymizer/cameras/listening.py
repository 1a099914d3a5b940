"""What every door to strangers needs: who is this machine, who has guessed too often, who is here, and TLS."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from anonymizer.cameras.settings import Server
from anonymizer.errors import ConfigError

_FREE_FAILURES = 3  # somebody mistypes
_LONGEST_WAIT_S = 60.0
_FORGOTTEN_AFTER_S = 600.0
_MOST_ADDRESSES = 4096
_LASTING = (errno.EADDRINUSE, errno.EACCES)


def is_loopback(host: str) -> bool:
    """Whether this host is this machine under every resolver.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("localhost.example.org")
    (True, True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def network_of(address: str) -> str:
    """An address, or the network that one IPv6 customer has to himself.

    >>> network_of("192.0.2.7"), network_of("::ffff:192.0.2.7"), network_of("2001:db8::7")
    ('192.0.2.7', '192.0.2.7', '2001:db8::/64')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def tls_of(server: Server) -> ssl.SSLContext | None:
    """How this server proves who it is and keeps what it sends; None if it has no certificate."""
    if server.certificate is None:
        if server.key is not None:
            raise ConfigError(f"{server.key} is a key without a certificate", hint="set both")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A password of its own would be asked for on a terminal that is not there, and wait for ever.
        context.load_cert_chain(server.certificate, server.key, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or "they cannot be read"
        raise ConfigError(
            f"{server.certificate}: certificate and key cannot be used: {reason}",
            hint="both have to be PEM files, the key's one without a password, and belong together",
        ) from error
    return context


def why_not_free(server: Server) -> str | None:
    """Why nobody could listen there, or None; also None for what may come by itself: an address, or a name, of a network that is not up yet."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(server.host.strip("[]"), server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            with socket.socket(family, kind, protocol) as probe:
                # As the servers do: what lingers from a run that has just ended is no hindrance.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen(1)
    except OSError as error:
        if error.errno in _LASTING:
            return f"{server.host} port {server.port}: {(error.strerror or str(error)).lower()}"
    return None


class Attempts:
    """Wrong credentials, counted per address: after a few, each doubles the time in which none are looked at."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when the last one was

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try again."""
        count, last_s = self._failures.get(network_of(address), (0, 0.0))
        if count < _FREE_FAILURES:
            return 0.0
        pause_s = min(_LONGEST_WAIT_S, 2.0 ** min(count - _FREE_FAILURES, 10))
        return max(0.0, last_s + pause_s - self._clock())

    def failed(self, address: str) -> None:
        """Credentials from this address were wrong."""
        network, now_s = network_of(address), self._clock()
        count, last_s = self._failures.pop(network, (0, now_s))
        self._failures[network] = (1 if now_s - last_s > _FORGOTTEN_AFTER_S else count + 1, now_s)
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """They were right."""
        self._failures.pop(network_of(address), None)


class Places:
    """Counts those who are here, so that there are never too many, in all or from one address."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._taken: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Whether there was a place; it has to be left again."""
        network = network_of(address)
        if self._taken.total() >= self._most or self._taken[network] >= self._most_per_address:
            return False
        self._taken[network] += 1
        return True

    def leave(self, address: str) -> None:
        """Somebody who had a place goes."""
        network = network_of(address)
        self._taken[network] -= 1
        if self._taken[network] <= 0:
            del self._taken[network]
