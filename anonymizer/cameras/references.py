"""Secrets that stand elsewhere than in a settings file: `${VAR}` in a text, or a file that `url_file`, `password_file` ... name.

Whatever goes wrong is said with the key and the variable's name, never with a value.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anonymizer.errors import ConfigError
from anonymizer.regular import read_regular

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_MOST_BYTES = 16 << 10  # of a file that holds one address or password
_BARE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_ADDRESSES = ("url", "push")
OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_SECRETS = (*_ADDRESSES, "password", "token")


class Place:
    """Where something stands in a settings file or on a command line, for errors: "cameras.yaml: cameras.gate: url"."""

    def __init__(self, name: str, said_as: Mapping[str, str]) -> None:
        self._name = name
        self._said_as = said_as

    def at(self, where: str, key: str) -> str:
        """How people know a key: as a flag, or by file, section and key."""
        path = f"{where}.{key}" if where else key
        return self._said_as.get(path) or ": ".join(part for part in (self._name, where, key) if part)

    def section(self, where: str) -> str:
        """How people know a section."""
        return self._said_as.get(where) or f"{self._name}: {where}"

    def error(self, where: str, key: str, problem: str, hint: str) -> ConfigError:
        """What is wrong with a key; the problem must not hold its value where that may be a secret."""
        return ConfigError(f"{self.at(where, key)}: {problem}", hint=hint)


class References:
    """Reads texts of a settings file, filling in what stands elsewhere."""

    def __init__(self, place: Place, environment: Mapping[str, str]) -> None:
        self._place = place
        self._environment = environment
        self.literals: list[str] = []  # keys that hold a secret as it is
        self.filled: set[str] = set()  # what variables put into addresses, but for their hosts
        self.open_files: list[str] = []  # keys that name a file with a secret, which other users may read

    def text(self, section: Mapping[str, Any], where: str, key: str) -> str | None:
        """The text of a key, or of the file that `key_file` names; None if neither is there."""
        value, file = section.get(key), section.get(f"{key}_file")
        if value is not None and file is not None:
            raise self._place.error(where, key, f"{key} and {key}_file are both there", "leave one of them out")
        if file is not None:
            return self._content(where, f"{key}_file", self._filled(where, f"{key}_file", file))
        if value is None:
            return None
        filled = self._filled(where, key, value, in_address=key in _ADDRESSES)
        if _holds_a_secret(key, value):
            self.literals.append(self._place.at(where, key))
        return filled

    def _filled(self, where: str, key: str, value: Any, *, in_address: bool = False) -> str:
        if not isinstance(value, str):
            raise self._place.error(where, key, "is no text", "put it in quotes")  # Not said: a password of digits alone is one, too.
        if not value.strip():
            raise self._place.error(where, key, "is empty", "write a text, or leave it out")
        user_end = value.rfind("@") if in_address else -1
        host = _host_in(value) if in_address else None

        def value_of(found: re.Match[str]) -> str:
            name = found[1]
            if not self._environment.get(name):
                state = "is empty" if name in self._environment else "is not set"
                raise self._place.error(
                    where,
                    key,
                    f"the environment variable {name} {state}",
                    "set it" if key.endswith("_file") else f"set it, or put the text in a file and name that: {key}_file",
                )
            # A password with @ or / in it would end the user's part of an address too early.
            text = _escaped(self._environment[name]) if found.start() < user_end else self._environment[name]
            # A whole address is none: its own secrets are found in it.
            if host is not None and found.start() not in host and "://" not in text:
                self.filled.add(text)
            return text

        return _VARIABLE.sub(value_of, value)

    def _content(self, where: str, key: str, file: str) -> str:
        try:
            text = read_regular(Path(file), _MOST_BYTES).decode("utf-8").strip("\r\n")
        except OSError as error:
            raise self._place.error(where, key, f"{Path(file).name}: {(error.strerror or str(error)).lower()}", "name a file that this user may read") from None
        except UnicodeDecodeError:
            raise self._place.error(where, key, f"{Path(file).name}: is no text", "write it as UTF-8") from None
        if not text.strip() or "\n" in text:
            raise self._place.error(where, key, f"{Path(file).name}: holds {'several lines' if text.strip() else 'nothing'}", "write one line into it")
        if _holds_a_secret(key.removesuffix("_file"), text) and Path(file).stat().st_mode & OTHERS_READ:
            self.open_files.append(f"{self._place.at(where, key)}: other users of this machine may read it: chmod 600 {Path(file).name}")
        return text


def _host_in(address: str) -> range | None:
    """Where host and port stand in an address that is not filled in yet; None where none can be told from the rest."""
    scheme, mark, rest = _VARIABLE.sub(lambda found: "_" * len(found[0]), address).partition("://")
    if not mark:
        return None
    first = len(scheme) + len(mark) + rest.rfind("@") + 1
    end = re.search(r"[/?#]|$", address[first:])
    assert end is not None
    return range(first, first + end.start())


def _escaped(value: str) -> str:
    """Percent-encoded, but for what is already, and for the colon between user and password."""
    return quote(_BARE_PERCENT.sub("%25", value), safe=":%")


def _holds_a_secret(key: str, value: str) -> bool:
    bare = _VARIABLE.sub("", value)
    if key in _ADDRESSES:
        user, at, _ = bare.partition("://")[2].rpartition("@")
        # Over HTTP (WHIP) a user alone is a token.
        return bool(at) and bool(user if bare.startswith(("http", "whip")) else user.partition(":")[2])
    return key in _SECRETS and bool(bare)
