"""From a PyTorch module to a float network, operator by operator of torch.export's graph.

Arithmetic with constants and batch normalization become lines; dropout and whatever keeps values as
they are vanishes; everything else is a node. What is then a plain sequence of Linear layers and
ReLU is a `FloatNetwork`, the rest a `FloatGraph`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.fx import Node
from torch.nn import functional

from models.errors import ModelError, UnsupportedOperator
from models.importers.float_graph import FloatGraph
from models.importers.float_network import FloatNetwork
from models.importers.float_nodes import (
    Affine,
    Array,
    Clamp,
    FloatNode,
    FloatNodes,
    Function,
    GlobalMean,
    Input,
    Pool,
    Product,
    Reshape,
    Sum,
)
from models.importers.sequence import as_sequence
from models.importers.simplify import simplified

_SUPPORTED = (
    "Linear, Conv1d, Conv2d, BatchNorm, pools, ReLU, clamps, sigmoid, tanh and other functions of "
    "one value, a sum of two values, Dropout, Flatten and arithmetic with constants"
)
_NEAREST = {
    "conv_transpose": "Conv2d, or Linear",
    "conv3d": "Conv2d",
    "conv": "Conv1d or Conv2d with dilation 1 and padding by zeros",
    "max_pool": "MaxPool without dilation and ceil_mode",
    "adaptive": "AdaptiveAvgPool to size 1, or AvgPool",
    "avg_pool": "AvgPool without ceil_mode and divisor_override, padding counted",
    "pool": "MaxPool or AvgPool",
    "pad": "the padding of the convolution behind it",
    "matmul": "Linear",
    "addmm": "Linear",
    "softmax": "nothing in its place: the largest logit is the class all the same",
    "layer_norm": "BatchNorm",
    "group_norm": "BatchNorm",
    "instance_norm": "BatchNorm",
    "add": "a sum of two values of one shape, without alpha",
    "sub": "a sum of two values of one shape",
    "mul": "a sum of two values of one shape",
    "cat": "a sum of two values of one shape",
    "mean": "the mean over all axes but batch and channels",
    "lstm": "Conv1d",
    "gru": "Conv1d",
}
_FUNCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": functional.mish,
    "elu": functional.elu,
    "selu": functional.selu,
    "leaky_relu": functional.leaky_relu,
    "softplus": functional.softplus,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "exp": torch.exp,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
}


def import_module(
    module: torch.nn.Module, example: torch.Tensor, name: str
) -> FloatNetwork | FloatGraph:
    """See `models.importers.from_torch`."""
    with _evaluating(module), torch.no_grad():
        try:
            program = torch.export.export(module, (example,))
        except Exception as error:
            cause = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise ModelError(
                f"torch.export cannot trace {type(module).__name__}: {cause}"
            ) from error
    kind = type(module).__name__
    nodes = _Walk(program).network()
    if not any(isinstance(node, Product) for node in nodes.nodes):
        raise ModelError(f"{kind} has no layer; expected at least one Linear or convolution")
    for node in nodes.nodes:
        numbers = [a for a in vars(node).values() if isinstance(a, np.ndarray)]
        if not all(np.all(np.isfinite(array)) for array in numbers):
            raise ModelError(f"{kind} has weights that are NaN or infinite")
    return as_sequence(name, nodes) or FloatGraph(name, tuple(simplified(nodes).nodes))


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode throughout; each part's own mode comes back."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@dataclass(frozen=True, eq=False, slots=True)
class _Arguments:
    """An operator's arguments by position or name, with PyTorch's defaults."""

    node: Node

    def get(self, position: int, name: str, default: Any) -> Any:
        """One of them."""
        if len(self.node.args) > position:
            return self.node.args[position]
        return self.node.kwargs.get(name, default)


class _Walk:
    """One pass over an exported program's nodes."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.nodes = list(program.graph.nodes)
        self.constants = _constants(program)
        self.network_nodes = FloatNodes()
        self.values: dict[Node, int] = {}

    def network(self) -> FloatNodes:
        """All that leads to the module's output."""
        for node in self.nodes:
            if node.op == "placeholder" and node.name not in self.constants:
                self.values[node] = self.network_nodes.add(
                    Input(sources=(), shape=_shape(node)[1:])
                )
            elif node.op == "call_function":
                self.values[node] = self._apply(node)
            elif node.op == "output":
                self.network_nodes.result = self._output(node)
                return self.network_nodes.pruned()
        raise ModelError("the exported program has no output")

    def _output(self, node: Node) -> int:
        results = node.args[0]
        if not isinstance(results, tuple | list) or len(results) != 1:
            raise ModelError("the module returns several values; expected the logits alone")
        result = results[0]
        if not isinstance(result, Node) or result not in self.values:
            raise ModelError("the module's output does not depend on its input")
        return self.values[result]

    def _apply(self, node: Node) -> int:
        kind = _kind(node)
        handler = _HANDLERS.get(kind)
        found = handler(self, node) if handler else None
        if found is None:
            raise _unsupported(node, kind)
        return found if isinstance(found, int) else self.network_nodes.add(found)

    def _constant(self, value: Any) -> NDArray[np.float64] | None:
        """A number or a parameter as an array; None for a computed value."""
        if isinstance(value, int | float):
            return np.array(float(value))
        if isinstance(value, Node):
            return self.constants.get(value.name)
        return None

    def _source(self, node: Node) -> Node | None:
        source = node.args[0]
        return source if isinstance(source, Node) and source in self.values else None

    def _about(self, node: Node, *sources: Node) -> dict[str, Any]:
        """What all float nodes are told."""
        numbers = tuple(self.values[source] for source in sources)
        return {"sources": numbers, "shape": _shape(node)[1:], "place": _place(node)}

    def linear(self, node: Node) -> FloatNode | None:
        """A layer of its own, on inputs (batch, features)."""
        source, parameters = self._source(node), self._parameters(node)
        if source is None or parameters is None:
            return None
        if len(_shape(source)) != 2:
            raise ModelError(
                f"{_place(node)} is a Linear on {_shape(source)}; flatten to (batch, features)"
            )
        weights, bias = parameters
        return Product(**self._about(node, source), weights=weights, bias=bias)

    def convolution(self, node: Node) -> FloatNode | None:
        """Conv1d or Conv2d on (batch, channels, ...), padded with zeros, not dilated."""
        source, parameters = self._source(node), self._parameters(node)
        if source is None or parameters is None:
            return None
        weights, bias = parameters
        axes, given = weights.ndim - 2, _Arguments(node)
        stride = _sizes(given.get(3, "stride", 1), axes)
        padding = _padding(given.get(4, "padding", 0), weights.shape[2:], stride)
        dilation = _sizes(given.get(5, "dilation", 1), axes)
        if padding is None or dilation != (1,) * axes:
            return None
        return Product(
            **self._about(node, source),
            weights=weights,
            bias=bias,
            stride=stride,
            padding=padding,
            groups=given.get(6, "groups", 1),
        )

    def _parameters(self, node: Node) -> tuple[Array, Array] | None:
        """Weights and bias, zeros where there is none."""
        weights = self._constant(node.args[1])
        if weights is None:
            return None
        given = self._constant(_Arguments(node).get(2, "bias", None))
        return weights, np.zeros(len(weights)) if given is None else given

    def batch_norm(self, node: Node) -> FloatNode | None:
        """Running statistics as a gain and a shift per channel."""
        source = self._source(node)
        gain, shift, mean, variance = (self._constant(argument) for argument in node.args[1:5])
        epsilon = node.args[7]
        if source is None or mean is None or variance is None:
            return None
        assert isinstance(epsilon, float)
        slope = (1.0 if gain is None else gain) / np.sqrt(variance + epsilon)
        offset = (0.0 if shift is None else shift) - mean * slope
        axes = (1,) * (len(_shape(source)) - 2)
        return Affine(
            **self._about(node, source),
            gain=slope.reshape(-1, *axes),
            shift=offset.reshape(-1, *axes),
        )

    def arithmetic(self, node: Node, combine: Callable[[Any, Any], Any]) -> FloatNode | None:
        """A constant added, subtracted, multiplied or divided by, as the line that it draws."""
        if node.kwargs:
            return None
        left, right = node.args[0], node.args[1] if len(node.args) > 1 else 0.0
        first, second = self._constant(left), self._constant(right)
        if first is None and second is None:
            return self._sum(node) if combine is operator.add else None
        computed = right if first is not None else left
        if not isinstance(computed, Node) or computed not in self.values:
            return None
        if (first is not None and combine is operator.truediv) or _shape(computed) != _shape(node):
            return None  # c / x is no line; a constant may not widen
        at_zero, at_one = (
            combine(x, second) if first is None else combine(first, x) for x in (0.0, 1.0)
        )
        shape = (1, *_shape(node)[1:])
        gain, shift = (np.broadcast_to(v, shape)[0] for v in (at_one - at_zero, at_zero))
        return Affine(**self._about(node, computed), gain=gain, shift=shift)

    def _sum(self, node: Node) -> FloatNode | None:
        """Two computed values of one shape."""
        operands = [value for value in node.args if isinstance(value, Node)]
        if len(operands) != 2 or any(_shape(value) != _shape(node) for value in operands):
            return None
        return Sum(**self._about(node, *operands))

    def clamp(self, node: Node) -> FloatNode | None:
        """ReLU, ReLU6, hardtanh and clamps by numbers."""
        source, given = self._source(node), _Arguments(node)
        fixed = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}
        default = (-1.0, 1.0) if _kind(node) == "hardtanh" else (None, None)
        low, high = fixed.get(_kind(node)) or (
            given.get(1, "min" if default[0] is None else "min_val", default[0]),
            given.get(2, "max" if default[1] is None else "max_val", default[1]),
        )
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        if source is None or not all(isinstance(bound, int | float) for bound in (low, high)):
            return None
        return Clamp(**self._about(node, source), low=float(low), high=float(high))

    def function(self, node: Node) -> FloatNode | None:
        """Any function of one value, with the arguments it is called with."""
        source = self._source(node)
        rest, called = node.args[1:], _FUNCTIONS[_kind(node)]
        if source is None or any(isinstance(argument, Node) for argument in rest):
            return None

        def compute(x: Array) -> Array:
            result = called(torch.from_numpy(np.ascontiguousarray(x)), *rest, **node.kwargs)
            found: Array = result.numpy()
            return found

        return Function(**self._about(node, source), label=_kind(node), function=compute)

    def max_pool(self, node: Node) -> FloatNode | None:
        """MaxPool1d or MaxPool2d."""
        source, given = self._source(node), _Arguments(node)
        if source is None:
            return None
        axes = len(_shape(source)) - 2
        size = _sizes(given.get(1, "kernel_size", None), axes)
        dilation = _sizes(given.get(4, "dilation", 1), axes)
        if given.get(5, "ceil_mode", False) or dilation != (1,) * axes:
            return None
        return self._pool(node, source, size, largest=True)

    def avg_pool(self, node: Node) -> FloatNode | None:
        """AvgPool1d or AvgPool2d, which divide by the window's whole area."""
        source, given = self._source(node), _Arguments(node)
        if source is None:
            return None
        axes = len(_shape(source)) - 2
        size = _sizes(given.get(1, "kernel_size", None), axes)
        padded = any(_sizes(given.get(3, "padding", 0), axes))
        if given.get(4, "ceil_mode", False) or given.get(6, "divisor_override", None) is not None:
            return None
        if padded and not given.get(5, "count_include_pad", True):
            return None
        return self._pool(node, source, size, largest=False)

    def _pool(self, node: Node, source: Node, size: tuple[int, ...], *, largest: bool) -> FloatNode:
        given, axes = _Arguments(node), len(size)
        stride = given.get(2, "stride", None) or size
        padding = _sizes(given.get(3, "padding", 0), axes)
        return Pool(
            **self._about(node, source),
            size=size,
            stride=_sizes(stride, axes),
            padding=padding,
            largest=largest,
        )

    def adaptive_mean(self, node: Node) -> int | None:
        """AdaptiveAvgPool to one pixel."""
        if math.prod(_shape(node)[2:]) != 1:
            return None
        return self._global_mean(node)

    def mean(self, node: Node) -> int | None:
        """The mean over all axes but batch and channels, kept or not."""
        source = self._source(node)
        if source is None:
            return None
        axes = len(_shape(source))
        over = node.args[1] if len(node.args) > 1 else None
        if not isinstance(over, list | tuple) or not all(isinstance(axis, int) for axis in over):
            return None
        named = {axis % axes for axis in over if isinstance(axis, int)}
        return self._global_mean(node) if named == set(range(2, axes)) else None

    def _global_mean(self, node: Node) -> int | None:
        source = self._source(node)
        if source is None:
            return None
        about = self._about(node, source)
        shape = about["shape"]
        number = self.network_nodes.add(GlobalMean(**about | {"shape": shape[:1]}))
        if len(shape) == 1:
            return number
        return self.network_nodes.add(Reshape(**about | {"sources": (number,)}))

    def reshape(self, node: Node) -> FloatNode | int | None:
        """What keeps each row's values in order."""
        source = self._source(node)
        if source is None or _shape(node)[:1] != _shape(source)[:1]:
            return None
        if _shape(node) == _shape(source):
            return self.values[source]
        return Reshape(**self._about(node, source))


