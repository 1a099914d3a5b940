"""Where outputs go, for everything that people name."""

from pathlib import Path

import pytest
from PIL import Image

from anonymizer.cli.flags import config_from
from anonymizer.cli.sources import folder_for, is_camera, is_single, require_named, target_for
from anonymizer.errors import ConfigError, SourceError
from anonymizer.media.containers import BY_SUFFIX
from anonymizer.media.kinds import VIDEO_SUFFIXES
from tests.conftest import draw_picture

TARGETS = [
    ("street.mp4", None, "street_anonymized.mp4"),
    ("a/b/street.mp4", None, "a/b/street_anonymized.mp4"),
    ("two.dots.webm", None, "two.dots_anonymized.webm"),
    ("street.mp4", "out.mkv", "out.mkv"),
    ("street.mp4", "there", "there/street.mp4"),
    ("street.mp4", "new/", "new/street.mp4"),
    ("/dev/video0", "out.mp4", "out.mp4"),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("clip[1].mp4").touch()
    Path("7").touch()
    Path("8").mkdir()
    return tmp_path


@pytest.mark.parametrize(("source", "output", "target"), TARGETS)
def test_target_of_one_input(source: str, output: str | None, target: str) -> None:
    assert target_for(source, output) == (Path(target), ())


@pytest.mark.parametrize("name", ["clip.y4m", "clip.DV", "clip.rm", "clip.obu", "clip.rmvb", "clip.bin", "clip"])
def test_file_type_that_cannot_be_written_becomes_mp4(name: str) -> None:
    note = "files without an ending cannot be written" if name == "clip" else f"{name[4:]} files cannot be written"
    Path(name).write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0")
    assert target_for(name, None) == (Path("clip_anonymized.mp4"), (f"written as .mp4: {note}",))
    assert target_for(name, "there") == (Path(f"there/{name}.mp4"), (f"written as .mp4: {note}",))
    assert target_for(name, "out.mkv") == (Path("out.mkv"), ())
    assert target_for(name, None, codec="prores_ks")[0] == Path("clip_anonymized.mkv")
    assert target_for(name, None, codec="h264")[0] == Path("clip_anonymized.mp4")
    assert target_for(name, None, keep=["attachments"])[0] == Path("clip_anonymized.mkv")
    assert target_for(name, None, codec="no such encoder", keep=["metadata"])[0] == Path("clip_anonymized.mp4")


@pytest.mark.parametrize("suffix", sorted({*VIDEO_SUFFIXES, ".gif"} & BY_SUFFIX.keys()))
def test_file_type_that_can_be_written_stays(suffix: str) -> None:
    assert target_for(f"clip{suffix}", None) == (Path(f"clip_anonymized{suffix}"), ())
    assert target_for(f"clip{suffix.upper()}", "new/") == (Path(f"new/clip{suffix.upper()}"), ())


def test_picture_keeps_any_suffix() -> None:
    Image.fromarray(draw_picture(0, (8, 8))).save("picture", format="png")
    assert target_for("picture", None) == (Path("picture_anonymized"), ())


@pytest.mark.parametrize(
    ("inputs", "single"),
    [(["a.mp4"], True), (["clip[1].mp4"], True), (["0"], True), (["clip[2].mp4"], False), (["*.mp4"], False), (["there"], False), (["a.mp4", "b.mp4"], False)],
)
def test_what_is_one_input(inputs: list[str], single: bool) -> None:
    assert is_single(inputs) == single


@pytest.mark.parametrize(
    ("text", "camera"),
    [("0", True), ("12", True), ("1234", True), ("/dev/video3", True), ("7", False), ("8", False), ("a0", False), ("/dev/null", False), ("\u0661", False)],
)
def test_what_is_a_camera(text: str, camera: bool) -> None:
    assert is_camera(text) == camera


def test_camera_and_several_inputs_need_a_place_to_go() -> None:
    with pytest.raises(ConfigError, match="0: a camera has no name for its output"):
        target_for("0", None)
    with pytest.raises(ConfigError, match="need a folder"):
        folder_for(None)
    with pytest.raises(ConfigError, match="7: is a file"):
        folder_for("7")
    assert folder_for("new") == Path("new")


def test_flags_become_configuration() -> None:
    given = {
        "detect": "face",
        "effect": "solid",
        "effect_color": "white",
        "zone": ["1,2,3,4", "5,6,7,8@1-2"],
        "keep": ["metadata,chapters", "data"],
        "crf": "20",
        "encoder_option": ["tune=film", "x264-params=a=1:b=2"],
        "weights": ["face=my.onnx"],
        "threads": "3",
        "strictness": "0.25",
        "preset": None,
    }
    loaded = config_from(given)
    config = loaded.config
    assert (config.detect, config.effect.kind, config.effect.color_rgb) == (("face",), "solid", (255, 255, 255))
    assert [str(zone) for zone in config.zones] == ["1,2,3,4", "5,6,7,8@1-2"]
    assert config.keep == ("metadata", "chapters", "data")
    assert config.encoding.crf == 20
    assert config.encoding.options == {"tune": "film", "x264-params": "a=1:b=2"}
    assert (config.weights, config.threads, config.strictness, config.preset) == ({"face": "my.onnx"}, 3, 0.25, "balanced")
    assert loaded.origin("encoding.crf") == "--crf"


@pytest.mark.parametrize("pairs", [["a"], ["=b"], ["a="], ["a=1", "a=2"]])
def test_pairs_are_pairs(pairs: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"^--encoder-option: "):
        config_from({"encoder_option": pairs})


def test_empty_name_names_nothing() -> None:
    """`anonymizer run "$FILE"` without a FILE: an empty path means the folder one stands in."""
    require_named(["7", "8"])
    for names in ([""], ["7", ""]):
        with pytest.raises(SourceError, match=r"^'': an empty name names no input"):
            require_named(names)
    with pytest.raises(ConfigError, match=r"^-o: an empty name"):
        target_for("7", "")
    with pytest.raises(ConfigError, match=r"^-o: an empty name"):
        folder_for("")


@pytest.mark.parametrize("address", ["rtsp://me:secret@host/stream", "HTTP://host/a.mp4"])
def test_an_address_is_refused_in_words_that_hold_nothing_of_it(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="streams are not read yet") as refused:
        require_named([address])
    assert not any(part in refused.value.problem for part in ("secret", "host"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ab:").mkdir()
    (tmp_path / "ab:" / "c.mp4").touch()
    require_named(["ab://c.mp4"])
