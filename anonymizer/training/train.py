"""Fine-tune a 2-class YOLOv8n on CPU: bf16 autocast, channels_last, AdamW, cosine over wall time.

The learning rate follows the share of ``--minutes`` that has passed, so that the cosine completes
when the time is up, however busy the machine is. A checkpoint is written every ``--every`` steps;
run the same command again to resume.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anonymizer.detection.ultralytics_engine import ready_ultralytics

ready_ultralytics("training")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, IterableDataset  # noqa: E402
from ultralytics.cfg import get_cfg  # noqa: E402
from ultralytics.nn.tasks import DetectionModel  # noqa: E402
from ultralytics.utils.loss import v8DetectionLoss  # noqa: E402

from anonymizer.training.canvas import Composer, Pictures  # noqa: E402

NAMES = {0: "face", 1: "plate"}
Batch = dict[str, torch.Tensor]


class Canvases(IterableDataset[Batch]):  # type: ignore[misc,unused-ignore]
    """Endless batches; ``late`` is shared memory, so that the trainer can switch it."""

    def __init__(self, pictures: Pictures, batch: int, side: int, seed: int) -> None:
        self.composer, self.batch, self.seed = Composer(pictures, side), batch, seed
        self.late = torch.zeros(1).share_memory_()

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        rng = np.random.default_rng(self.seed)
        while True:
            late = bool(self.late.item())
            made = [self.composer(rng, late) for _ in range(self.batch)]
            images = np.stack([m[0][:, :, ::-1].transpose(2, 0, 1) for m in made])
            rows = np.concatenate([m[1] for m in made])
            index = np.concatenate([np.full(len(m[1]), i) for i, m in enumerate(made)])
            side = self.composer.side
            middle, size = (rows[:, 1:3] + rows[:, 3:]) / 2 / side, (rows[:, 3:] - rows[:, 1:3]) / side
            yield {
                "img": torch.from_numpy(np.ascontiguousarray(images)),
                "cls": torch.from_numpy(rows[:, :1].astype(np.float32)),
                "bboxes": torch.from_numpy(np.concatenate([middle, size], 1).astype(np.float32)),
                "batch_idx": torch.from_numpy(index.astype(np.float32)),
            }


def build(base: Path) -> DetectionModel:
    """A 2-class YOLOv8n with the weights of a 1-class plate network; plates keep their outputs."""
    model = DetectionModel("yolov8n.yaml", nc=len(NAMES), verbose=False)
    model.names, model.args = NAMES, get_cfg()
    old = torch.load(base, map_location="cpu", weights_only=False)["model"].float().state_dict()
    new, taken = model.state_dict(), 0
    for key, value in old.items():
        if key in new and new[key].shape == value.shape:
            new[key] = value
            taken += 1
        elif ".cv3." in key and key.split(".")[-2] == "2":
            new[key][1] = value[0]
    model.load_state_dict(new)
    print(f"{taken} of {len(new)} tensors taken over", flush=True)
    return model


def optimizer_of(model: nn.Module, rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW without decay on biases and normalization."""
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    heavy = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    groups = [{"params": heavy, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999))


def as_float(value: Any) -> Any:
    """Every tensor in a nest, in float32."""
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, dict):
        return {k: as_float(v) for k, v in value.items()}
    return type(value)(as_float(v) for v in value) if isinstance(value, (list, tuple)) else value


def train(args: argparse.Namespace) -> None:
    """The loop."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    model = build(args.base).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".dfl" not in name)
    average = copy.deepcopy(model).eval()
    optimizer = optimizer_of(model, args.rate, args.decay)
    step, spent = 0, 0.0
    last = args.out / "last.pt"
    if last.exists():
        saved = torch.load(last, map_location="cpu", weights_only=False)
        model.load_state_dict(saved["live"])
        average.load_state_dict(saved["state"])
        optimizer.load_state_dict(saved["optimizer"])
        step, spent = saved["step"], saved["spent"]
        print(f"resumed at step {step}", flush=True)
    model = model.to(memory_format=torch.channels_last)
    criterion = v8DetectionLoss(model)
    data = Canvases(Pictures(args.data), args.batch, args.side, args.seed + step)
    loader = DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=4)
    args.out.mkdir(parents=True, exist_ok=True)
    log = (args.out / "log.jsonl").open("a")
    begun, running = time.monotonic() - spent, np.zeros(3)

    def save() -> None:
        state = {
            "state": average.state_dict(),
            "live": model.state_dict(),
            "yaml": "yolov8n.yaml",
            "names": NAMES,
            "step": step,
            "spent": spent,
            "optimizer": optimizer.state_dict(),
        }
        torch.save(state, last.with_suffix(".tmp"))
        last.with_suffix(".tmp").rename(last)

    for batch in loader:
        done = min(1.0, spent / (args.minutes * 60))
        data.late.fill_(float(done > args.late_from))
        warm = min(1.0, (step + 1) / args.warmup)
        rate = args.rate * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = rate
        images = batch["img"].float().div_(255).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            guesses = model(images)
        loss, parts = criterion(as_float(guesses), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        if torch.isfinite(norm):
            optimizer.step()
        step += 1
        keep = args.average * (1 - math.exp(-step / 300))
        with torch.no_grad():
            for mine, other in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
                if mine.dtype.is_floating_point:
                    mine.lerp_(other.float(), 1 - keep)
        spent = time.monotonic() - begun
        running += [float(v) for v in (parts.values() if isinstance(parts, dict) else parts)]
        if step % 20 == 0:
            line = {
                "step": step,
                "minutes": round(spent / 60, 2),
                "rate": round(rate, 6),
                "box_cls_dfl": (running / 20).round(3).tolist(),
                "boxes": len(batch["cls"]),
            }
            log.write(json.dumps(line) + "\n")
            log.flush()
            running[:] = 0
        if step % args.every == 0:
            save()
        if done >= 1:
            break
    save()
    print(f"done: {step} steps, {spent / 60:.1f} minutes", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="what prepare.py wrote")
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", type=Path, required=True, help="best.pt of fastanpr")
    parser.add_argument("--minutes", type=float, default=58)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=5e-4)
    parser.add_argument("--average", type=float, default=0.997)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--warmup", type=int, default=60)
    parser.add_argument("--late-from", type=float, default=0.86)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
