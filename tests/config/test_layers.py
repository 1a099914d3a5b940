"""One checked Config from four layers, and for each value who set it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonymizer.config import Config, EffectChoice, Zone, all_keys, config_hash, load_config, profile_names, replaced
from anonymizer.errors import ConfigError


def test_later_layers_win_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("strictness: 0.7\npadding:\n  face: 0.3\nencoding:\n  crf: 20\n  options:\n    tune: film\n    threads: 2\n")
    loaded = load_config(profile="street", file=file, values={"encoding.crf": 23.0}, said_as={"encoding.crf": "--crf"})
    assert loaded.config.encoding.crf == 23
    assert loaded.config.encoding.options == {"tune": "film", "threads": "2"}
    assert loaded.config.strictness == 0.7
    assert loaded.config.padding == {"face": 0.3, "plate": 0.08}
    assert loaded.config.preset == "thorough"
    assert loaded.config.audio == "drop"
    origins = {key: loaded.origin(key) for key in ("encoding.crf", "strictness", "padding.face", "padding.plate", "preset", "audio")}
    assert origins == {
        "encoding.crf": "--crf",
        "strictness": "my.yaml",
        "padding.face": "my.yaml",
        "padding.plate": "profile street",
        "preset": "profile street",
        "audio": "built in",
    }


@pytest.mark.parametrize("text", ["zones:\n  - 1,2,3,4\nignore_zones: 5,5,5,5\n", "zones: 1,2,3,4\n"])
def test_zones_add_up_so_that_no_layer_uncovers(tmp_path: Path, text: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    loaded = load_config(file=file, values={"zones": ["9,9,9,9@1-2"], "ignore_zones": ["6,6,6,6"]}, said_as={"zones": "--zone"})
    assert [str(zone) for zone in loaded.config.zones] == ["1,2,3,4", "9,9,9,9@1-2"]
    assert loaded.origin("zones") == "my.yaml + --zone"
    assert loaded.config.ignore_zones == (Zone(6, 6, 6, 6),)


def test_default_profile_is_what_is_built_in_and_names_every_key() -> None:
    loaded = load_config()
    assert loaded.config == Config()
    said = {key for key in all_keys() if loaded.origin(key) == "profile default" or any(name.startswith(f"{key}.") for name in loaded.origins)}
    assert said == set(all_keys())


def test_the_shipped_profiles() -> None:
    assert profile_names() == ("default", "live", "office", "street", "strict")
    assert load_config(profile="strict").config.on_damage == "stop"


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_is_valid(profile: str) -> None:
    assert load_config(profile=profile).config.detect


WRONG_VALUES: list[Any] = [
    pytest.param({"detect": "faces"}, "--it: no weights for 'faces'", "did you mean face?", id="unknown-label"),
    pytest.param({"detect": "face,face"}, "--it: a label stands twice", "name each label once", id="label-twice"),
    pytest.param({"detect": "none"}, "--it: nothing would be covered", "--zone", id="nothing-to-cover"),
    pytest.param({"preset": "fats"}, "--it: 'fats' is not one of fast, balanced, thorough", "did you mean fast?", id="unknown-preset"),
    pytest.param({"effect.kind": "blurr"}, "--it: 'blurr' is not one of blur, pixelate, solid, image", "did you mean blur?", id="unknown-effect"),
    pytest.param({"effect.kind": "image"}, "--it: the effect image needs a picture", "--effect-image", id="image-without-picture"),
    pytest.param({"effect.color": "red"}, "--it: the effect blur takes no colour", "--effect solid", id="colour-without-solid"),
    pytest.param({"effect.image": "a.png"}, "--it: the effect blur takes no picture", "--effect image", id="picture-without-image"),
    pytest.param({"effect.color": "#12345"}, "--it: '#12345' is not a colour", "config keys", id="half-a-colour"),
    pytest.param({"zones": ["1,2,3"]}, "--it: '1,2,3' is not a zone like x,y,w,h", "config keys", id="half-a-zone"),
    pytest.param({"span": "5-1"}, "--it: '5-1' ends before it begins", "config keys", id="span-backwards"),
    pytest.param({"encoding.crf": float("nan")}, "--it: nan: ", "config keys", id="crf-nan"),
    pytest.param({"strictness": 1.5}, "--it: 1.5: input should be less than or equal to 1", "config keys", id="too-strict"),
    pytest.param({"padding.face": -0.1}, "--it: -0.1: ", "config keys", id="negative-padding"),
    pytest.param({"tracking.backfill_s": 2}, "--it: 2.0 is longer than lookahead_s, 1.0", "lookahead_s", id="backfill-before-lookahead"),
    pytest.param({"keep": "subs"}, "--it: 'subs' is not one of subtitles, data,", "did you mean subtitles?", id="unknown-carrier"),
    pytest.param({"threads": 0}, "--it: 0: ", "config keys", id="no-thread"),
    pytest.param({"timeout_s": 0}, "--it: 0: ", "config keys", id="no-time"),
    pytest.param({"lookahed_s": 1}, "--it: no such key: lookahed_s", "did you mean tracking.lookahead_s?", id="unknown-key"),
    pytest.param({"encoding": 4}, "--it: 4 is not a section", "encoding.codec", id="number-for-a-section"),
]


@pytest.mark.parametrize(("values", "problem", "hint"), WRONG_VALUES)
def test_wrong_value_is_named_with_where_it_was_said(values: dict[str, Any], problem: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(values=values, said_as=dict.fromkeys(values, "--it"))
    assert caught.value.problem.startswith(problem)
    assert hint in (caught.value.hint or "")


WRONG_FILES = [
    pytest.param("zones: [1,2,3,4]\nzones: []\n", "my.yaml: line 2: the key zones stands twice", id="key-twice"),
    pytest.param("effect:\n  kind: blurr\n", "my.yaml: effect.kind: 'blurr' is not one of", id="wrong-value"),
    pytest.param("effect:\n  kind: solid\n  color: #ff0000\n", "my.yaml: line 3: for YAML #ff0000 is a comment", id="colour-as-a-comment"),
    pytest.param("efect:\n  kind: blur\n", "my.yaml: no such key: efect", id="wrong-key"),
    pytest.param("efect:\n", "my.yaml: no such key: efect", id="wrong-key-without-value"),
    pytest.param("crf: 18\n", "my.yaml: no such key: crf", id="key-without-its-section"),
    pytest.param("a: [1\n", "my.yaml: line 2: ", id="not-yaml"),
    pytest.param("span: 2026-13-41\n", "my.yaml: a value cannot be read (month must be", id="no-such-day"),
    pytest.param("just words", "my.yaml: holds no keys", id="just-words"),
    pytest.param("1: 2\n", "my.yaml: line 1: the key 1 is not text", id="number-for-a-key"),
    pytest.param("detect: no\n", "my.yaml: detect: False: ", id="yaml-no-is-false"),
    pytest.param("!!python/object/apply:os.system ['true']\n", "my.yaml: line 1: could not determine a constructor", id="code-in-yaml"),
]


@pytest.mark.parametrize(("text", "problem"), WRONG_FILES)
def test_wrong_file_is_refused_with_its_name(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file=file)
    assert caught.value.problem.startswith(problem)
    assert caught.value.hint


def test_missing_file_and_missing_profile() -> None:
    with pytest.raises(ConfigError, match=r"^gone\.yaml: no such file"):
        load_config(file=Path("gone.yaml"))
    with pytest.raises(ConfigError, match=r"^profile stret: there is none") as caught:
        load_config(profile="stret")
    assert caught.value.hint == "did you mean street?"


@pytest.mark.parametrize("text", ["", "# only words\n", "tracking:\n", "effect:\nencoding:\npadding:\n", "zones:\nkeep:\nweights:\n"])
def test_empty_file_and_empty_sections_change_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    assert load_config(file=file).config == Config()


CHANGES: list[dict[str, Any]] = [
    {"detect": "face"},
    {"weights.face": "my.onnx"},
    {"preset": "fast"},
    {"strictness": 0.6},
    {"padding.face": 0.1},
    {"effect.kind": "solid"},
    {"tracking.hold_s": 0.1},
    {"zones": "1,2,3,4"},
    {"ignore_zones": "1,2,3,4"},
    {"span": "1-2"},
    {"on_damage": "stop"},
    {"audio": "keep"},
    {"keep": "metadata"},
    {"encoding.crf": 30},
]


@pytest.mark.parametrize("values", CHANGES, ids=lambda values: next(iter(values)))
def test_hash_tells_what_changes_the_output(values: dict[str, Any]) -> None:
    assert config_hash(load_config(values=values).config) != config_hash(Config())


def test_hash_does_not_tell_what_only_changes_the_time() -> None:
    assert config_hash(load_config(values={"threads": 3, "timeout_s": 5}).config) == config_hash(Config())


def test_config_can_be_made_directly_and_never_changed() -> None:
    config = Config(detect=("face",), zones=(Zone(1, 2, 3, 4),))
    with pytest.raises(ValueError, match="frozen"):
        config.preset = "fast"  # type: ignore[misc]
    assert config.padding_of("face") == 0.13
    assert config.padding_of("badge") == 0.13
    assert load_config(values={"effect.kind": "solid", "effect.color": "White"}).config.effect.color_rgb == (255, 255, 255)


def test_replaced_sets_single_keys_and_adds_zones() -> None:
    config = Config(zones=(Zone(1, 2, 3, 4),), detect=("face",))
    changed = replaced(config, {"effect": EffectChoice(kind="solid"), "encoding.crf": 20, "zones": Zone(5, 6, 7, 8), "tracking": {"hold_s": 2}})
    assert changed == Config(
        zones=(Zone(1, 2, 3, 4), Zone(5, 6, 7, 8)),
        detect=("face",),
        effect=config.effect.model_copy(update={"kind": "solid"}),
        encoding=config.encoding.model_copy(update={"crf": 20.0}),
        tracking=config.tracking.model_copy(update={"hold_s": 2.0}),
    )
    with pytest.raises(ConfigError, match="argument: no such key: efect"):
        replaced(config, {"efect": 1})


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "endless-device"])
def test_file_that_is_none_is_refused_at_once(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "my.yaml")
    with pytest.raises(ConfigError, match=r"^my\.yaml: is (not a regular file|a directory)"):
        load_config(file=tmp_path / "my.yaml")


@pytest.mark.parametrize(("text", "problem"), [("#" * (1 << 20) + "\n", "file too large"), ("[" * 100000, "is nested too deeply")], ids=["long", "deep"])
def test_file_that_would_eat_the_memory_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"^my\.yaml: {problem}"):
        load_config(file=tmp_path / "my.yaml")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(9 * [f'*{before}'])}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
LONG = [
    *(pytest.param(f"{BOMB}{key}: *i\n", id=key) for key in ("zones", "detect", "preset", "threads", "span", "weights", "on_damage", "encoding", "strictness")),
    pytest.param(f"{BOMB}effect: {{color: *i}}\n", id="effect.color"),
    pytest.param(f"{BOMB}effect: {{kind: *i}}\n", id="effect.kind"),
    pytest.param(f"{BOMB}encoding: {{options: {{a: *i}}}}\n", id="encoding.options"),
    pytest.param(f"span: {'9' * 100_000}\n", id="long-text"),
    pytest.param(f"zones: '{'9' * 100_000}'\n", id="long-zone"),
    pytest.param(f"preset: {'9' * 100_000}\n", id="long-word"),
    pytest.param(f"{'k' * 100_000}: 1\n", id="long-key"),
    pytest.param(f"? [{'9,' * 10_000}]\n: 1\n", id="long-list-for-a-key"),
]


@pytest.mark.parametrize("text", LONG)
def test_error_is_short_however_long_the_wrong_value_is(tmp_path: Path, text: str) -> None:
    """Aliases of aliases: a list of 4 thousand million words in 500 bytes of YAML."""
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"^my\.yaml: ") as caught:
        load_config(file=tmp_path / "my.yaml")
    assert len(caught.value.problem) < 320
    assert len(caught.value.hint or "") < 320


def test_blanks_after_commas_are_no_part_of_a_label() -> None:
    config = load_config({"detect": "face, screen, sticky note", "weights": {"screen, sticky note": "my.onnx"}}).config
    assert config.weights == {"screen,sticky note": "my.onnx"}
