"""Cover and false boxes of a detector on labelled stills (see the data README for the measure).

Cover: share of labelled objects of which >= 70 % (faces) or >= 90 % (plates) of the box lies in the
union of the detections, each grown by 12 % / 10 % of its size on every side, at the threshold that
gives the stated number of false boxes in a picture without such objects. One frame, no tracking.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from anonymizer.training.prepare import overlap, read_boxes
from anonymizer.training.teachers import Array, Yolo, read_image

RULES = {"face": (0.70, 0.12), "plate": (0.90, 0.10)}
EDGES = {"face": (0, 12, 16, 24, 32, 64, 1e9), "plate": (0, 12, 24, 48, 96, 192, 1e9)}
LOW = 0.01
FLOOR = 0.05  # no threshold below this is of use, whatever the false boxes
GRID = 40


@dataclass
class Picture:
    """One picture's truth and its detections, all in pixels of the shown (scaled) picture."""

    folder: str
    stem: str
    labels: dict[str, Array]
    ignore: Array
    found: dict[str, Array] = field(default_factory=dict)


def pictures(dev: Path, scale: float, detector: Yolo, side: int, classes: list[str]) -> Iterator[Picture]:
    """Detect on every picture of the development set, shown at ``scale``."""
    for path in sorted(dev.glob("*/images/*")):
        image = read_image(path)
        if scale != 1:
            image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        high, wide = image.shape[:2]
        texts = path.parents[1]
        rows = read_boxes(texts / "labels" / f"{path.stem}.txt", wide, high)
        labels = {"face": rows[rows[:, 0] == 0, 1:], "plate": rows[rows[:, 0] == 1, 1:]}
        ignore = read_boxes(texts / "ignore" / f"{path.stem}.txt", wide, high)[:, 1:]
        boxes = detector(image, side, LOW)
        found = dict(zip(classes, (b[np.argsort(-b[:, 4])] for b in boxes), strict=True))
        yield Picture(texts.name, path.stem, labels, ignore, found)


def cover_score(box: Array, found: Array, share: float, grow: float) -> float:
    """The highest threshold at which ``box`` is covered; 0 when it never is."""
    seen = np.zeros((GRID, GRID), bool)
    size = np.maximum(box[2:] - box[:2], 1e-3)
    for det in found:
        more = grow * (det[2:4] - det[:2])
        low = (det[:2] - more - box[:2]) / size * GRID
        high = (det[2:4] + more - box[:2]) / size * GRID
        x1, y1 = np.clip(np.ceil(low - 0.5), 0, GRID).astype(int)
        x2, y2 = np.clip(np.ceil(high - 0.5), 0, GRID).astype(int)
        if x2 <= x1 or y2 <= y1:
            continue
        seen[y1:y2, x1:x2] = True
        if seen.mean() >= share:
            return float(det[4])
    return 0.0


def threshold(scores: Array, count: int, rate: float) -> float:
    """The lowest threshold (not below FLOOR) with at most ``rate`` false boxes a picture."""
    allowed = int(rate * count)
    ordered = np.sort(scores)[::-1]
    return max(FLOOR, float(ordered[allowed]) + 1e-6) if len(ordered) > allowed else FLOOR


def precision_map(shown: list[Picture], kind: str, crowd: set[str]) -> list[dict[str, float]]:
    """Share of right boxes among those of a score, monotone; unlabelled objects count as wrong."""
    scores, right = [], []
    for p in shown:
        if p.folder == f"{kind}s" and not (p.stem in crowd or p.stem.startswith("jf")):
            truth, skip = p.labels[kind], p.ignore if kind == "face" else p.ignore[:0]
        elif p.folder == f"no_{kind}s":
            truth, skip = p.labels[kind][:0], p.ignore[:0]
        else:
            continue
        for det in p.found[kind]:
            hit = len(truth) > 0 and iou(det, truth).max() >= 0.4
            if not hit and len(skip) and overlap(det, skip).max() > 0.4:
                continue
            scores.append(float(det[4]))
            right.append(hit)
    order = np.argsort(scores)
    s, r = np.array(scores)[order], np.array(right, float)[order]
    edges = np.array([0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.17, 0.23, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.01])
    table: list[list[float]] = []
    for a, b in pairwise(edges):
        inside = (s >= a) & (s < b)
        if inside.any():
            table.append([s[inside].mean(), r[inside].sum(), inside.sum()])
    blocks: list[list[float]] = []  # pool neighbours that fall (isotonic regression)
    for middle, hits, total in table:
        blocks.append([middle * total, hits, total])
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] > blocks[-1][1] / blocks[-1][2]:
            last = blocks.pop()
            blocks[-1] = [x + y for x, y in zip(blocks[-1], last, strict=True)]
    return [{"score": round(m / n, 3), "precision": round(h / n, 3), "boxes": int(n)} for m, h, n in blocks]


