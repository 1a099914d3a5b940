"""From measured figures to the page: tables, plots, words; and the project's own page, which has to be current."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from anonymizer.errors import ConfigError
from anonymizer.evaluation import Naming, load_data
from scoreboard.__main__ import measure, write_page
from scoreboard.page import BEGIN, END, generated_part, put_into
from scoreboard.plots import DIGEST_KEY, digest_of, points_of
from scoreboard.reading import LABELS, Figures, best_side, key_of, parted, smallest_found
from scoreboard.stills import CONDITIONS
from scoreboard.store import COST, Store
from tests.conftest import REPO
from tests.scoreboard.drawn import peer_like, preset_like, write_set

DOCS = REPO / "docs"


def test_the_projects_page_says_what_its_figures_say() -> None:
    store = Store(DOCS / "quality")
    figures = Figures.of(store)
    plots = [store.folder / f"time_{label}.png" for label in LABELS if points_of(figures, label)]
    page = (DOCS / "quality.md").read_text()
    assert page == put_into(page, generated_part(figures, plots, "quality")), "say: python -m scoreboard --only page"
    for plot, label in zip(plots, LABELS, strict=False):
        drawn = Image.open(plot).text  # type: ignore[attr-defined]  # of a PNG
        assert drawn[DIGEST_KEY] == digest_of(points_of(figures, label)), f"{plot.name} shows other figures; say: python -m scoreboard --only page"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A preset that sees everything and a peer that sees nothing, measured on drawn pictures."""
    data = write_set(tmp_path_factory.mktemp("data"))
    store = Store(tmp_path_factory.mktemp("quality"))
    pictures = load_data(data, Naming(LABELS)).pictures
    for entrant in (preset_like(), peer_like(blind=True)):
        assert measure(entrant, data, pictures, store, float("inf"))
    machine = {"processor": "a drawing", "onnxruntime": "1"}
    times = {
        name: {"median_ms": ms, "best_ms": ms}
        for name, ms in (("balanced", 40.0), ("balanced in a video", 30.0), ("yunet 80", 2.0), ("yunet 160", 4.0), ("fastanpr 640", 20.0))
    }
    store.write(COST, {"machine": machine, "rounds": 1, "programs": times})
    return store


def written(store: Store, page: Path) -> str:
    page.write_text(f"Before.\n\n{BEGIN}\n\nold\n\n{END}\n\nAfter.\n")
    write_page(store, page)
    return page.read_text()


def test_the_page_tells_every_figure_and_keeps_what_people_wrote(store: Store, tmp_path: Path) -> None:
    page = written(store, tmp_path / "page.md")
    assert page.startswith("Before.\n")
    assert page.endswith("After.\n")
    assert "\nold\n" not in page
    rows = [line for line in page.splitlines() if line.startswith("| `balanced` |")]
    assert "100.0 (" in rows[0]
    assert "| 40.0 |" in rows[0]
    assert any(line.startswith("| yunet at 80 px, plain boxes | 0.0 | 0.0 |") for line in page.splitlines())
    assert "| yunet, faces | 0.0 / 0.00 / 2.0 | 0.0 / 0.00 / 4.0 |" in page
    assert "| `balanced`, cover of faces | >= 95 % | 100.0 % (reached) |" in page
    assert "| `balanced`, time of both kinds together in a video, whose frames share its looks | <= 1.6 x fastanpr at 640 px | 1.50 (reached) |" in page
    assert "| `balanced`, time of both kinds together for a picture that stands alone | <= 1.6 x fastanpr at 640 px | 2.00 (missed) |" in page
    assert f"![Cover at 0.25 false boxes against time]({store.folder.name}/time_face.png)" in page
    # Its weights are not those that are shipped.
    assert "**Measured with earlier weights than those that are shipped: balanced.**" in page


def test_writing_the_page_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    first = written(store, tmp_path / "page.md")
    plot = (store.folder / "time_face.png").read_bytes()
    write_page(store, tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == first
    assert (store.folder / "time_face.png").read_bytes() == plot


def test_a_plot_says_which_figures_it_shows(store: Store, tmp_path: Path) -> None:
    written(store, tmp_path / "page.md")
    drawn = Image.open(store.folder / "time_face.png").text  # type: ignore[attr-defined]
    lines = points_of(Figures.of(store), "face")
    assert lines == {"balanced": [(40.0, 100.0, "")], "yunet": [(2.0, 0.0, "80"), (4.0, 0.0, "160")]}
    assert drawn[DIGEST_KEY] == digest_of(lines)


def test_a_page_without_a_place_is_not_written_to(store: Store, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Nothing to see.\n")
    with pytest.raises(ConfigError, match="does not say where the scoreboard begins"):
        write_page(store, page)
    assert page.read_text() == "Nothing to see.\n"


def test_entrants_of_different_data_do_not_stand_in_one_table(store: Store, tmp_path: Path) -> None:
    mixed = Store(tmp_path)
    for name in ("balanced", "yunet"):
        mixed.write(name, store.read(name) or {})
    other = mixed.read("yunet") or {}
    mixed.write("yunet", {**other, "hashes": {**other["hashes"], "data": "other"}})
    with pytest.raises(ConfigError, match="different data"):
        Figures.of(mixed)


@pytest.mark.parametrize("side", [None, 640])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_keys_of_units_can_be_read_back(condition: str, side: int | None) -> None:
    assert parted(key_of(condition, side)) == (condition, side)


SMALLEST = [
    pytest.param([[10, 0, 50], [20, 95, 100], [40, 100, 100]], 90, 20, id="falls-at-once"),
    pytest.param([[10, 60, 100], [20, 85, 100], [40, 92, 100]], 50, 10, id="never-below"),
    pytest.param([[10, 60, 100], [20, 85, 100], [40, 85, 100]], 90, None, id="never-so-well"),
    pytest.param([[10, 99, 100], [20, 50, 100], [40, 100, 100]], 90, 40, id="an-island-of-small-ones-does-not-count"),
    pytest.param([[20, 100, 100], [40, 60, 100]], 90, 20, id="large-ones-may-be-worse"),
    pytest.param([[20, 29, 29]], 50, None, id="too-few"),
    pytest.param([[16, 20, 20], [20, 20, 20]], 90, 16, id="neighbours-are-counted-together"),
    pytest.param([], 90, None, id="nothing"),
]


@pytest.mark.parametrize(("fine_sizes", "percent", "smallest"), SMALLEST)
def test_the_smallest_size_that_is_found(fine_sizes: list[list[int]], percent: float, smallest: int | None) -> None:
    assert smallest_found([{"fine_sizes": fine_sizes}], percent) == smallest


def test_a_network_stands_with_the_size_at_which_it_covers_most() -> None:
    covers = {"320 as is": 60.0, "640 as is": 80.0, "960 as is": 80.0, "640 night": 99.0}
    units = {key: {"labels": {"face": {"at_false_boxes": {"0.25": {"cover": {"percent": cover}}}}}} for key, cover in covers.items()}
    assert best_side(units, "face") == 640
