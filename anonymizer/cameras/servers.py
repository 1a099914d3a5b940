"""The two servers as people write them: "127.0.0.1:8554", or a section with credentials and a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from anonymizer.cameras.addresses import host_and_port
from anonymizer.cameras.listening import is_loopback
from anonymizer.cameras.references import Place, References
from anonymizer.cameras.settings import Server
from anonymizer.config import did_you_mean

PORTS = {"serve": 8554, "web": 8080}
_FILES = ("certificate", "key")


def server_from(value: Any, kind: str, references: References, place: Place) -> tuple[Server, tuple[str, ...]]:
    """A checked server ("serve" or "web"), and what whoever asked for it should know."""
    section = value if isinstance(value, Mapping) else {"host": value}
    server = _read(section, kind, references, place)
    for problem, hint in _faults(server, kind):
        raise place.error("", kind, problem, hint)
    if is_loopback(server.host) or server.certificate is not None:
        return server, ()
    # Digest keeps the RTSP password; the page's token travels as it is.
    words = "pictures travel unencrypted" if kind == "serve" else "pictures and token travel unencrypted"
    return server, (f"{kind}: {words}: set certificate and key, or put a proxy with TLS in front",)


def _read(section: Mapping[str, Any], kind: str, references: References, place: Place) -> Server:
    known = ["host", "port", "user", "password", "password_file", *_FILES]
    if kind == "web":
        known += ["token", "token_file"]
    for key in section:
        if key not in known:
            raise place.error("", kind, f"no such key: {key}", did_you_mean(key, known))
    host = section.get("host")
    host = "127.0.0.1" if host is None else str(host)
    host = f":{host}" if host.isascii() and host.isdigit() else host
    if (found := host_and_port(host, PORTS[kind])) is None:
        raise place.error("", kind, "is no place to listen at", f"write host and port, for instance 127.0.0.1:{PORTS[kind]}; ports end at 65535")
    values: dict[str, Any] = {"host": found[0], "port": found[1] if section.get("port") is None else section["port"]}
    values |= {key: references.text(section, kind, key) for key in ("user", "password", "token", *_FILES)}
    try:
        return Server.model_validate(values)
    except ValidationError as error:
        raise place.error(kind, "port", "is no port", "a number from 0 to 65535") from error


def _faults(server: Server, kind: str) -> list[tuple[str, str]]:
    faults = []
    if (server.user is None) != (server.password is None):
        faults.append(("a user needs a password, and a password a user", "write both: user, and password or password_file"))
    if kind == "serve" and ":" in (server.user or ""):
        faults.append(("a user with a colon cannot log in", "choose a name without one"))
    if (server.certificate is None) != (server.key is None):
        faults.append(("a certificate needs its key, and a key its certificate", "write both: certificate and key"))
    faults += [(f"{path.name}: there is no such file", "name a PEM file") for path in (server.certificate, server.key) if path and not Path(path).is_file()]
    if not is_loopback(server.host):
        if server.password is None and server.token is None:
            wanted = "user and password_file" if kind == "serve" else "token_file"
            hint = f"in a file for --config, below {kind}, write {wanted}, and certificate and key for TLS; or listen on 127.0.0.1"
            faults.append((f"{server.host} is open to other machines, and anybody could watch", hint))
        elif kind == "web" and server.password is not None and server.certificate is None:
            faults.append(("the password would travel unencrypted", "write certificate and key, or a token in its place behind a proxy with TLS"))
    return faults