def iou(one: Array, many: Array) -> Array:
    """Intersection over union of a box with many."""
    low, high = np.maximum(one[:2], many[:, :2]), np.minimum(one[2:4], many[:, 2:4])
    inter = np.clip(high - low, 0, None).prod(1)
    areas = (many[:, 2:4] - many[:, :2]).prod(1) + (one[2:4] - one[:2]).prod()
    return np.asarray(inter / np.maximum(areas - inter, 1e-6))


def report(shown: list[Picture], kind: str, crowd: set[str]) -> dict[str, Any]:
    """Thresholds, cover overall, by size and by source, and the precision map."""
    share, grow = RULES[kind]
    free = [p for p in shown if p.folder == f"no_{kind}s"]
    false = np.concatenate([p.found[kind][:, 4] for p in free])
    items = []
    for p in (p for p in shown if p.folder == f"{kind}s"):
        for box in p.labels[kind]:
            length = box[3] - box[1] if kind == "face" else box[2] - box[0]
            items.append((cover_score(box, p.found[kind], share, grow), length, p.stem.split("_")[0]))
    scores, lengths = (np.array([i[k] for i in items], float) for k in (0, 1))
    source = np.array([i[2] for i in items])
    out: dict[str, Any] = {"objects": len(items), "found_at_all": round(100 * float((scores > 0).mean()), 1)}
    for rate in (0.25, 1.0):
        limit = threshold(false, len(free), rate)
        hit = scores >= limit
        sizes = {}
        for a, b in pairwise(EDGES[kind]):
            inside = (lengths >= a) & (lengths < b)
            if inside.any():
                sizes[f"{a:g}-{b:g}"] = [round(100 * float(hit[inside].mean()), 1), int(inside.sum())]
        sources = {str(k): [round(100 * float(hit[source == k].mean()), 1), int((source == k).sum())] for k in np.unique(source)}
        out[f"at_{rate}"] = {"threshold": round(limit, 4), "cover": round(100 * float(hit.mean()), 1), "by_size": sizes, "by_source": sources}
    fixed = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5])
    out["at_threshold"] = {
        f"{t:g}": {"cover": round(100 * float((scores >= t).mean()), 1), "false_boxes": round(float((false >= t).sum()) / len(free), 3)} for t in fixed
    }
    out["precision"] = precision_map(shown, kind, crowd)
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("out", type=Path, help="JSON report; detections go beside it")
    parser.add_argument("--sides", type=int, nargs="+", default=[640, 960, 1280])
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 0.5])
    parser.add_argument("--classes", nargs="+", default=["face", "plate"])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    detector, result = Yolo(args.model, args.threads), {}
    crowd = set(json.loads((args.dev / "faces" / "crowd_miss_only.json").read_text()))
    for scale in args.scales:
        for side in args.sides:
            shown = list(pictures(args.dev, scale, detector, side, args.classes))
            args.out.with_suffix(f".{side}_{scale:g}.pkl").write_bytes(pickle.dumps([asdict(p) for p in shown]))
            for kind in args.classes:
                key = f"{kind} {side} {scale:g}x"
                result[key] = report(shown, kind, crowd)
                now = [result[key][f"at_{r}"] for r in (0.25, 1.0)]
                print(key, [(n["cover"], n["threshold"]) for n in now], now[0]["by_size"], now[0]["by_source"], flush=True)
            args.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
