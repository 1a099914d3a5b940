"""Outputs as people write them, and that no two of them, nor one and a camera, are the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from anonymizer.cameras.addresses import CUSTOM, OUTPUT_SCHEMES, fault_of, place_of, scheme_of
from anonymizer.cameras.listening import is_loopback
from anonymizer.cameras.references import Place, References
from anonymizer.cameras.settings import Camera, Hls, Output, Push, Record, Server
from anonymizer.config import as_config_error, did_you_mean
from anonymizer.errors import ConfigError

_SHAPES: dict[str, type[Push] | type[Record] | type[Hls]] = {"push": Push, "record": Record, "hls": Hls}
_MISSING = "write an address, a folder, or one of push, url_file, record and hls"


def output_from(value: Any, where: str, camera: str, references: References, place: Place) -> Output:
    """A checked output; `{name}` in an address or folder stands for the camera's name."""
    if isinstance(value, str):
        value = {"push" if scheme_of(value) or value.startswith(CUSTOM) else "record": value}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place.section(where)}: is no output", hint=_MISSING)
    section = {key: item for key, item in value.items() if item is not None}
    section = {"push" if key == "url" else "push_file" if key in ("url_file", "push_file") else key: item for key, item in section.items()}
    kinds = [kind for kind in _SHAPES if section.keys() & {kind, f"{kind}_file"}]
    if len(kinds) != 1:
        raise ConfigError(f"{place.section(where)}: {'is several outputs at once' if kinds else 'is no output'}", hint=_MISSING)
    (kind,) = kinds
    shape = _SHAPES[kind]
    own = {key: item for key, item in section.items() if key not in (kind, f"{kind}_file")}
    known = [key for key in shape.model_fields if key not in ("kind", "url", "folder")]
    for key in own:
        if key not in known:
            raise ConfigError(f"{place.section(where)}: no such key: {key}", hint=did_you_mean(key, [kind, *known]))
    text = references.text(named(section, camera), where, kind) or ""
    if shape is Push:
        _require_address(text, where, place)
    elif scheme_of(text) is not None:
        raise place.error(where, kind, "wants a folder, not an address", "write push for an address")
    try:
        return shape.model_validate({**own, "url" if shape is Push else "folder": text})
    except ValidationError as error:
        raise as_config_error(error, dict.fromkeys(shape.model_fields, place.section(where)), otherwise="all keys stand in docs/live.md") from None


def named(section: Mapping[str, Any], camera: str) -> dict[str, Any]:
    """The texts of a section with the camera's name for `{name}`; done first, so that no password is changed by it."""
    return {key: item.replace("{name}", camera) if isinstance(item, str) else item for key, item in section.items()}


def require_apart(cameras: Sequence[Camera], serve: Server | None, place: Place) -> None:
    """ConfigError where two outputs would write over each other, or a camera would see itself."""
    taken: dict[tuple[str, ...], str] = {}
    for camera in cameras:
        for index, output in enumerate(camera.outputs):
            where = f"cameras.{camera.name}.outputs.{index}"
            spot = place_of(output.url) if isinstance(output, Push) else (str(output.folder.resolve()),)
            if isinstance(output, Push) and spot == place_of(camera.url):
                raise ConfigError(f"{place.section(where)}: leads back to the camera itself", hint="push to another address")
            if spot in taken:
                raise ConfigError(
                    f"{place.section(where)}: is the same place as {taken[spot]}", hint="give each output a place of its own; {name} stands for the camera"
                )
            taken[spot] = f"an output of {camera.name}"
        if serve is not None and _is_served_here(camera, serve):
            raise place.error(f"cameras.{camera.name}", "url", "is what this run serves itself", "name the camera's own address")


def _require_address(url: str, where: str, place: Place) -> None:
    if url.startswith(CUSTOM):
        if "@" in url:
            raise place.error(where, "push", "an address with a password would be seen in the list of processes", "send to a media server on this machine")
        return
    scheme = scheme_of(url)
    if scheme not in OUTPUT_SCHEMES:
        given = f"nothing is sent to {scheme}://" if scheme else "is no address"
        raise place.error(where, "push", given, f"there are {', '.join(OUTPUT_SCHEMES)}; a folder is recorded into")
    if (fault := fault_of(url)) is not None:
        raise place.error(where, "push", *fault)


def _is_served_here(camera: Camera, serve: Server) -> bool:
    scheme, host, port, path, *_ = (*place_of(camera.url), "", "", "", "")
    return scheme in ("rtsp", "rtsps") and (is_loopback(host) or host == serve.host) and port == str(serve.port) and path == f"/{camera.name}"
