from __future__ import annotations

import importlib.util

import pytest

from anonymizer.detection import load_detectors
from anonymizer.errors import ConfigError, ModelError

HAS_EXTRA = importlib.util.find_spec("ultralytics") is not None and importlib.util.find_spec("torch") is not None


@pytest.mark.skipif(HAS_EXTRA, reason="shows what happens without the ultralytics extra")
def test_pt_weights_without_the_extra_name_the_extra(tmp_path):
    (tmp_path / "my.pt").write_bytes(b"weights")
    with pytest.raises(ConfigError, match=r"my\.pt") as caught:
        load_detectors(("face",), {"face": str(tmp_path / "my.pt")})
    assert 'pip install "video-anonymizer[ultralytics]"' in (caught.value.hint or "")


def test_missing_pt_file_is_said_before_the_extra(tmp_path):
    with pytest.raises(ModelError, match=r"my\.pt: there is no such file"):
        load_detectors(("face",), {"face": str(tmp_path / "my.pt")})


@pytest.mark.skipif(not HAS_EXTRA, reason='needs pip install "video-anonymizer[ultralytics]"')
def test_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "my.pt").write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"my\.pt: Ultralytics cannot load"):
        load_detectors(("face",), {"face": str(tmp_path / "my.pt")})
