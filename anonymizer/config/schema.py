"""Every key of the configuration, with its type, default and description; docs/config.md is made from this."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from anonymizer.config.presets import PRESETS, Preset
from anonymizer.config.values import Span, Zone, parse_span, parse_zone
from anonymizer.errors import ConfigError

SHIPPED_LABELS = ("face", "plate", "head")
_USUAL_LABELS = ("face", "plate")
_COLORS = {"black": "#000000", "white": "#ffffff", "gray": "#808080", "red": "#ff0000", "green": "#00ff00", "blue": "#0000ff", "yellow": "#ffff00"}
_NOT_IN_HASH = {"threads", "timeout_s"}  # they change how long a run takes, not what it writes

Share = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)]


class HintedError(ValueError):
    """A wrong value that needs more than its key to be put right."""

    def __init__(self, key: str, problem: str, hint: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem
        self.hint = hint


def _listed(value: Any) -> Any:
    """ "face,plate" as a list; "none" and "" as an empty one."""
    if isinstance(value, str):
        return [] if value.strip() in ("", "none") else [part.strip() for part in value.split(",")]
    return value


def _bare_labels(value: Any) -> Any:
    """ "screen, document" as "screen,document": labels of `detect` have lost their blanks too."""
    if not isinstance(value, dict):
        return value
    return {",".join(part.strip() for part in key.split(",")) if isinstance(key, str) else key: file for key, file in value.items()}


def _color(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        return value  # Refused by its type, and not written out: YAML's aliases can make it longer than the memory.
    text = _COLORS.get(value.lower(), value.lower())
    if not re.fullmatch(r"#[0-9a-f]{6}", text):
        raise ValueError(f"{value!r} is not a colour like #2a2a2a or one of {', '.join(_COLORS)}")
    return text


def _strictness(value: Any) -> Any:
    """A word as its number; the words are the detectors'."""
    if not isinstance(value, str):
        return value
    from anonymizer.detection.thresholds import strictness_of  # late: it loads an engine, and few say a word

    try:
        return strictness_of(value)
    except ConfigError as error:
        raise HintedError("strictness", f"{value!r} is not a number from 0 to 1 or a known word", error.hint or "") from error


def _one_or_more(value: Any) -> Any:
    """A zone alone as a list of one."""
    return [value] if isinstance(value, str | Zone) else value


