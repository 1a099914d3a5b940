"""The flags that become configuration: how they are spelled, and which key each of them sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonymizer.errors import ConfigError

if TYPE_CHECKING:
    from anonymizer.config import LoadedConfig

Detect = Annotated[
    str | None,
    typer.Option("--detect", metavar="face,plate|none", help="What to look for, head for those whose face is not seen; none covers nothing but the zones."),
]
PresetName = Annotated[str | None, typer.Option("--preset", metavar="fast|balanced|thorough", help="Detection quality.")]
ProfileName = Annotated[str, typer.Option("--profile", metavar="NAME", help="A scene's whole configuration: default, street, office, strict, live.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="A YAML file of your own, laid over the profile.")]
Strictness = Annotated[
    str | None, typer.Option("--strictness", metavar="0..1", help="0 covers only what is sure, 1 whatever might be one; or relaxed, normal, strict, paranoid.")
]
EffectName = Annotated[str | None, typer.Option("--effect", metavar="blur|pixelate|solid|image", help="How covers look.")]
EffectColor = Annotated[str | None, typer.Option("--effect-color", metavar="COLOR", help="Colour of solid: #rrggbb or a name.")]
EffectImage = Annotated[str | None, typer.Option("--effect-image", metavar="FILE", help="Picture for the effect image.")]
Zones = Annotated[list[str] | None, typer.Option("--zone", metavar="x,y,w,h[@start-end]", help="Always covered, in pixels as displayed; repeatable.")]
IgnoreZones = Annotated[list[str] | None, typer.Option("--ignore-zone", metavar="x,y,w,h[@start-end]", help="Never detected there; repeatable.")]
SpanText = Annotated[str | None, typer.Option("--span", metavar="START-END", help="Only this part, for instance 00:01:00-00:02:00.")]
Audio = Annotated[str | None, typer.Option("--audio", metavar="drop|keep|mask", help="Sound: dropped (default), copied, or voices disguised.")]
Keep = Annotated[
    list[str] | None, typer.Option("--keep", metavar="NAMES", help="Also copy: subtitles, data, metadata, chapters, attachments; commas, or repeated.")
]
Codec = Annotated[
    str | None, typer.Option("-c:v", "--codec", metavar="ENCODER", help="Any video encoder of the FFmpeg that comes with it (libx264, ffv1, ...).")
]
Crf = Annotated[str | None, typer.Option("--crf", metavar="NUMBER", help="Constant rate factor; smaller looks better and makes larger files.")]
EncoderPreset = Annotated[str | None, typer.Option("--encoder-preset", metavar="NAME", help="The encoder's own speed preset.")]
EncoderOptions = Annotated[list[str] | None, typer.Option("--encoder-option", metavar="KEY=VALUE", help="Any other option of the encoder; repeatable.")]
Weights = Annotated[list[str] | None, typer.Option("--weights", metavar="LABEL=FILE", help="Own weights for a label (.onnx, .pt); repeatable.")]
OnDamage = Annotated[str | None, typer.Option("--on-damage", metavar="cover|stop", help="Frames that cannot be read cleanly: cover them whole, or stop.")]
Threads = Annotated[str | None, typer.Option("--threads", metavar="N", help="Threads for detection; default: one a core.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print everything that is known.")]

# The command's parameter -> the key it sets, and how people spell it.
_KEYS = {
    "detect": ("detect", "--detect"),
    "preset": ("preset", "--preset"),
    "strictness": ("strictness", "--strictness"),
    "effect": ("effect.kind", "--effect"),
    "effect_color": ("effect.color", "--effect-color"),
    "effect_image": ("effect.image", "--effect-image"),
    "zone": ("zones", "--zone"),
    "ignore_zone": ("ignore_zones", "--ignore-zone"),
    "span": ("span", "--span"),
    "audio": ("audio", "--audio"),
    "keep": ("keep", "--keep"),
    "codec": ("encoding.codec", "-c:v"),
    "crf": ("encoding.crf", "--crf"),
    "encoder_preset": ("encoding.preset", "--encoder-preset"),
    "encoder_option": ("encoding.options", "--encoder-option"),
    "weights": ("weights", "--weights"),
    "on_damage": ("on_damage", "--on-damage"),
    "threads": ("threads", "--threads"),
}
SAID_AS = dict(_KEYS.values())  # the key -> how people spell it


def config_from(parameters: Mapping[str, Any]) -> LoadedConfig:
    """The configuration that a command's parameters ask for; ConfigError naming the flag that is wrong."""
    from anonymizer.config import load_config  # late: help must not wait for pydantic

    profile, file = parameters.get("profile") or "default", parameters.get("config")
    return load_config(values_from(parameters), profile=profile, file=file, said_as=SAID_AS)


def values_from(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a command's parameters say, by key."""
    values: dict[str, Any] = {}
    for name, (key, flag) in _KEYS.items():
        given = parameters.get(name)
        if given in (None, [], ()):
            continue
        if name == "keep":
            given = ",".join(given)
        elif name in ("weights", "encoder_option"):
            given = pairs(given, flag)
        values[key] = given
    return values


def pairs(texts: Iterable[str], flag: str) -> dict[str, str]:
    """What was said as NAME=VALUE; ConfigError for anything else, and for a name that stands twice."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ConfigError(f"{flag}: {text!r} is not a pair", hint=f"write it as {flag} name=value")
        if key in found:
            raise ConfigError(f"{flag}: {key} is said twice", hint="say it once")
        found[key] = value
    return found
