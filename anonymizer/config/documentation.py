"""The configuration's keys, described from the schema itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from anonymizer.config.layers import all_keys, profile_names
from anonymizer.config.presets import PRESETS
from anonymizer.config.schema import Config
from anonymizer.config.values import Span, Zone


@dataclass(frozen=True, slots=True)
class Key:
    """One key as people need to know it."""

    name: str  # dotted
    values: str
    default: str
    description: str


def config_keys() -> tuple[Key, ...]:
    """Every key, in the order of the schema."""
    return tuple(_described(name) for name in all_keys())


def said_value(value: Any) -> str:
    """A value as it is written in YAML."""
    if isinstance(value, BaseModel):
        return said_value(value.model_dump())
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {said_value(item)}" for key, item in value.items()) or "none"
    if isinstance(value, Span | Zone):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def value_at(config: Config, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def config_page() -> str:
    """docs/config.md, word for word."""
    lines = [
        "# Configuration",
        "",
        "<!-- Made by `anonymizer config keys --markdown` from anonymizer/config/schema.py; a test compares the two. -->",
        "",
        "Values come from four layers, each laid over the one before: what is built in, a profile (`--profile street`), a YAML file",
        "(`--config my.yaml`), and the flags of the command or the arguments of the library. `anonymizer config show` prints every value and",
        "the layer that set it. `zones` alone add up over the layers: no layer can uncover what another covers. An unknown key is an error.",
        "",
        "| key | values | default | what it does |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{key.name}` | {key.values} | {key.default} | {key.description} |" for key in config_keys()]
    lines += ["", "## Presets", "", "| `preset` | what it looks at |", "|---|---|"]
    lines += [f"| `{name}` | {preset.about} |" for name, preset in PRESETS.items()]
    lines += ["", "## Profiles", "", "Each is a readable file in `configs/`: " + ", ".join(f"`{name}`" for name in profile_names()) + ".", ""]
    return "\n".join(lines)


def _described(name: str) -> Key:
    model: type[BaseModel] = Config
    *sections, last = name.split(".")
    for section in sections:
        annotation = model.model_fields[section].annotation
        assert isinstance(annotation, type)
        model = annotation
    field = model.model_fields[last]
    return Key(name, _words(field.annotation, field.metadata), said_value(field.get_default(call_default_factory=True)), field.description or "")


def _words(annotation: Any, limits: Sequence[Any] = ()) -> str:
    """What may be written there, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [limit for item in arguments[1:] for limit in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return _words(arguments[0], [*limits, *inner])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        several = [_words(argument, limits) for argument in arguments if argument is not NoneType]
        return " or ".join([*several, "empty"] if NoneType in arguments else several)
    if origin is tuple:
        return f"list of {_words(arguments[0])}"
    if origin is dict:
        return f"{_words(arguments[1])} by name"
    words = {str: "text", int: "whole number", float: "number", Span: "span", Zone: "zone"}[annotation]
    low = next((limit for limit in limits if isinstance(limit, Ge | Gt)), None)
    high = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    if low is None or high is None:
        return words
    return f"{words} {low.ge if isinstance(low, Ge) else f'above {low.gt}'} to {high}"
