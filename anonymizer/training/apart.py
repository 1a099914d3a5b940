"""One label taught in a branch of its own, while all else that the network answers stays as it is.

The branch of a YOLOv8 head that tells classes is two convolutions and an output layer for all labels. `set_apart` gives one label
its own copies of the last two, and only they are taught; `joined` puts them beside the others again: a wider second convolution, and an output
layer in which each label reads its own half. So what was measured of the other labels, and every box, holds for the new weights too.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from anonymizer.detection.ultralytics_engine import ready_ultralytics
from anonymizer.errors import ModelError

ready_ultralytics("training", needs="training needs")

import torch  # noqa: E402
from torch import nn  # noqa: E402


class _Apart(nn.Module):  # type: ignore[misc,unused-ignore]
    """The second convolution and the output layer [N, C, H, W] -> [N, labels, H, W], and those of the label `at`."""

    def __init__(self, second: nn.Module, output: nn.Conv2d, at: int) -> None:
        super().__init__()
        self.at = at
        others = [row for row in range(output.out_channels) if row != at]
        self.second, self.output = _read_by(others, second, output)
        self.own_second, own = _read_by([at], second, output)
        self.own_output = _layer(own.weight[at : at + 1], own.bias[at : at + 1])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        scores = self.output(self.second(features))
        own = self.own_output(self.own_second(features))
        return torch.cat([scores[:, : self.at], own, scores[:, self.at + 1 :]], 1)

    def joined(self) -> tuple[nn.Module, nn.Conv2d]:
        """The second convolution with the channels of both, and an output layer that answers the same."""
        width = self.output.in_channels
        weight = self.output.weight.new_zeros(self.output.out_channels, width + self.own_output.in_channels, 1, 1)
        bias = self.output.bias.detach().clone()
        weight[:, :width] = self.output.weight.detach()
        weight[self.at] = 0
        weight[self.at, width:] = self.own_output.weight.detach()[0]
        bias[self.at] = self.own_output.bias.detach()[0]
        state, own = self.second.state_dict(), self.own_second.state_dict()
        both = {key: torch.cat([value, own[key]]) if value.ndim else value for key, value in state.items()}
        return _second(both), _layer(weight, bias)


def set_apart(model: nn.Module, at: int) -> None:
    """Give the label of that index branches of its own; the network's answers stay the same. ModelError for a build other than YOLOv8's."""
    for branch in _branches(model):
        if len(branch) != 3 or not hasattr(branch[1], "conv"):
            raise ModelError("no label of this network can be taught apart", hint="begin with a shipped model, or with a YOLOv8 detector")
        second, output = branch[1], branch[2]
        del branch[2]
        branch[1] = _Apart(second, output, at).train(branch.training)


def joined(model: nn.Module) -> nn.Module:
    """A copy without branches apart that answers the same; the network itself if it has none."""
    if next(taught_apart(model), None) is None:
        return model
    model = copy.deepcopy(model)
    for branch in _branches(model):
        second, output = branch[1].joined()
        branch[1] = second.train(branch.training)
        branch.append(output)
    return model


def taught_apart(model: nn.Module) -> Iterator[nn.Parameter]:
    """The weights that are taught where a label is set apart; none if none is."""
    for module in model.modules():
        if isinstance(module, _Apart):
            yield from module.own_second.parameters()
            yield from module.own_output.parameters()


def widen(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Make the branches of classes as wide as those of weights that `joined` widened."""
    prefix = f"model.{len(_layers(model)) - 1}.cv3"
    for at, branch in enumerate(_branches(model)):
        given = state.get(f"{prefix}.{at}.1.conv.weight")
        if (
            given is not None
            and hasattr(branch[1], "conv")
            and given.shape[0] != branch[1].conv.out_channels
            and given.shape[1:] == branch[1].conv.weight.shape[1:]
        ):
            width, output = given.shape[0], branch[2]
            branch[1] = _second({key: value.new_zeros((width, *value.shape[1:])) if value.ndim else value for key, value in branch[1].state_dict().items()})
            branch[2] = _layer(output.weight.new_zeros(output.out_channels, width, 1, 1), output.bias)


def _read_by(rows: list[int], second: nn.Module, output: nn.Conv2d) -> tuple[nn.Module, nn.Conv2d]:
    """The second convolution with those channels alone that some of the output's rows read, and the output layer for them."""
    read = output.weight.detach()[rows].abs().amax((0, 2, 3)) > 0
    state = {key: value[read] if value.ndim else value for key, value in second.state_dict().items()}
    return _second(state), _layer(output.weight[:, read], output.bias)


def _second(state: Mapping[str, torch.Tensor]) -> nn.Module:
    """A convolution of 3x3 with normalization and activation, of these weights."""
    wide, deep = state["conv.weight"].shape[:2]
    made: nn.Module = importlib.import_module("ultralytics.nn.modules.conv").Conv(deep, wide, 3)
    made.bn.eps, made.bn.momentum = 1e-3, 0.03  # as `initialize_weights` of Ultralytics sets them
    made.load_state_dict({key: value.detach().clone() for key, value in state.items()})
    return made


def _layer(weight: torch.Tensor, bias: torch.Tensor) -> nn.Conv2d:
    made = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    made.load_state_dict({"weight": weight.detach().clone(), "bias": bias.detach().clone()})
    return made


def _layers(model: nn.Module) -> Any:
    return model.model


def _branches(model: nn.Module) -> Any:
    """The head's branches of classes, one for each of its strides."""
    return _layers(model)[-1].cv3
