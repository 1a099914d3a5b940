"""The training itself: AdamW, a cosine over wall time or steps for each stage, an average of the weights, bf16 where it helps.

With `minutes` the learning rate follows the share of them that has passed: the cosine completes when the time is up, however
busy the machine is.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymizer.detection.ultralytics_engine import ready_ultralytics
from anonymizer.errors import ConfigError, ModelError

ready_ultralytics("training", needs="training needs")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from anonymizer.training import checkpoint  # noqa: E402
from anonymizer.training.batches import Batches, as_input  # noqa: E402
from anonymizer.training.canvas import Composer  # noqa: E402
from anonymizer.training.checkpoint import Identity, State  # noqa: E402
from anonymizer.training.recipe import Recipe, Stage  # noqa: E402

_SAVE_EVERY_STEPS, _SAVE_AFTER_S = 20, 20.0
_LOG_EVERY_STEPS = 10
_WARMUP_SHARE = 0.1
_SETTLING = 300  # steps until the average looks back as far as it is told to
_HOPELESS = 20  # steps in a row without a finite gradient


@dataclass(frozen=True, slots=True)
class Step:
    """How far a training is: `share` of its stage is done."""

    stage: int
    stages: int
    step: int
    share: float
    loss: float  # of boxes, classes and edges together, the mean since the last one told


class Loop:
    """Trains a network through a recipe's stages, from the beginning or from its folder's checkpoint."""

    def __init__(
        self, model: nn.Module, recipe: Recipe, composer: Composer, folder: Path, identity: Identity, device: Any, tell: Callable[[Step], None]
    ) -> None:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(".dfl" not in name)
        self._model = model.to(device, memory_format=torch.channels_last)
        self._average = copy.deepcopy(self._model).eval()
        self._recipe, self._composer, self._folder, self._identity, self._device, self._tell = recipe, composer, folder, identity, device, tell
        self._criterion = importlib.import_module("ultralytics.utils.loss").v8DetectionLoss(self._model)

    def run(self, saved: State | None) -> nn.Module:
        """The averaged network at the end of the last stage."""
        first = saved.stage if saved else 0
        before = saved.before if saved else None
        if saved is not None:
            self._resume(saved)
        for at, stage in list(enumerate(self._recipe.stages))[first:]:
            if saved is None or not saved.done:
                self._run_stage(at, stage, saved, before)
            saved, before = None, copy.deepcopy(self._average.state_dict())
            self._model.load_state_dict(before)
        return self._average

    def _resume(self, saved: State) -> None:
        try:
            self._model.load_state_dict(saved.live)
            self._average.load_state_dict(saved.average)
        except RuntimeError as error:
            raise ModelError(
                f"{checkpoint.NAME}: the checkpoint is that of another network", hint="remove it to begin anew, or name another folder with -o"
            ) from error

    def _run_stage(self, at: int, stage: Stage, saved: State | None, before: dict[str, Any] | None) -> None:
        optimizer = _optimizer_of(self._model, stage.rate, self._recipe.decay)
        step, spent_s = 0, 0.0
        if saved is not None and saved.optimizer is not None:
            optimizer.load_state_dict(saved.optimizer)
            step, spent_s = saved.step, saved.spent_s
        late_step = None if stage.steps is None else round(stage.steps * self._recipe.late_from)
        batches = Batches(self._composer, self._recipe.batch, stage.seed, first_step=step, late_step=late_step)
        self._model.train()
        torch.manual_seed(stage.seed)
        begun_s, saved_s, losses, hopeless = time.monotonic() - spent_s, 0.0, [], 0

        def state(*, done: bool = False) -> State:
            return State(at, step, spent_s, self._model.state_dict(), self._average.state_dict(), optimizer.state_dict(), before, done)

        loader = batches.loaded(1 if self._device.type == "cpu" else max(1, min(8, (os.cpu_count() or 2) - 1)))
        while (share := _share_done(stage, step, spent_s)) < 1:
            batches.late.fill_(float(share >= self._recipe.late_from))
            for group in optimizer.param_groups:
                group["lr"] = _rate_at(stage, self._recipe, step, share)
            loss = self._step(next(loader), optimizer)
            hopeless = 0 if math.isfinite(loss) else hopeless + 1
            if hopeless == _HOPELESS:
                raise ModelError("training: the loss is no number any more", hint="a lower --rate may help")
            self._follow(step)
            step, spent_s = step + 1, time.monotonic() - begun_s
            losses += [loss] if math.isfinite(loss) else []
            if step % _LOG_EVERY_STEPS == 0 or step == stage.steps:
                self._say(Step(at + 1, len(self._recipe.stages), step, _share_done(stage, step, spent_s), float(np.mean(losses)) if losses else 0.0))
                losses = []
            if step % _SAVE_EVERY_STEPS == 0 and time.monotonic() - saved_s > _SAVE_AFTER_S:
                checkpoint.save(self._folder, self._identity, state())
                saved_s = time.monotonic()
        loader.close()
        if before is not None and stage.blend_before:
            _mix(self._average, before, stage.blend_before)
        checkpoint.save(self._folder, self._identity, state(done=True))

    def _step(self, batch: dict[str, Any], optimizer: torch.optim.Optimizer) -> float:
        """One step down; the loss, which is no number where the step was left out."""
        half = _knows_bf16(self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=half):
            guesses = self._model(as_input(batch, self._device))
        loss, parts = self._criterion(_as_float(guesses), {name: value.to(self._device) for name, value in batch.items() if name != "img"})
        optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), 10.0)
        if not torch.isfinite(norm):
            return math.nan
        optimizer.step()
        return float(sum(float(part) for part in (parts.values() if isinstance(parts, dict) else parts)))

    def _follow(self, step: int) -> None:
        """Let the average follow the weights, at first closely."""
        _mix(self._average, self._model.state_dict(), 1 - self._recipe.average * (1 - math.exp(-(step + 1) / _SETTLING)))

    def _say(self, now: Step) -> None:
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"stage": now.stage, "step": now.step, "share": round(now.share, 4), "loss": round(now.loss, 4)}) + "\n")
        self._tell(now)


def device_named(name: str) -> Any:
    """torch's device of that name; ConfigError if there is none."""
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ConfigError(f"--device: {name!r} is neither cpu nor a GPU like cuda:0", hint="say --device cpu")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            there = f"there are {count}, counted from cuda:0" if count else "this torch sees none at all"
            raise ConfigError(f"--device: there is no GPU {name}: {there}", hint="say --device cpu, or install the torch that fits the GPU and its driver")
    return torch.device(name)


