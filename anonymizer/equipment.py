"""Everything a run needs that does not depend on its file: models that have proved that they see, and values for the steps.

Made once from a configuration and used for any number of files; the steps are given values and never read a
configuration themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from anonymizer.config import Config, Span, Zone, config_hash
from anonymizer.detection import (
    Detector,
    LookPlan,
    Thresholds,
    VehicleTrust,
    available_cores,
    for_threads,
    label_thresholds,
    load_detectors,
    load_vehicles,
    observe,
    untested_labels,
    vehicle_trust,
    vehicles_card,
    weights_sha256,
)
from anonymizer.errors import ConfigError
from anonymizer.geometry import Geometry
from anonymizer.media import CarryPolicy, EncodingChoice, read_image
from anonymizer.redaction import Effect
from anonymizer.tracking import (
    DEFAULT_LABELS,
    PART_WITH_HEAD,
    PICTURE_LABELS,
    TRUSTED_AFTER,
    WARY_LABELS,
    WARY_TRUSTED_AFTER,
    LabelPolicy,
    Tracker,
    TrackingPolicy,
)
from anonymizer.types import Observation, Part, Picture
from anonymizer.zones import ZoneCover, is_within

_FRAMES_AT_ONCE = 2  # A network that waits for one of its threads leaves room for another frame: 8 % on 2 cores, for 35 MB at 1080p. Three gain no more.


@dataclass(frozen=True, slots=True)
class Equipment:
    """Detectors and values for the steps."""

    config: Config
    detectors: tuple[Detector, ...]
    look: LookPlan
    policy: TrackingPolicy
    picture_policies: Mapping[str, LabelPolicy]  # in the place of `policy.labels` for a picture that stands alone
    effect: Effect
    besides: tuple[str, ...] = ()  # labels that the preset looks for in videos, beside those asked for
    vehicles: Detector | None = None  # what speaks for unsure plates and against them
    untested: tuple[str, ...] = ()  # labels of whose weights nobody knows whether they see
    frames_at_once: int = 1  # how many frames of a file are looked at side by side

    @classmethod
    def of(cls, config: Config, detectors: Sequence[Detector] | None = None, *, seeing: bool = True) -> Equipment:
        """Load what the configuration asks for; `detectors` takes the place of its models.

        What is not `seeing` has no detectors, and all the rest as if it had: for who decides what another process saw.

        Raises ConfigError for labels without a model or an effect's unreadable picture, ModelError for models that
        are missing, altered, or do not find what is in the canary picture.
        """
        weights, preset = config.weights, config.look
        labels = config.in_videos if detectors is None else config.detect
        asked = (labels, weights) if detectors is None else ((), {})
        thresholds, alone = (label_thresholds(*asked, config.strictness, config.look.usual_side, alone=one) for one in (False, True))
        untested = () if detectors is not None else untested_labels(labels, weights)
        known = set(labels)
        shipped = known - config.own_labels if detectors is None else set[str]()
        # The tiles of a frame take long enough for one: beside another it could miss its deadline on a slow machine.
        room = config.threads is None and available_cores() > 1 and preset.tile_wh is None
        at_once = _FRAMES_AT_ONCE if detectors is None and room and for_threads(weights) else 1
        if detectors is None:
            detectors = load_detectors(labels, weights, threads=config.threads, timeout_s=config.timeout_s) if seeing else ()
        trust = vehicle_trust(config.strictness, is_wary=preset.is_wary) if preset.with_vehicles and "plate" in shipped else None
        if seeing:
            known = {label for detector in detectors for label in detector.labels}
        policies = _policies(known, WARY_LABELS if preset.is_wary else DEFAULT_LABELS, thresholds, config, shipped)
        return cls(
            config=config,
            detectors=tuple(detectors),
            look=LookPlan(
                long_side=preset.long_side,
                tile_wh=preset.tile_wh,
                tile_overlap=preset.tile_overlap,
                near_side=preset.near_side,
                coarse_side=preset.coarse_side,
                least_alone=preset.least_alone,
                in_turn=preset.in_turn,
                is_confirmed=True,
                weak=_returned_from(policies, trust),
                ignore_zones_xyxy=tuple(zone.xyxy for zone in config.ignore_zones if zone.span is None),
                face_from=_faces_known_from(policies, shipped),
                vehicles=trust,
                deadline_s=config.timeout_s,
            ),
            policy=TrackingPolicy(
                lookahead_s=config.tracking.lookahead_s,
                labels=policies,
                backfill_s=config.tracking.backfill_s,
                hold_s=config.tracking.hold_s,
                vanished_hold_s=config.tracking.vanished_hold_s,
                look_long_side=preset.usual_side,
                trusted_after=WARY_TRUSTED_AFTER if preset.is_wary else TRUSTED_AFTER,
            ),
            picture_policies=_policies(known, PICTURE_LABELS, alone, config, shipped),
            effect=_effect_of(config),
            besides=labels[len(config.detect) :],
            vehicles=load_vehicles(threads=config.threads, timeout_s=config.timeout_s) if trust and seeing else None,
            untested=untested,
            frames_at_once=at_once,
        )

    def for_picture(self, size_wh: tuple[int, int]) -> Equipment:
        """The same for a picture of that size that stands alone: more is believed, and covers are wider, as no neighbours in time help."""
        labels = self.picture_policies
        look = replace(self.look.alone(size_wh), mirrored=self.config.look.mirrored, weak=_returned_from(labels, None))
        detectors = tuple(detector for detector in self.detectors if not set(detector.labels) <= set(self.besides))
        return replace(self, detectors=detectors, look=look, policy=replace(self.policy, labels=labels, look_long_side=look.long_side))

    def observe(self, picture: Picture, shown_s: tuple[float, float] | None = None, part: Part = "all") -> Observation:
        """Look at a picture with every detector, at all sizes unless it is one frame of many (`Turns`).

        Timed ignore zones hold where it is known when it is shown (zones.shown_s).
        """
        timed = [zone.xyxy for zone in self.config.ignore_zones if zone.span is not None and shown_s is not None and is_within(zone, *shown_s)]
        look = replace(self.look, ignore_zones_xyxy=(*self.look.ignore_zones_xyxy, *timed)) if timed else self.look
        return observe(picture, self.detectors, look, part, self.vehicles)

    def tracker_for(self, geometry: Geometry, frame_rate: Fraction | None) -> Tracker:
        """A tracker for one stream. Zones are not its matter: `zones_for`."""
        return Tracker(self.policy, geometry, frame_rate)

    def zones_for(self, geometry: Geometry, frame_rate: Fraction | None, *, planned: Iterable[Zone] = (), **wishes: Any) -> ZoneCover:
        """What lays the zones, those that a plan was made with too, over a stream's decisions; `wishes` as ZoneCover has them.

        ConfigError for a zone that lies outside the picture.
        """
        return ZoneCover((*planned, *self.config.zones), geometry, frame_rate, **wishes)

    def effect_for(self, geometry: Geometry) -> Effect:
        """The effect as coded frames of that geometry need it."""
        return self.effect.turned_for(geometry)

    @property
    def encoding_choice(self) -> EncodingChoice:
        wish = self.config.encoding
        return EncodingChoice(codec=wish.codec, crf=wish.crf, preset=wish.preset, options=wish.options)

    @property
    def carry(self) -> CarryPolicy:
        return CarryPolicy(audio=self.config.audio, keep=frozenset(self.config.keep))

    @property
    def span(self) -> Span | None:
        return self.config.span

    @property
    def hashes(self) -> tuple[str, dict[str, str]]:
        """The configuration's hash, and each label's weights'; those that find vehicles, which are no label, stand under their name."""
        hashes = weights_sha256(self.labels, self.config.weights)
        if self.look.vehicles is not None:
            card = vehicles_card()
            hashes = {card.name: card.sha256, **hashes}
        return config_hash(self.config), hashes

    @property
    def labels(self) -> tuple[str, ...]:
        """What is looked for in a video."""
        return (*self.config.detect, *self.besides)