_Handler = Callable[[_Walk, Node], FloatNode | int | None]


def _by(combine: Callable[[Any, Any], Any]) -> _Handler:
    return lambda walk, node: walk.arithmetic(node, combine)


_ORDER_KEEPING = (
    *("flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze"),
    *("dropout", "dropout1d", "feature_dropout", "alpha_dropout"),
    *("clone", "contiguous", "alias", "detach", "to", "_to_copy"),
)
_HANDLERS: dict[str, _Handler] = {
    "linear": _Walk.linear,
    "conv1d": _Walk.convolution,
    "conv2d": _Walk.convolution,
    "batch_norm": _Walk.batch_norm,
    "max_pool1d": _Walk.max_pool,
    "max_pool2d": _Walk.max_pool,
    "avg_pool1d": _Walk.avg_pool,
    "avg_pool2d": _Walk.avg_pool,
    "adaptive_avg_pool1d": _Walk.adaptive_mean,
    "adaptive_avg_pool2d": _Walk.adaptive_mean,
    "mean": _Walk.mean,
    "add": _by(operator.add),
    "sub": _by(operator.sub),
    "rsub": _by(lambda x, y: y - x),
    "mul": _by(operator.mul),
    "div": _by(operator.truediv),
    "neg": _by(lambda x, _: -x),
    **dict.fromkeys(("relu", "relu6", "hardtanh", "clamp", "clamp_min"), _Walk.clamp),
    **dict.fromkeys(_FUNCTIONS, _Walk.function),
    **dict.fromkeys(_ORDER_KEEPING, _Walk.reshape),
}


