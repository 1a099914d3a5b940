"""A name appears only when the file is whole; the folder listing is the proof."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from anonymizer.errors import AnonymizerError, ConfigError, TargetError
from anonymizer.publishing import find_leftovers, require_target, staged, staging, sweep_leftovers

HELD = """
import sys
from pathlib import Path
from anonymizer.publishing import staged
with staged(Path(sys.argv[1])) as path:
    path.write_bytes(b"half")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def held_by_another_run(target: Path) -> subprocess.Popen[str]:
    """A real process in the middle of writing `target`; a line on its stdin lets it finish."""
    process = subprocess.Popen([sys.executable, "-c", HELD, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str], *, kill: bool) -> int:
    if kill:
        process.kill()
    process.communicate("\n")
    return process.returncode


def test_whole_file_gets_its_name_and_the_usual_permissions(tmp_path: Path) -> None:
    target = tmp_path / "street.mp4"
    with staged(target) as path:
        assert path.parent == tmp_path
        assert path.name.startswith(".street.anonymizer-")
        assert path.name.endswith(".part.mp4")
        assert path.stat().st_mode & 0o777 == 0o600
        path.write_bytes(b"whole")
        assert not target.exists()
    assert names(tmp_path) == ["street.mp4"]
    assert target.read_bytes() == b"whole"
    beside = tmp_path / "beside"
    beside.touch()
    assert target.stat().st_mode == beside.stat().st_mode


def write_until(target: Path, stop: Callable[[Path], object], *, overwrite: bool = False) -> None:
    """A run that has written some bytes when `stop` happens."""
    with staged(target, overwrite=overwrite) as path:
        path.write_bytes(b"half")
        stop(path)


def raiser(error: BaseException) -> Callable[[Path], object]:
    def stop(_: Path) -> None:
        raise error

    return stop


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt(), SystemExit(143), TargetError("x"), GeneratorExit()])
def test_failing_block_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write_until(tmp_path / "out.mp4", raiser(error))
    assert names(tmp_path) == []


def test_failing_block_keeps_the_file_it_would_have_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_until(target, raiser(RuntimeError()), overwrite=True)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["out.mp4"]


def test_overwrite_replaces_and_keeps_the_stricter_permissions(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"old")
    target.chmod(0o600)
    with staged(target, overwrite=True) as path:
        path.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with pytest.raises(TargetError, match=r"out\.mp4: appeared while it was being made"):
        write_until(target, lambda _: target.write_bytes(b"theirs"))
    assert target.read_bytes() == b"theirs"
    assert names(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("appears", [False, True])
def test_without_hard_links_nothing_is_replaced_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, appears: bool) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    target = tmp_path / "out.mp4"
    try:
        with staged(target) as path:
            path.write_bytes(b"ours")
            if appears:
                target.write_bytes(b"theirs")
    except TargetError:
        assert appears
    assert target.read_bytes() == (b"theirs" if appears else b"ours")
    assert names(tmp_path) == ["out.mp4"]