def _from_text(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


ZoneText = Annotated[Zone, _from_text(parse_zone), PlainSerializer(str)]
SpanText = Annotated[Span, _from_text(parse_span), PlainSerializer(str)]
Labels = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Kept = Annotated[tuple[Literal["subtitles", "data", "metadata", "chapters", "attachments"], ...], BeforeValidator(_listed)]
Zones = Annotated[tuple[ZoneText, ...], BeforeValidator(_one_or_more)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class EffectChoice(_Section):
    """What covers look like."""

    kind: Literal["blur", "pixelate", "solid", "image"] = Field(default="blur", description="How a cover looks; none of them holds a trace of what it covers.")
    color: Annotated[str | None, BeforeValidator(_color)] = Field(
        default=None, description="Colour of `solid`, and under an `image` that is transparent, as `#rrggbb` (in YAML in quotes) or a name; empty: a dark grey."
    )
    image: str | None = Field(default=None, description="Picture file for the effect `image`, fitted into each cover.")

    @property
    def color_rgb(self) -> tuple[int, int, int] | None:
        """The colour as red, green, blue of 0 to 255."""
        if self.color is None:
            return None
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue

    @model_validator(mode="after")
    def _belongs_to_its_kind(self) -> EffectChoice:
        if (self.kind == "image") != (self.image is not None):
            if self.image is None:
                raise HintedError("effect.kind", "the effect image needs a picture", "name one with --effect-image")
            raise HintedError("effect.image", f"the effect {self.kind} takes no picture", "say --effect image with it")
        if self.color is not None and self.kind not in ("solid", "image"):
            raise HintedError("effect.color", f"the effect {self.kind} takes no colour", "say --effect solid with it")
        return self


class TrackingChoice(_Section):
    """How what is found in one frame covers its neighbours in time."""

    lookahead_s: Seconds = Field(default=1.0, description="How far the tracker looks ahead before a frame is decided, in seconds; memory grows with it.")
    hold_s: Seconds = Field(default=0.3, description="How long an object that reached the edge of the picture stays covered, in seconds.")
    vanished_hold_s: Seconds = Field(default=0.6, description="How long one that vanished in the middle of the picture stays covered, in seconds.")
    backfill_s: Seconds = Field(default=0.4, description="How long before its first detection an object is covered, in seconds; at most `lookahead_s`.")

    @model_validator(mode="after")
    def _backfill_needs_lookahead(self) -> TrackingChoice:
        if self.backfill_s > self.lookahead_s:
            hint = "frames that are written cannot be covered any more: make lookahead_s as long"
            raise HintedError("tracking.backfill_s", f"{self.backfill_s} is longer than lookahead_s, {self.lookahead_s}", hint)
        return self


class EncodingWish(_Section):
    """How the output is coded."""

    codec: str | None = Field(
        default=None, min_length=1, description="Any encoder the installed FFmpeg has (`libx264`, `ffv1`, ...); empty: the input's codec family."
    )
    crf: float | None = Field(default=None, ge=0, le=255, allow_inf_nan=False, description="Constant rate factor, smaller is better; empty: 18 for x264.")
    preset: str | None = Field(default=None, min_length=1, description="The encoder's own speed preset; empty: `veryfast` for x264.")
    options: dict[str, str] = Field(default_factory=dict, description="Any other options of the encoder, passed through as they are.")

    @field_validator("options", mode="before")
    @classmethod
    def _numbers_as_text(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item for key, item in value.items()}
        return value


class Config(_Section):
    """Everything a run can be told. Frozen and checked; a wrong value is a pydantic ValidationError, which is a ValueError."""

    detect: Labels = Field(
        default=_USUAL_LABELS,
        description="What is looked for: `face`, `plate`, `head` (of people whose face is not seen); `none` covers nothing but the zones.",
    )
    weights: Annotated[dict[str, str], BeforeValidator(_bare_labels)] = Field(
        default_factory=dict, description="Own weights by label (`face: my.onnx`, or `face,plate: my.onnx`); a label without an entry uses the shipped ones."
    )
    preset: Literal["fast", "balanced", "thorough"] = Field(default="balanced", description="Detection quality.")
    strictness: Annotated[float, BeforeValidator(_strictness)] = Field(
        default=0.5,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="0 covers only what is sure, 1 whatever might be a face or a plate; or a word: relaxed, normal, strict, paranoid.",
    )
    padding: dict[str, Share] = Field(
        default_factory=lambda: {"face": 0.13, "plate": 0.05},
        description="How far a cover reaches beyond a box, by label, as a share of its size. The built-in shares go by size and score: faces have up to "
        "half as much again at their sides where they are a fifth of the picture's longer side and half sure, a third more than that above and none below, "
        "plates have all of it where they are of 4 to 6 % of that side; what is smaller, larger or sure has less. What you ask for beyond the built-in share "
        "is added in full, on every side. Small covers of a picture that stands alone reach farther.",
    )
    effect: EffectChoice = Field(default_factory=EffectChoice, description="What covers look like.")
    tracking: TrackingChoice = Field(default_factory=TrackingChoice, description="How what is found in one frame covers its neighbours in time.")
    zones: Zones = Field(
        default=(),
        description="Always covered: `x,y,w,h` or `x,y,w,h@start-end` in pixels of the picture as displayed. Zones of profile, file and command add up.",
    )
    ignore_zones: Zones = Field(default=(), description="Never detected there, in the same form; the report says so.")
    span: SpanText | None = Field(default=None, description="Write only this part: `00:01:00-00:02:00`, `90-` (to the end), `-90` (from the beginning).")
    on_damage: Literal["cover", "stop"] = Field(
        default="cover", description="A frame the decoder had to guess is covered as a whole (`cover`), or ends the run without an output (`stop`)."
    )
    audio: Literal["drop", "keep", "mask"] = Field(default="drop", description="Sound is dropped, copied, or its voices disguised.")
    keep: Kept = Field(
        default=(), description="What else is copied from the input: subtitles, data, metadata, chapters, attachments. Each can tell who and where."
    )
    encoding: EncodingWish = Field(default_factory=EncodingWish, description="How the output is coded.")
    threads: int | None = Field(default=None, ge=1, le=1024, description="Threads for detection; empty: one for each processor core.")
    timeout_s: float = Field(
        default=60.0, gt=0, le=3600, allow_inf_nan=False, description="How long a detector may look at one frame before the run ends, in seconds."
    )

    @model_validator(mode="after")
    def _something_is_covered(self) -> Config:
        known = {*SHIPPED_LABELS, *self.own_labels}
        for label in self.detect:
            if label not in known:
                near = difflib.get_close_matches(label, SHIPPED_LABELS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SHIPPED_LABELS)}; for others say --weights {label}=my.onnx"
                raise HintedError("detect", f"no weights for {label!r}", hint)
        if len(set(self.detect)) != len(self.detect):
            raise HintedError("detect", "a label stands twice", "name each label once")
        if not self.detect and not self.zones:
            raise HintedError("detect", "nothing would be covered", "without detection, say where to cover: --zone x,y,w,h")
        return self

    @property
    def look(self) -> Preset:
        """What the preset stands for."""
        return PRESETS[self.preset]

    @property
    def own_labels(self) -> frozenset[str]:
        """The labels that weights of somebody's own find."""
        return frozenset(label for labels in self.weights for label in labels.split(","))

    @property
    def in_videos(self) -> tuple[str, ...]:
        """What is looked for in videos: what `detect` says and, where it says faces that the shipped weights find, what the preset adds."""
        adds = "face" in self.detect and "face" not in self.own_labels
        return (*self.detect, *(label for label in self.look.besides if adds and label not in self.detect))

    def padding_of(self, label: str) -> float:
        """The padding of a label; one without an entry gets the largest there is."""
        return self.padding.get(label, max(self.padding.values(), default=0.0))


def config_hash(config: Config) -> str:
    """The SHA-256 of every value that changes what is written; equal configurations have equal hashes."""
    values = config.model_dump(mode="json", exclude=_NOT_IN_HASH)
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
