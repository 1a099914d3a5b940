"""What a process may say of itself: checked before its supervisor acts on any of it."""

from __future__ import annotations

from typing import Any

from anonymizer.ipc.channel import Message

_LARGEST = 1e15  # of any figure: what is no number any more, or none that others can read, is larger or NaN
_DEEPEST = 3  # tables of tables: the state goes on to the page, and what is nested too deeply cannot be written


def require_ours(message: Message, role: str) -> None:
    """ValueError for what no process of ours says: one wrong figure would end the supervisor, and every camera with it."""
    checks = {
        "fault": lambda value: value is None or isinstance(value, str),
        "state": lambda value: isinstance(value, str),
        "within_s": _is_number,
        "fps": _is_number,
        "looks_per_s": _is_table if role == "detector" else _is_number,
        "counts": _is_table,
        "sinks_lost": _is_table,
    }
    for key, value in message.items():
        if not checks.get(key, _is_plain)(value):
            raise ValueError(f"no process of ours says such a {key}" if key in checks else "no process of ours says such things")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_plain(value: Any, deepest: int = _DEEPEST) -> bool:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return deepest > 0 and all(_is_plain(item, deepest - 1) for item in inner)
    return value is None or isinstance(value, str | bool) or _is_number(value)
