"""A drawn set of marked pictures with two sources of each kind, and entrants that see colours."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from scoreboard.entrants import Entrant
from tests.evaluation.marked import ColorDetector, draw, equipment_of, write_yolo

SIZE_WH = (160, 120)


def write_set(root: Path) -> Path:
    """Faces of 16 and 40 px, plates of 30 and 60 px; each kind of empty picture from two sources, one of which shows the other label."""
    for source in ("gate", "yard"):
        for at in range(3):
            write_yolo(root / "faces", f"{source}_{at}", SIZE_WH, face=[(10 + at, 10, 22 + at, 26), (60, 40 + at, 92, 80 + at)])
            write_yolo(root / "plates", f"{source}_{at}", SIZE_WH, plate=[(10 + at, 10, 40 + at, 18), (60, 40 + at, 120, 55 + at)])
            for folder, shown in (("no_faces", "plate"), ("no_plates", "face")):
                (root / folder / "images").mkdir(parents=True, exist_ok=True)
                boxes = {shown: [(20, 20, 50, 40)]} if source == "gate" else {}
                Image.fromarray(draw(SIZE_WH, **boxes)).save(root / folder / f"images/{source}_{at}.png")
    return root


def preset_like(name: str = "balanced", **wishes: object) -> Entrant:
    """What stands in for a preset: a run's equipment with a detector that sees colours."""
    equipment = equipment_of(ColorDetector(**wishes))  # type: ignore[arg-type]
    return Entrant(name, f"preset {name}", ("face", "plate"), {"weights": "none", "config": "drawn"}, (None,), equipment=equipment)


def peer_like(name: str = "yunet", label: str = "face", **wishes: object) -> Entrant:
    """What stands in for a peer's network, at two sizes."""
    return Entrant(name, "a stand-in", (label,), {"weights": "none"}, (80, 160), lambda side, low: ColorDetector(**wishes, labels=(label,)), None, 0.5)  # type: ignore[arg-type]
