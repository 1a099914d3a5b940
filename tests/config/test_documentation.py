"""docs/config.md is made from the schema, and current."""

import subprocess
import sys

from pydantic import BaseModel

from anonymizer.config import PRESETS, Config, config_keys, config_page
from tests.conftest import REPO


def test_every_key_is_described() -> None:
    for key in config_keys():
        assert key.description.endswith("."), key.name
        assert key.values, key.name


def test_page_is_current() -> None:
    page = REPO / "docs" / "config.md"
    assert page.read_text(encoding="utf-8") == config_page(), "write it again: anonymizer config keys --markdown > docs/config.md"


def test_preset_names_are_those_of_the_table() -> None:
    annotation = Config.model_fields["preset"].annotation
    assert getattr(annotation, "__args__", ()) == tuple(PRESETS)


def test_config_loads_no_engine() -> None:
    code = "import sys, anonymizer.config; print(sorted({'av', 'onnxruntime', 'cv2', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stdout == "[]\n"


def test_sections_are_frozen_and_refuse_unknown_keys() -> None:
    sections = [field.annotation for field in Config.model_fields.values() if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)]
    assert len(sections) == 3
    for section in [Config, *sections]:
        assert section.model_config["frozen"]
        assert section.model_config["extra"] == "forbid"
