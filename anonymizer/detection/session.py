"""ONNX Runtime: a network's bytes in, arrays out, with a deadline."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.watchdog import came_within, no_answer
from anonymizer.errors import ModelError

# From 1.29 on ONNX Runtime's Linux wheels report models and machine to their maker unless this stands in the
# environment before they are loaded: a program that people trust with pictures calls nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort  # after the line above, and never elsewhere

ort.disable_telemetry_events()  # For programs that loaded it before us.

TIMEOUT_S = 30.0  # A picture takes 0.05 s; several hundred times that is no load, it is a hang.
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_ERRORS_ONLY = 4  # ONNX Runtime's "fatal": what goes wrong is raised, and told by us.


class OnnxSession:
    """One network with one picture input, run on the CPU.

    `input_shape` is as exported: (batch, 3, height, width), None where it is free. `metadata` is what the exporter
    wrote into the file.
    """

    def __init__(self, model: bytes, name: str, *, threads: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.use_deterministic_compute = True
        options.log_severity_level = _ERRORS_ONLY
        # Idle workers that spin would take the cores that decode and encode the neighbouring frames.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base below this one
            if not model or any(words in str(error) for words in ("INVALID_PROTOBUF", "No graph was found")):
                raise ModelError(f"{name}: the file is cut short, damaged, or no ONNX network", hint="get the file again") from error
            raise ModelError(
                f"{name}: ONNX Runtime cannot load this network ({first_line(error)})",
                hint="export it again in one file, for instance with: yolo export model=FILE.pt format=onnx",
            ) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _FLOATS:
            raise ModelError(
                f"{name}: the network does not take one float picture [batch, 3, height, width]",
                hint="detectors are Ultralytics YOLO networks exported to ONNX",
            )
        self.name = name
        self.input_shape: tuple[int | None, ...] = tuple(side if isinstance(side, int) and side > 0 else None for side in inputs[0].shape)
        self.metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self._input_name: str = inputs[0].name
        self._dtype = _FLOATS[inputs[0].type]
        self._output_name: str = self._session.get_outputs()[0].name
        self._timeout_s = timeout_s

    def run(self, blob: NDArray[np.float32]) -> NDArray[Any]:
        """The network's first output for a batch [N, 3, H, W]; ModelError if it fails or gives no answer in time."""
        options = ort.RunOptions()
        options.log_severity_level = _ERRORS_ONLY
        done = threading.Event()
        late = threading.Event()

        def guard() -> None:
            if not came_within(done, self._timeout_s):
                late.set()
                options.terminate = True  # The run ends at its next operator.

        watchdog = threading.Thread(target=guard, name="anonymizer-watchdog", daemon=True)
        watchdog.start()
        try:
            output = self._session.run([self._output_name], {self._input_name: blob.astype(self._dtype, copy=False)}, options)[0]
        except Exception as error:  # as above
            if late.is_set():
                raise no_answer(self.name, self._timeout_s) from error
            raise ModelError(f"{self.name}: the network failed while running ({first_line(error)})", hint="check that the file is whole") from error
        finally:
            done.set()
            watchdog.join()
        if not isinstance(output, np.ndarray):
            raise ModelError(f"{self.name}: the network's first output is not an array", hint="detectors are Ultralytics YOLO networks exported to ONNX")
        return output


def available_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its container (cgroup v2).

    ONNX Runtime counts the machine's; in a container of 2 on a machine of 64 it would run 64 threads on 2 cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2, or no quota ("max")
        return cores


def first_line(error: BaseException) -> str:
    """An error's first line, for a message of one line."""
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")[:200]
