"""`cameras.yaml` as checked settings: whole, or refused with the key that is wrong; and what a changed file changes.

Defaults, a camera's section and what was said on the command line are laid over one another, above the camera's profile.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from anonymizer.cameras.addresses import INPUT_SCHEMES, fault_of, scheme_of
from anonymizer.cameras.outputs import named, output_from, require_apart
from anonymizer.cameras.references import OTHERS_READ, Place, References
from anonymizer.cameras.servers import server_from
from anonymizer.cameras.settings import Camera, Output, Streaming
from anonymizer.config import Config, LoadedConfig, as_config_error, did_you_mean, load_config, read_yaml
from anonymizer.errors import ConfigError

LIVE_PROFILE = "live"
_SECTIONS = ("defaults", "serve", "web", "cameras")
_CAMERA_KEYS = (*(key for key in Camera.model_fields if key not in ("name", "config")), "url_file", "profile")
_KEYS = (*_CAMERA_KEYS, *Config.model_fields)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# What YAML quotes may be a password, unless it is one letter or the name of a kind of token.
_QUOTED = re.compile(r"'(?:(?P<harmless>\\?.|<[a-z ]+>)|[^']*)'")
_LOOKAHEAD_S = Camera.model_fields["lookahead_s"].default
_SEE = "all keys stand in docs/live.md"
# Keys of the configuration that say nothing about a stream, what may stand there nevertheless, and why nothing else may.
_NOT_LIVE: dict[str, tuple[tuple[Any, ...], str]] = {
    "span": ((), "a stream has no end to count from: start and stop it instead"),
    "keep": (("none", "", []), "a camera's data and metadata tell where it hangs: they are dropped"),
    "on_damage": (("cover",), "damaged frames are always covered whole, and the stream goes on"),
    "plan": ((), "a plan belongs to a file: anonymizer run IN --plan FILE"),
}
_CODECS = ("libx264", "libx265")  # media/live_encoding.py has their options; imported from there they would bring FFmpeg


@dataclass(frozen=True, slots=True)
class Differences:
    """What one set of settings changes in another; everything that is not named stays as it is."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    servers: tuple[str, ...]  # of "serve" and "web"


def load_cameras(
    file: Path, values: Mapping[str, Any] | None = None, *, profile: str = LIVE_PROFILE, said_as: Mapping[str, str] | None = None, **over: Any
) -> Streaming:
    """Read a file; `values` (by dotted key of the configuration) and `over` (`serve`, `web`, `lookahead_s`) are laid over it."""
    try:
        document = read_yaml(file)
        mode = file.stat().st_mode
    except ConfigError as error:
        raise ConfigError(_QUOTED.sub(lambda found: found[0] if found["harmless"] else "'...'", error.problem), hint=error.hint) from None
    exposed = f"other users of this machine may read the password: chmod 600 {file.name}, or write ${{VAR}} or a file for it" if mode & OTHERS_READ else None
    return streaming_from(document, values, name=file.name, profile=profile, said_as=said_as, exposed=exposed, **over)


def streaming_from(
    document: Mapping[str, Any],
    values: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    profile: str = LIVE_PROFILE,
    said_as: Mapping[str, str] | None = None,
    exposed: str | None = None,
    environment: Mapping[str, str] | None = None,
    serve: Any = None,
    web: Any = None,
    lookahead_s: Any = None,
) -> Streaming:
    """Settings from what a file holds; ConfigError naming `name`, section and key, or the flag that `said_as` has for them.

    `exposed` is the warning for passwords that stand there as they are.
    """
    place = Place(name, said_as or {})
    references = References(place, os.environ if environment is None else environment)
    for key in document:
        if key not in _SECTIONS:
            raise ConfigError(f"{name}: no such key: {key}", hint=did_you_mean(key, _SECTIONS))
    defaults = _section(document.get("defaults"), "defaults", place)
    sections = document.get("cameras")
    if not isinstance(sections, Mapping) or not sections:
        raise place.error("", "cameras", "names no camera", "write below it: NAME: rtsp://HOST/PATH")
    said = {"lookahead_s": lookahead_s} if lookahead_s is not None else {}
    reading = _Reading(place, references, defaults, said, values or {}, profile, said_as or {})
    cameras = tuple(reading.camera(key, value) for key, value in sections.items())
    warnings = [f"{camera.name}: insecure: certificates are not checked, whoever stands between can watch" for camera in cameras if _is_insecure(camera)]
    servers = {}
    for kind, given in (("serve", serve), ("web", web)):
        value = document.get(kind) if given is None else given
        if value is not None:
            servers[kind], more = server_from(value, kind, references, place)
            warnings += more
    if exposed is not None and references.literals:
        warnings.append(f"{', '.join(dict.fromkeys(references.literals))}: {exposed}")
    warnings += references.open_files
    require_apart(cameras, servers.get("serve"), place)
    filled = frozenset(references.filled)
    return Streaming(cameras=cameras, serve=servers.get("serve"), web=servers.get("web"), warnings=tuple(warnings), filled=filled)


