"""Built-in values, then a profile, then a file, then what was said on the command line: one checked Config.

Later layers win, key by key. Zones alone add up: a `--zone` must not uncover what a profile covers.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from anonymizer.config.schema import Config, HintedError
from anonymizer.errors import ConfigError
from anonymizer.regular import read_regular

_ADDING_UP = {"zones"}
_LONGEST_SAID = 300  # characters: a wrong value may be as long as the file, and YAML's aliases make it longer than the memory
_SAID = reprlib.Repr()
_SAID.maxlevel, _SAID.maxstring, _SAID.maxother = 2, 100, 100
_BARE_COLOR = re.compile(r"^[ \t]*color:[ \t]+(#[0-9a-fA-F]{3,8})[ \t]*$", re.MULTILINE)
_AS_YAML = "write it as YAML: a key, a colon, a value"
_SEE_KEYS = "see all keys and their values with: anonymizer config keys"
_MOST_BYTES = 1 << 20  # of a file of your own; the longest profile has some thousands


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A checked configuration, and for each key ("encoding.crf") the name of the layer that set it."""

    config: Config
    origins: Mapping[str, str]

    def origin(self, key: str) -> str:
        """Where a value came from, "built in" if nothing set it."""
        if key in self.origins:
            return self.origins[key]
        inside = dict.fromkeys(origin for name, origin in self.origins.items() if name.startswith(f"{key}."))
        return " + ".join(inside) or "built in"


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: PyYAML keeps the last, and the zones of the first would be lost."""


def _mapping_without_repeats(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"the key {_SAID.repr(key)} is not text", key_node.start_mark)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def load_config(
    values: Mapping[str, Any] | None = None,
    *,
    profile: str = "default",
    file: Path | None = None,
    layers: Sequence[tuple[str, Mapping[str, Any]]] = (),
    said_as: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Lay `values` over `layers` over a YAML file over a profile over what is built in; ConfigError with the key and where it stands.

    `layers` are named, the lowest first, with keys as in YAML; `values` are by dotted key ("encoding.crf"), and `said_as` names
    them as the caller does ("--crf").
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    _lay(merged, origins, _read_yaml(_profile_text(profile), f"profile {profile}"), f"profile {profile}")
    if file is not None:
        _lay(merged, origins, read_yaml(file), file.name)
    for name, layer in layers:
        _lay(merged, origins, layer, name)
    return _with_values(merged, origins, values or {}, said_as or {})


def read_yaml(file: Path, *, hint: str = "name a YAML file with --config") -> dict[str, Any]:
    """The keys of a YAML file; ConfigError for whatever is none (with that hint where it cannot be read), and for a key that stands twice."""
    try:
        text = read_regular(file, _MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{file.name}: {reason.lower()}", hint=hint) from error
    return _read_yaml(text, file.name)


def replaced(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with some keys set otherwise; zones are added. ConfigError as from `load_config`."""
    return _with_values(config.model_dump(mode="json"), {}, values, {}).config


def _with_values(merged: dict[str, Any], origins: dict[str, str], values: Mapping[str, Any], said_as: Mapping[str, str]) -> LoadedConfig:
    for key, value in values.items():
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        _lay(merged, origins, nested, said_as.get(key, "argument"))
    try:
        return LoadedConfig(Config.model_validate(merged), origins)
    except ValidationError as error:
        raise as_config_error(error, origins) from error


def profile_names() -> tuple[str, ...]:
    """The profiles that come with the program, sorted."""
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in _profiles_folder().iterdir() if entry.name.endswith(".yaml")))