def test_an_empty_file_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="nothing was written"), staged(tmp_path / "out.mp4"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_is_a_target_error(tmp_path: Path, code: int) -> None:
    with pytest.raises(TargetError, match=r"^out\.mp4: "):
        write_until(tmp_path / "out.mp4", raiser(OSError(code, os.strerror(code))))
    assert names(tmp_path) == []


def test_other_system_errors_keep_their_type(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        write_until(tmp_path / "out.mp4", raiser(ConnectionResetError(errno.ECONNRESET, "the camera")))


def test_file_size_limit_leaves_nothing(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from anonymizer.errors import TargetError
from anonymizer.publishing import staged
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with staged(Path(sys.argv[1])) as path:
        path.write_bytes(bytes(5000))
except TargetError as error:
    print(error.problem)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out.mp4")], capture_output=True, text=True, check=True)
    assert done.stdout == "out.mp4: file too large\n"
    assert names(tmp_path) == []


def test_vanished_folder_is_a_target_error(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    with pytest.raises(TargetError, match="vanished"):
        write_until(folder / "out.mp4", lambda _: folder.rename(tmp_path / "pulled"))
    assert names(tmp_path) == ["pulled"]


def test_replaced_staging_file_is_not_published(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"clear")
    with pytest.raises(TargetError, match="vanished"):
        write_until(tmp_path / "out.mp4", lambda path: other.replace(path))
    assert not (tmp_path / "out.mp4").exists()


REFUSED = [
    pytest.param("in.mp4", True, ConfigError, "in.mp4: is the input itself", id="the-input-by-path"),
    pytest.param("folder/../in.mp4", True, ConfigError, "in.mp4: is the input itself", id="the-input-by-another-path"),
    pytest.param("soft.mp4", True, ConfigError, "soft.mp4: is the input itself", id="the-input-by-symbolic-link"),
    pytest.param("hard.mp4", True, ConfigError, "hard.mp4: is the input itself", id="the-input-by-hard-link"),
    pytest.param("old.mp4", False, ConfigError, "old.mp4: already exists", id="an-existing-file-without-y"),
    pytest.param("dangling.mp4", False, ConfigError, "dangling.mp4: already exists", id="a-dangling-link-without-y"),
    pytest.param("folder", True, TargetError, "folder: is a folder", id="a-folder"),
    pytest.param("pipe", True, TargetError, "pipe: is not a regular file", id="a-pipe"),
    pytest.param("/dev/null", True, TargetError, "null: is not a regular file", id="a-device"),
    pytest.param("missing/out.mp4", False, TargetError, "out.mp4: the folder {0}/missing does not exist", id="a-folder-that-is-missing"),
    pytest.param("in.mp4/out.mp4", False, TargetError, "out.mp4: {0}/in.mp4 is not a folder", id="a-folder-that-is-a-file"),
    pytest.param("o" * 300 + ".mp4", False, TargetError, "o" * 300 + ".mp4: file name too long", id="a-name-too-long"),
]


@pytest.mark.parametrize(("name", "overwrite", "kind", "problem"), REFUSED)
def test_refused_before_any_work(tmp_path: Path, name: str, overwrite: bool, kind: type[AnonymizerError], problem: str) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(b"clear")
    (tmp_path / "soft.mp4").symlink_to(source)
    (tmp_path / "hard.mp4").hardlink_to(source)
    (tmp_path / "old.mp4").write_bytes(b"old")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    with pytest.raises(kind) as caught:
        require_target(tmp_path / name, source=source, overwrite=overwrite)
    assert type(caught.value) is kind
    assert caught.value.problem == problem.format(tmp_path)
    assert caught.value.hint
    assert names(tmp_path) == before
    assert source.read_bytes() == b"clear"


def test_folder_that_takes_no_file_is_a_target_error() -> None:
    with pytest.raises(TargetError, match=r"^out\.mp4: "), staged(Path("/proc/out.mp4")):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_unwritable_folder_is_a_target_error(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(TargetError, match="cannot be written"), staged(folder / "out.mp4"):
        pass


def test_a_link_at_the_target_is_replaced_and_what_it_points_to_is_not(tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(b"other")
    target = tmp_path / "out.mp4"
    target.symlink_to(other)
    with staged(target, overwrite=True) as path:
        path.write_bytes(b"new")
    assert other.read_bytes() == b"other"
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"


def test_second_run_at_one_target_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    first = held_by_another_run(target)
    with pytest.raises(TargetError, match=r"out\.mp4: another run is writing it"), staged(target):
        pass
    assert end(first, kill=False) == 0
    assert target.read_bytes() == b"half"
    assert names(tmp_path) == ["out.mp4"]


def test_living_run_is_not_swept_and_a_killed_one_is(tmp_path: Path) -> None:
    run = held_by_another_run(tmp_path / "out.mp4")
    assert find_leftovers(tmp_path) == ()
    assert sweep_leftovers(tmp_path) == ()
    assert end(run, kill=True) == -signal.SIGKILL
    assert len(names(tmp_path)) == 1
    assert [path.name for path in find_leftovers(tmp_path)] == names(tmp_path)
    with staged(tmp_path / "another.mp4") as path:
        path.write_bytes(b"whole")
    assert names(tmp_path) == ["another.mp4"]


def test_leftover_of_the_same_target_is_taken_over(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    end(held_by_another_run(target), kill=True)
    with staged(target) as path:
        assert path.read_bytes() == b""
        path.write_bytes(b"whole")
    assert names(tmp_path) == ["out.mp4"]


def test_only_staging_files_are_swept(tmp_path: Path) -> None:
    for name in (".street.part.mp4", "street.anonymizer-0123456789ab.part.mp4", ".street.anonymizer-xyz.part.mp4", ".anonymizer"):
        (tmp_path / name).touch()
    (tmp_path / ".dir.anonymizer-0123456789ab.part.mp4").mkdir()
    (tmp_path / ".link.anonymizer-0123456789ab.part.mp4").symlink_to(tmp_path / ".anonymizer")
    assert sweep_leftovers(tmp_path) == ()
    assert len(names(tmp_path)) == 6


def test_many_runs_at_one_target_publish_once(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    results: list[str] = []

    def run(word: str) -> None:
        try:
            with staged(target) as path:
                path.write_text(word)
                time.sleep(0.01)
            results.append(word)
        except AnonymizerError:
            pass

    threads = [threading.Thread(target=run, args=(str(number),)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [target.read_text()]
    assert names(tmp_path) == ["out.mp4"]


def test_without_locks_a_fresh_staging_file_is_respected_and_an_old_one_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_flock", None)
    target = tmp_path / "out.mp4"
    with staged(target) as path:
        assert sweep_leftovers(tmp_path) == ()
        with pytest.raises(TargetError, match="another run"), staged(target):
            pass
        path.write_bytes(b"whole")
    assert names(tmp_path) == ["out.mp4"]
    old = tmp_path / path.name
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert sweep_leftovers(tmp_path) == (old,)


@pytest.mark.parametrize("name", ["a" * 251 + ".mp4", "ä" * 125 + ".mkv", "no_suffix", ".hidden.webm", "two.dots.tar", "line\nbreak.mp4"])
def test_odd_names_are_staged_and_swept(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    with staged(target) as path:
        assert path.name.endswith(f".part{target.suffix}")
        path.write_bytes(b"whole")
        leftover = path.name
    assert names(tmp_path) == [name]
    (tmp_path / leftover).touch()
    assert [found.name for found in sweep_leftovers(tmp_path)] == [leftover]
