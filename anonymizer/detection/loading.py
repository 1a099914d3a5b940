"""From labels and weights to detectors that have proved that they work."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from anonymizer.detection.canary import FOREIGN_MIN_IOU, canary, require_canary, require_head
from anonymizer.detection.detector import Detector
from anonymizer.detection.heads import HeadDetector
from anonymizer.detection.model_store import ModelCard, card_beside, shipped_models, verify
from anonymizer.detection.onnx_network import OnnxNetwork
from anonymizer.detection.open_vocabulary import how_to_tell
from anonymizer.detection.session import TIMEOUT_S
from anonymizer.detection.thresholds import Thresholds, thresholds_for
from anonymizer.detection.vehicles import LABEL as VEHICLE
from anonymizer.detection.yolo import Network, YoloDetector
from anonymizer.errors import ConfigError, ModelError
from anonymizer.regular import read_regular

_MOST_ALIKE = 20  # Nobody means all of COCO's eighty classes by one label.
_NEAR = 0.75  # of difflib: "screan" is nearly "screen", and "face" not nearly "surface"
PEOPLE_VEHICLES = "people and vehicles"  # the task of the network that finds both
_MOST_BYTES = 1 << 31  # An ONNX file is one protobuf message, which cannot be longer.


def load_detectors(labels: Sequence[str], weights: Mapping[str, str], *, threads: int | None = None, timeout_s: float = TIMEOUT_S) -> tuple[Detector, ...]:
    """Detectors for all of the labels, each of which has looked at the canary; no labels, no detectors.

    `weights` maps a label, or several with commas between, to a shipped model's name or to an `.onnx` or `.pt` file;
    labels without an entry are found by a shipped model. Every model must find those of its labels that the canary
    shows; of other labels nobody here knows what it ought to find: `untested_labels`. ConfigError for a label that nothing finds and
    for weights that no label uses, ModelError for everything that is wrong with a file.
    """
    cards = {card.name: card for card in shipped_models()} if labels else {}
    detectors: list[Detector] = []
    for source, wanted in _by_source(labels, weights, cards).items():
        if source in cards:
            detectors.append(_shipped(cards[source], wanted, threads, timeout_s))
        else:
            detectors.append(_foreign(Path(source).expanduser(), wanted, threads, timeout_s))
    return tuple(detectors)


def vehicles_card() -> ModelCard:
    """Of the shipped network that finds whole vehicles."""
    return next(card for card in shipped_models() if card.task == PEOPLE_VEHICLES)


def load_vehicles(*, threads: int | None = None, timeout_s: float = TIMEOUT_S) -> Detector:
    """What finds whole vehicles (`vehicles`); ModelError as for `load_detectors`."""
    return _heads_and_vehicles(vehicles_card(), threads, timeout_s)[1]


def for_threads(weights: Mapping[str, str]) -> bool:
    """Whether several threads at once may ask the detectors of these weights: torch's networks keep things of the last picture in themselves."""
    return not any(source.lower().endswith(".pt") for source in weights.values())


def label_thresholds(
    labels: Sequence[str], weights: Mapping[str, str], strictness: float, long_side: int = 960, *, alone: bool = False
) -> dict[str, Thresholds]:
    """The scores that count for each label with these weights, in pictures of that size, `alone` or frames; no network is loaded.

    Own weights have the card's that lies beside them, if there is one; ModelError for the card of other weights.
    """
    cards = {card.name: card for card in shipped_models()} if labels else {}
    thresholds: dict[str, Thresholds] = {}
    for source, wanted in _by_source(labels, weights, cards).items():
        card = cards.get(source) or _card_beside(Path(source).expanduser())
        known = card.calibration if card is not None else {}
        if alone:
            known = {label: calibration.for_pictures() for label, calibration in known.items()}
        thresholds |= {label: thresholds_for(known.get(label), strictness, long_side) for label in wanted}
    return thresholds


def weights_sha256(labels: Sequence[str], weights: Mapping[str, str]) -> dict[str, str]:
    """For each label the hash of the weights that find it, for reports and for telling stale outputs; nothing is loaded."""
    cards = {card.name: card for card in shipped_models()} if labels else {}
    hashes: dict[str, str] = {}
    for source, wanted in _by_source(labels, weights, cards).items():
        sha256 = cards[source].sha256 if source in cards else hashlib.sha256(_bytes_of(Path(source).expanduser())).hexdigest()
        hashes |= dict.fromkeys(wanted, sha256)
    return hashes


def untested_labels(labels: Sequence[str], weights: Mapping[str, str]) -> tuple[str, ...]:
    """The labels that the canary shows nothing of: whether their weights see anything was not tested."""
    cards = {card.name: card for card in shipped_models()} if labels else {}
    return tuple(label for source, wanted in _by_source(labels, weights, cards).items() if source not in cards for label in wanted if label not in canary()[1])


def _card_beside(path: Path) -> ModelCard | None:
    """The card of somebody's weights; of a file that is not there, loading will speak."""
    if not path.with_suffix(".json").is_file() or not path.is_file():
        return None
    return card_beside(path, hashlib.sha256(_bytes_of(path)).hexdigest())


