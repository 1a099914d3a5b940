"""Endless batches of canvases. What is in one depends on the seed and the step alone: a training that goes on sees what it would have seen."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from typing import Any

from anonymizer.detection.ultralytics_engine import ready_ultralytics
from anonymizer.errors import AnonymizerError

ready_ultralytics("training", needs="training needs")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.utils.data import DataLoader, IterableDataset, get_worker_info  # noqa: E402

from anonymizer.training.canvas import Composer  # noqa: E402

Batch = dict[str, Any]  # Ultralytics' names: img, cls, bboxes, batch_idx
_AHEAD = 4  # batches that each worker has ready


class Batches(IterableDataset[Batch]):  # type: ignore[misc,unused-ignore]
    """Batches from a step on. `late_step` is the first that shows mostly whole pictures; without one, `late` says when."""

    def __init__(self, composer: Composer, size: int, seed: int, *, first_step: int = 0, late_step: int | None = None) -> None:
        self.composer, self.size, self.seed, self.first_step, self.late_step = composer, size, seed, first_step, late_step
        self.late = torch.zeros(1).share_memory_()

    def __iter__(self) -> Iterator[Batch | AnonymizerError]:
        """Batches, or, as the last, the error that ended them: an exception would lose its words on the way between processes."""
        cv2.setNumThreads(1)
        worker = get_worker_info()
        at, of = (0, 1) if worker is None else (worker.id, worker.num_workers)
        step = self.first_step + at
        while True:
            try:
                yield self.at(step)
            except AnonymizerError as error:
                yield error
                return
            step += of

    def at(self, step: int) -> Batch:
        """The batch of one step."""
        rng = np.random.default_rng((self.seed, step))
        late = bool(self.late.item()) if self.late_step is None else step >= self.late_step
        made = [self.composer(rng, late) for _ in range(self.size)]
        images = np.stack([image[:, :, ::-1].transpose(2, 0, 1) for image, _ in made])
        rows = np.concatenate([rows for _, rows in made])
        index = np.concatenate([np.full(len(rows), at) for at, (_, rows) in enumerate(made)])
        side = self.composer.side
        middle, size = (rows[:, 1:3] + rows[:, 3:]) / 2 / side, (rows[:, 3:] - rows[:, 1:3]) / side
        return {
            "img": torch.from_numpy(np.ascontiguousarray(images)),
            "cls": torch.from_numpy(rows[:, :1].astype(np.float32)),
            "bboxes": torch.from_numpy(np.concatenate([middle, size], 1).astype(np.float32)),
            "batch_idx": torch.from_numpy(index.astype(np.float32)),
        }

    def loaded(self, workers: int) -> Generator[Batch, None, None]:
        """The batches in order, made by that many processes; what went wrong in one is raised here."""
        self.composer.pictures.share_room(workers)
        for batch in DataLoader(self, batch_size=None, num_workers=workers, prefetch_factor=_AHEAD, worker_init_fn=_ignore_interrupts):
            if isinstance(batch, AnonymizerError):
                raise batch
            yield batch


def as_input(batch: Batch, device: Any) -> torch.Tensor:
    """A batch's pictures as the network takes them."""
    return batch["img"].to(device).float().div_(255).to(memory_format=torch.channels_last)


def _ignore_interrupts(_worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; the one that trains says what becomes of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