def _kind(node: Node) -> str:
    return str(node.target).removeprefix("aten.").split(".")[0].rstrip("_")


def _sizes(given: Any, axes: int) -> tuple[int, ...]:
    """One number for each axis, of a number or a list."""
    numbers = list(given) if isinstance(given, list | tuple) else [given]
    return tuple(int(n) for n in (numbers * axes if len(numbers) == 1 else numbers))


def _padding(given: Any, taps: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...] | None:
    """Padding on both sides; None where they differ."""
    if given == "valid":
        return (0,) * len(taps)
    if given != "same":
        return _sizes(given, len(taps))
    if any(size % 2 == 0 for size in taps) or set(stride) != {1}:
        return None
    return tuple(size // 2 for size in taps)


def _constants(program: torch.export.ExportedProgram) -> dict[str, NDArray[np.float64]]:
    """Parameters, buffers and constant tensors by their placeholder's name."""
    signature = program.graph_signature
    stored: dict[str, Any] = {**program.state_dict, **program.constants}
    targets = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    return {
        name: stored[target].detach().cpu().double().numpy() for name, target in targets.items()
    }


def _shape(node: Node) -> tuple[int, ...]:
    return tuple(int(size) for size in node.meta["val"].shape)


def _place(node: Node) -> str:
    """Which part of the module a node is of, for people."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path, kind = stack[-1] if stack else ("", "forward")
    kind_name = kind if isinstance(kind, str) else kind.__name__
    short = kind_name.rsplit(".", 1)[-1]
    return f"{path!r} ({short})" if path else f"the module's own forward ({short})"


def _unsupported(node: Node, kind: str) -> UnsupportedOperator:
    near = next((hint for part, hint in _NEAREST.items() if part in kind), f"one of {_SUPPORTED}")
    return UnsupportedOperator(str(node.target), _place(node), near)