def _by_source(labels: Sequence[str], weights: Mapping[str, str], cards: Mapping[str, ModelCard]) -> dict[str, list[str]]:
    """Which labels each model name or file has to find, every label once."""
    chosen = {label: source for several, source in weights.items() for label in several.split(",")}
    if unused := [label for label in chosen if label not in labels]:
        hint = f"add {'it' if len(unused) == 1 else 'them'}: --detect {_quoted(','.join([*labels, *unused]))}"
        raise ConfigError(f"weights are given for '{unused[0]}', which is not looked for", hint=hint)
    sources: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        found = chosen.get(label) or next((card.name for card in cards.values() if label in card.labels), None)
        if found is None:
            known = sorted({known for card in cards.values() for known in card.labels})
            raise ConfigError(
                f"no model finds '{label}'", hint=f"there are models for {', '.join(known)}; for others give weights: --weights {label}=FILE.onnx"
            )
        sources.setdefault(found, []).append(label)
    return sources


def _shipped(card: ModelCard, wanted: Sequence[str], threads: int | None, timeout_s: float) -> Detector:
    """A model of ours, checked by hash and canary."""
    if missing := [label for label in wanted if label not in card.labels]:
        raise ConfigError(f"the model {card.name} does not find '{missing[0]}'", hint=f"it finds {', '.join(card.labels)}")
    if card.task == PEOPLE_VEHICLES:
        return _heads_and_vehicles(card, threads, timeout_s)[0]
    network = OnnxNetwork(verify(card), card.name, threads=threads, timeout_s=timeout_s)
    detector = YoloDetector(network, {label: [card.labels.index(label)] for label in wanted})
    require_canary(detector, timeout_s)
    return detector


def _heads_and_vehicles(card: ModelCard, threads: int | None, timeout_s: float) -> tuple[Detector, Detector]:
    """The detectors of one network, which shows by a head that it sees: no vehicle is in the canary."""
    network = OnnxNetwork(verify(card), card.name, threads=threads, timeout_s=timeout_s)
    heads, vehicles = heads_and_vehicles_of(network)
    require_head(heads, timeout_s)
    return heads, vehicles


def heads_and_vehicles_of(network: Network) -> tuple[Detector, Detector]:
    """What finds heads and what finds vehicles, with a network that `training.people_vehicles` made."""
    return HeadDetector(YoloDetector(network, {"person": [0]})), YoloDetector(network, {VEHICLE: [1]})


def _foreign(path: Path, wanted: Sequence[str], threads: int | None, timeout_s: float) -> Detector:
    """A network of somebody else."""
    network: Network
    if path.suffix.lower() == ".pt":
        from anonymizer.detection.ultralytics_engine import TorchNetwork

        network = TorchNetwork(path, threads=threads, labels=wanted)
    else:
        network = OnnxNetwork(_bytes_of(path), path.name, threads=threads, timeout_s=timeout_s)
    # In an open vocabulary a label that is none of its words is something else than all of them.
    alone = len(wanted) == 1 and not network.open_vocabulary
    try:
        classes = {label: classes_of(label, network.class_names, path.name, alone=alone) for label in wanted}
    except ConfigError as error:
        if network.open_vocabulary and len(network.class_names) <= _MOST_ALIKE:
            raise ConfigError(error.problem, hint=how_to_tell(path.with_suffix(".pt").name, wanted)) from error
        raise
    detector = YoloDetector(network, classes)
    hint = f"nothing would be covered; if it is made for special ones only, give it a label of its own: --detect LABEL --weights LABEL={path.name}"
    require_canary(detector, timeout_s, min_iou=FOREIGN_MIN_IOU, hint=hint)
    return detector


def _bytes_of(path: Path) -> bytes:
    """The content of a weights file."""
    try:
        return read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise ModelError(
            f"{path.name}: the weights cannot be read ({error.strerror})", hint="say --weights LABEL=FILE with an existing .onnx or .pt file"
        ) from error


def classes_of(label: str, names: Sequence[str], file_name: str, *, alone: bool) -> list[int] | None:
    """Which classes of a network count as a label: those of its name, those with it among their words, or (None) all of them.

    All only where the network serves that label alone and knows few classes, none of them nearly of that name: who says
    `face=my.onnx` says that what it finds are faces, and who says `fcae=my.onnx` has slipped.

    >>> classes_of("plate", ["car", "license_plate"], "my.onnx", alone=True)
    [1]
    """
    for matches in (_exactly, _among_its_words):
        if found := [index for index, name in enumerate(names) if matches(label, name)]:
            return found
    near = difflib.get_close_matches(label.lower(), [name.lower() for name in names], n=3, cutoff=_NEAR)
    if alone and len(names) <= _MOST_ALIKE and (len(names) == 1 or not near):
        return None
    if not names:
        known = "it does not tell its class names, so it can serve one label only"
    else:
        known = f"did you mean {' or '.join(near)}?" if near else f"it knows {_listed(names)}"
    raise ConfigError(f"{file_name}: the network has no class for '{label}'", hint=known)


def _exactly(label: str, name: str) -> bool:
    return label.strip().lower() == name.strip().lower() or _words(label) == _words(name) != []


def _among_its_words(label: str, name: str) -> bool:
    """Whether a label's words stand beside each other in a name: "plate" and "license plate" in "car_license-plate"."""
    return f" {' '.join(_words(label))} " in f" {' '.join(_words(name))} "


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _quoted(labels: str) -> str:
    """As a shell takes it."""
    return f'"{labels}"' if " " in labels else labels