def all_keys(model: type[BaseModel] = Config, before: str = "") -> Iterator[str]:
    """Every dotted key in the order of the schema; a section's keys follow its name."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from all_keys(field.annotation, f"{before}{name}.")
        else:
            yield before + name


def _profiles_folder() -> Any:
    inside = resources.files("anonymizer") / "configs"
    # In a checkout they lie beside the package; the wheel has them inside.
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "configs"


def _profile_text(name: str) -> str:
    if name not in profile_names():
        raise ConfigError(f"profile {name}: there is none of that name", hint=did_you_mean(name, profile_names()))
    return str((_profiles_folder() / f"{name}.yaml").read_text(encoding="utf-8"))


def _read_yaml(text: str, name: str) -> dict[str, Any]:
    if bare := _BARE_COLOR.search(text):
        line = text.count("\n", 0, bare.start(1)) + 1
        raise ConfigError(f"{name}: line {line}: for YAML {bare[1]} is a comment, and no colour", hint=f'put it in quotes: color: "{bare[1]}"')
    try:
        found = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        hint = "YAML is indented with spaces, never with tabs" if "'\\t'" in problem else _AS_YAML
        raise ConfigError(_cut(f"{name}: {where}{problem}"), hint=hint) from error
    except ValueError as error:  # A date without such a day, a number of more digits than Python reads.
        raise ConfigError(_cut(f"{name}: a value cannot be read ({error})"), hint="write dates and long numbers in quotes") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: is nested too deeply", hint=_AS_YAML) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{name}: holds no keys", hint=_AS_YAML)
    return found


def _lay(below: dict[str, Any], origins: dict[str, str], above: Mapping[str, Any], name: str, before: str = "") -> None:
    """Lay one layer over another, noting for each key who set it."""
    for key, value in above.items():
        path = before + key
        if isinstance(value, Mapping):
            section = below.setdefault(key, {})
            if not isinstance(section, dict):
                section = below[key] = {}
            if not value:
                origins.setdefault(path, name)
            _lay(section, origins, value, name, f"{path}.")
        elif value is None and path in _never_empty():
            continue  # A section, or a list, whose lines are all commented out.
        elif path in _ADDING_UP and below.get(key) and value:
            below[key] = [*_as_list(below[key]), *_as_list(value)]
            origins[path] = f"{origins[path]} + {name}" if path in origins else name
        else:
            below[key] = list(value) if isinstance(value, tuple) else value
            origins[path] = name


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


@cache
def _never_empty() -> frozenset[str]:
    """Sections, and keys that hold something even when nothing is set."""
    sections = {key.rpartition(".")[0] for key in all_keys()} - {""}
    values = Config().model_dump()
    filled = {key for key in all_keys() if "." not in key and values[key] is not None}
    return frozenset(sections | filled)


def as_config_error(error: ValidationError, origins: Mapping[str, str], *, otherwise: str = _SEE_KEYS) -> ConfigError:
    """The first thing that is wrong, with where it was said; a mistyped key with the nearest real one."""
    first = error.errors(include_url=False)[0]
    key = ".".join(part for part in first["loc"] if isinstance(part, str))
    cause, value, hint = first.get("ctx", {}).get("error"), _SAID.repr(first["input"]), None
    if first["type"] == "extra_forbidden":
        return ConfigError(_cut(f"{_origin_of(key, origins)}: no such key: {key}"), hint=did_you_mean(key, list(all_keys())))
    if isinstance(cause, HintedError):
        key, problem, hint = cause.key, cause.problem, cause.hint
    elif first["type"] == "value_error":
        problem = str(cause)
    elif first["type"] == "literal_error":
        expected = str(first["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        problem, hint = f"{value} is not one of {expected}", did_you_mean(value.strip("'"), expected.split(", "))
    elif first["type"] == "model_type":
        problem, hint = f"{value} is not a section", f"write its keys below it: {', '.join(name for name in all_keys() if name.startswith(f'{key}.'))}"
    else:
        problem = f"{value}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    said = _origin_of(key, origins)
    spoken = f"{said}: {problem}" if said.startswith("-") else f"{said}: {key}: {problem}"
    return ConfigError(_cut(spoken), hint=_cut(hint) if hint else otherwise)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SAID else f"{text[:_LONGEST_SAID]}..."


def _origin_of(key: str, origins: Mapping[str, str]) -> str:
    """Who set a key, or the nearest section above or below it."""
    parts = key.split(".")
    while parts:
        path = ".".join(parts)
        if path in origins:
            return origins[path]
        below = [origin for other, origin in origins.items() if other.startswith(f"{path}.")]
        if below:
            return below[-1]
        parts.pop()
    return "configuration"


def did_you_mean(word: str, choices: Any, otherwise: str = "see all keys with: anonymizer config keys") -> str:
    """A hint for a mistyped word: the nearest choice, or all of them if they are few, or `otherwise`."""
    listed = ", ".join(choices)
    if near := difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5):
        return f"did you mean {near[0]}?"
    # The last part alone: "crf" for "encoding.crf".
    if inside := [choice for choice in choices if choice.rpartition(".")[2] == word.rpartition(".")[2]]:
        return f"did you mean {inside[0]}?"
    return f"there are {listed}" if len(listed) < 120 else otherwise