def _policies(
    labels: Iterable[str], ways: Mapping[str, LabelPolicy], thresholds: Mapping[str, Thresholds], config: Config, shipped: Container[str]
) -> dict[str, LabelPolicy]:
    """How each label is believed and covered; `shipped` are those that the shipped weights look for."""
    found = {}
    for label in sorted(labels):
        way = PART_WITH_HEAD if label == "head" and label in shipped else ways.get(label, LabelPolicy())
        wished = config.padding_of(label)
        score = thresholds.get(label, Thresholds(way.strong_score, way.weak_score))
        # What goes beyond the measured share is a wish that no size or score takes back.
        measured, extra = min(wished, way.pad_share), max(0.0, wished - way.pad_share)
        # Other networks mean other things by their scores: a narrow margin because of a high one would bare what they measured too small.
        by_score = way.pad_by_score if label in shipped else LabelPolicy().pad_by_score
        found[label] = replace(way, strong_score=score.strong, weak_score=score.weak, pad_share=measured, pad_extra=extra, pad_by_score=by_score)
    return found


def _returned_from(policies: Mapping[str, LabelPolicy], trust: VehicleTrust | None) -> dict[str, float]:
    """Lower than what continues a track: several boxes of one thing, each too weak, are fused to one that is not, and vehicles speak for plates."""
    return {label: policy.weak_score / (trust.most if trust and label == "plate" else 2) for label, policy in policies.items()}


def _faces_known_from(policies: Mapping[str, LabelPolicy], shipped: Container[str]) -> float:
    """The score of a face that says whose head it is; infinity where heads are found by weights of somebody else, who may mean all of them.

    A weak face does not: where its track is not believed, nothing would be covered at all.
    """
    return policies["face"].strong_score if {"face", "head"} <= set(policies) and "head" in shipped else inf


def _effect_of(config: Config) -> Effect:
    choice = config.effect
    image = None
    if choice.image is not None:
        image = _rgba(Path(choice.image))
    return Effect(choice.kind, choice.color_rgb, image)


def _rgba(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """An effect's picture as RGBA uint8 [H, W, 4]."""
    frame = read_image(path).frames[0]
    plane = frame.planes[0]
    opaque: Callable[..., np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])  # noqa: E731
    if frame.pixel_format == "rgba":
        return np.array(plane)
    if frame.pixel_format == "rgb24":
        return opaque(plane)
    if frame.pixel_format == "gray":
        return opaque(np.repeat(plane[..., None], 3, axis=2))
    raise ConfigError(f"{path.name}: an effect's picture wants 8 bits a sample, not {frame.pixel_format}", hint="save it as an ordinary png")
