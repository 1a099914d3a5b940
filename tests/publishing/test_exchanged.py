"""Somebody else writes to the output folder too: what they put in the way is neither published nor written through."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from anonymizer.errors import TargetError
from anonymizer.publishing import staged
from anonymizer.publishing.folder import Folder
from anonymizer.regular import create_regular
from tests.publishing.test_staging import names, write_until


def test_folder_that_was_exchanged_gets_nothing_and_the_old_one_keeps_nothing(tmp_path: Path) -> None:
    folder, pulled = tmp_path / "out", tmp_path / "pulled"
    folder.mkdir()

    def exchange(_: Path) -> None:
        folder.rename(pulled)
        folder.mkdir()

    with pytest.raises(TargetError, match="vanished"):
        write_until(folder / "out.mp4", exchange)
    assert names(folder) == names(pulled) == []


def test_what_was_written_into_a_folder_that_took_the_place_is_removed(tmp_path: Path) -> None:
    folder, pulled = tmp_path / "out", tmp_path / "pulled"
    folder.mkdir()

    def exchange_before_writing(path: Path) -> None:
        folder.rename(pulled)
        folder.mkdir()
        with create_regular(path) as file:
            file.write(b"sealed")

    with pytest.raises(TargetError, match="vanished"):
        write_until(folder / "out.mp4", exchange_before_writing)
    assert names(folder) == names(pulled) == []


def test_link_to_a_folder_that_is_turned_elsewhere_publishes_in_neither(tmp_path: Path) -> None:
    one, other, link = tmp_path / "one", tmp_path / "other", tmp_path / "link"
    one.mkdir()
    other.mkdir()
    link.symlink_to(one)

    def turn(_: Path) -> None:
        link.unlink()
        link.symlink_to(other)

    with pytest.raises(TargetError, match="vanished"):
        write_until(link / "out.mp4", turn)
    assert names(one) == names(other) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_file_exchanged_in_the_moment_of_renaming_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool) -> None:
    """Between the look at the name and the rename: the other file's way is patched in, everything else is real."""
    clear = tmp_path / "clear"
    clear.write_bytes(b"clear")
    name = "replace" if overwrite else "link"
    rename = getattr(Folder, name)

    def exchanged(folder: Folder, staging: str, target: str) -> None:
        clear.replace(folder.path / staging)
        rename(folder, staging, target)

    monkeypatch.setattr(Folder, name, exchanged)
    with pytest.raises(TargetError, match=r"out\.mp4: was exchanged for another file"):
        write_until(tmp_path / "out.mp4", lambda _: None, overwrite=overwrite)
    assert names(tmp_path) == []


def test_published_file_that_somebody_takes_at_once_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Folder.link

    def taken(folder: Folder, staging: str, target: str) -> None:
        link(folder, staging, target)
        (folder.path / target).rename(folder.path / "archive.mp4")

    monkeypatch.setattr(Folder, "link", taken)
    with staged(tmp_path / "out.mp4") as path:
        path.write_bytes(b"whole")
    assert names(tmp_path) == ["archive.mp4"]


def by_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def by_second_name(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def by_pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("put", [by_link, by_second_name, by_pipe])
def test_writers_do_not_write_through_what_took_the_staging_files_place(tmp_path: Path, put: Callable[[Path, Path], None]) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"theirs")

    def exchange(path: Path) -> None:
        path.unlink()
        put(path, victim)
        with pytest.raises(OSError, match=r"symbolic|second name|No such device"):
            create_regular(path)

    with pytest.raises(TargetError, match="vanished"):
        write_until(tmp_path / "out.mp4", exchange)
    assert victim.read_bytes() == b"theirs"
    assert not (tmp_path / "out.mp4").exists()