def differences(old: Streaming, new: Streaming) -> Differences:
    """What has to be started, stopped and started again to come from one to the other."""
    before, after = ({camera.name: camera for camera in settings.cameras} for settings in (old, new))
    return Differences(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in after if name in before and after[name] != before[name]),
        servers=tuple(kind for kind in ("serve", "web") if getattr(old, kind) != getattr(new, kind)),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """What all cameras of a file have in common."""

    place: Place
    references: References
    defaults: Mapping[str, Any]
    said: Mapping[str, Any]  # keys of cameras that the command line set
    values: Mapping[str, Any]  # keys of the configuration that it set
    profile: str
    said_as: Mapping[str, str]

    def camera(self, name: str, value: Any) -> Camera:
        """One checked camera."""
        where = f"cameras.{name}"
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{self.place.section('cameras')}: {name!r} cannot stand in an address", hint="use letters, digits, - and _; title: is for people"
            )
        own = _section({"url": value} if isinstance(value, str | int) and not isinstance(value, bool) else value, where, self.place)
        below = {key: item for key, item in self.defaults.items() if key not in ("url", "url_file") or not own.keys() & {"url", "url_file"}}
        merged = {**below, **own, **self.said}

        def holder(key: str) -> str:
            return where if key in own or key not in below else "defaults"

        values = {key: item for key, item in merged.items() if key in Camera.model_fields and key not in ("url", "outputs")}
        config = self._config(where, own, merged, holder)
        values |= {"name": name, "url": self._url(name, merged, holder), "outputs": self._outputs(name, merged, holder), "config": config}
        values["lookahead_s"] = config.tracking.lookahead_s
        try:
            return Camera.model_validate(values)
        except ValidationError as error:
            origins = {key: self.said_as.get(f"{where}.{key}") or self.place.section(holder(key)) for key in values}
            origins |= {key: self.said_as[key] for key in self.said}
            raise as_config_error(error, origins, otherwise=_SEE) from None

    def _url(self, name: str, merged: Mapping[str, Any], holder: Callable[[str], str]) -> str:
        where = holder("url_file" if merged.get("url_file") is not None else "url")
        given = {key: merged[key] for key in ("url", "url_file") if key in merged}
        given = {key: str(item) if key == "url" and type(item) is int else item for key, item in given.items()}  # a webcam's number
        url = self.references.text(named(given, name), where, "url")
        if url is None:
            raise self.place.error(where, "url", "is missing", "write an address, a file or a webcam's number, or url_file: FILE")
        scheme = scheme_of(url)
        if scheme is None and not (url.isascii() and url.isdigit()) and not os.path.exists(url):  # Path.exists raises for names that are too long
            raise self.place.error(
                where, "url", f"{Path(url).name}: there is no such file", "name a file that exists, or an address that begins with rtsp:// or another scheme"
            )
        if scheme is not None and scheme not in INPUT_SCHEMES:
            raise self.place.error(where, "url", f"nothing is read from {scheme}://", f"there are {', '.join(INPUT_SCHEMES)}, a file, and a webcam's number")
        if scheme is not None and (fault := fault_of(url)) is not None:
            raise self.place.error(where, "url", *fault)
        return url

    def _outputs(self, name: str, merged: Mapping[str, Any], holder: Callable[[str], str]) -> tuple[Output, ...]:
        where, given = holder("outputs"), merged.get("outputs", [])
        if not isinstance(given, list | tuple):
            given = [given]
        return tuple(output_from(value, f"{where}.outputs.{index}", name, self.references, self.place) for index, value in enumerate(given))

    def _config(self, where: str, own: Mapping[str, Any], merged: Mapping[str, Any], holder: Callable[[str], str]) -> Config:
        profile = merged.get("profile", self.profile)
        if not isinstance(profile, str):
            raise self.place.error(holder("profile"), "profile", "is no text", "see all with: anonymizer config profiles")
        layers = [
            (self.place.section(at), {key: item for key, item in part.items() if key in Config.model_fields})
            for at, part in (("defaults", self.defaults), (where, own))
        ]
        values, said_as = dict(self.values), dict(self.said_as)
        lookahead_s = merged.get("lookahead_s", _LOOKAHEAD_S)
        values["tracking.lookahead_s"] = lookahead_s
        said_as["tracking.lookahead_s"] = self.said_as.get("lookahead_s") or self.place.at(holder("lookahead_s"), "lookahead_s")
        if not any("backfill_s" in _mapping(part.get("tracking")) for _, part in layers) and isinstance(lookahead_s, int | float):
            values["tracking.backfill_s"] = min(load_config(profile=profile).config.tracking.backfill_s, lookahead_s)
        loaded = load_config(values, profile=profile, layers=layers, said_as=said_as)
        for key in ("zones", "ignore_zones"):
            if any(zone.span is not None for zone in getattr(loaded.config, key)):
                raise _refusal(loaded, key, "a time means nothing in a stream without a beginning", "leave out what stands behind the @")
        if (codec := loaded.config.encoding.codec) not in (None, *_CODECS):
            raise _refusal(loaded, "encoding.codec", f"{codec} cannot be used for a stream", f"leave it out, or write {' or '.join(_CODECS)}")
        return loaded.config


def _section(value: Any, where: str, place: Place) -> dict[str, Any]:
    """A camera's keys, or the defaults', without those that are empty; ConfigError for what is none or means nothing live."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place.section(where)}: is no section", hint="write an address, or keys below it")
    section = {key: item for key, item in value.items() if item is not None}
    for key, item in section.items():
        if key in _NOT_LIVE:
            harmless, hint = _NOT_LIVE[key]
            if item not in harmless:
                raise place.error(where, key, "has no meaning in a stream", hint)
        elif key not in _KEYS:
            raise ConfigError(f"{place.section(where)}: no such key: {key}", hint=did_you_mean(key, _KEYS, otherwise=_SEE))
    if "lookahead_s" in _mapping(section.get("tracking")):
        raise place.error(where, "tracking.lookahead_s", "is the camera's own key here", "write lookahead_s beside url, not below tracking")
    return section


def _refusal(loaded: LoadedConfig, key: str, problem: str, hint: str) -> ConfigError:
    origin = loaded.origin(key)
    return ConfigError(f"{origin}: {problem}" if origin.startswith("-") else f"{origin}: {key}: {problem}", hint=hint)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_insecure(camera: Camera) -> bool:
    return camera.insecure or any(getattr(output, "insecure", False) for output in camera.outputs)
