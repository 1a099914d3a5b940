"""What a `.pt` file is before anything of it is loaded, and why one could not be loaded, in words that help."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from anonymizer.errors import ModelError

_EXPORT = "export it where it was trained: yolo export model=FILE.pt format=onnx dynamic=True"
_AGAIN = "get the file again"


def require_whole(path: Path) -> None:
    """ModelError unless a file is a zip archive as torch writes them, each record with its checksum, and no TorchScript program.

    torch itself reads altered weights without a word: it does not look at the checksums.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(4)
        if begins != b"PK\x03\x04":
            what = "is not a PyTorch checkpoint" if begins else "is empty"
            raise ModelError(f"{path.name}: the file {what}", hint=f"{_AGAIN}; one written before PyTorch 1.6: {_EXPORT}" if begins else _AGAIN)
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise ModelError(
                    f"{path.name}: a TorchScript program, and programs in files are not run", hint="give the .pt that it was exported from, or .onnx"
                )
    except OSError as error:
        raise ModelError(
            f"{path.name}: the weights cannot be read ({error.strerror})", hint="say --weights LABEL=FILE with an existing .onnx or .pt file"
        ) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:  # what zipfile says of archives that are not whole
        raise ModelError(f"{path.name}: the file is cut short or damaged", hint=_AGAIN) from error
    if damaged is not None:
        raise ModelError(f"{path.name}: the file is damaged or was altered, its checksums do not fit", hint=_AGAIN)


def why_refused(name: str, error: Exception) -> ModelError:
    """What an error of torch or Ultralytics means for a file that is whole."""
    said = str(error.__cause__ or error)
    if found := re.search(r"GLOBAL ([\w.]+)", said):  # torch's words for what its restricted reader was asked to call
        return ModelError(
            f"{name}: the checkpoint wants to call {found[1][:80]}, which no Ultralytics network needs; nothing of it was run",
            hint=f"do not trust it, or {_EXPORT}",
        )
    if isinstance(error, KeyError | AttributeError | ValueError):
        return ModelError(f"{name}: the checkpoint holds no Ultralytics network, perhaps its weights alone", hint=_EXPORT)
    return ModelError(f"{name}: Ultralytics cannot load this checkpoint ({type(error).__name__})", hint=_EXPORT)