def _share_done(stage: Stage, step: int, spent_s: float) -> float:
    return min(1.0, step / stage.steps if stage.steps else spent_s / (60 * (stage.minutes or 1)))


def _rate_at(stage: Stage, recipe: Recipe, step: int, share: float) -> float:
    """The learning rate: up for some steps, or for a tenth of the time where steps are slow, then down a cosine to a hundredth."""
    warmup = recipe.warmup_steps if stage.steps is None else min(recipe.warmup_steps, stage.steps // 5)
    up = min(1.0, max((step + 1) / max(warmup, 1), share / _WARMUP_SHARE))
    return stage.rate * up * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)


def _optimizer_of(model: nn.Module, rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW without decay on biases and normalization."""
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    heavy = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    groups = [{"params": heavy, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999))


def _mix(model: nn.Module, other: dict[str, Any], share: float) -> None:
    """Move a network's weights by that share of the way to others."""
    with torch.no_grad():
        for mine, theirs in zip(model.state_dict().values(), other.values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs.to(mine.device, torch.float32), share)


def _knows_bf16(device: Any) -> bool:
    """Whether bfloat16 is arithmetic of this machine: emulated it takes longer than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _as_float(value: Any) -> Any:
    """Every tensor in a nest, in float32."""
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, dict):
        return {key: _as_float(each) for key, each in value.items()}
    return type(value)(_as_float(each) for each in value) if isinstance(value, (list, tuple)) else value
