"""From a PyTorch module to a float network, operator by operator of torch.export's graph.

A value in the graph is the sequence of layers that leads to it from the input. Batch normalization
and arithmetic with constants are diagonal layers, merged with their neighbours in the end; what
only changes shapes leaves a value as it is, since rows are flattened in order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.fx import Node

from models.errors import ModelError, UnsupportedOperator
from models.importers.float_network import FloatLayer, FloatNetwork, merged

Layers = tuple[FloatLayer, ...]

_SUPPORTED = "Linear, ReLU, BatchNorm1d, Dropout, Flatten and arithmetic with constants"
_NEAREST = {
    "conv": "Flatten and Linear",
    "pool": "Flatten and Linear",
    "matmul": "Linear",
    "addmm": "Linear",
    "softmax": "nothing in its place: the largest logit is the class all the same",
    "sigmoid": "ReLU between layers, and nothing at the end",
    "tanh": "ReLU",
    "elu": "ReLU",
    "relu": "ReLU",
    "hardtanh": "ReLU",
    "hardswish": "ReLU",
    "silu": "ReLU",
    "layer_norm": "BatchNorm1d",
    "group_norm": "BatchNorm1d",
    "add": "a plain sequence of layers: two computed values cannot be combined",
    "sub": "a plain sequence of layers: two computed values cannot be combined",
    "mul": "a plain sequence of layers: two computed values cannot be combined",
    "cat": "a plain sequence of layers: two computed values cannot be combined",
}


def import_module(module: torch.nn.Module, example: torch.Tensor, name: str) -> FloatNetwork:
    """See `models.importers.from_torch`."""
    with _evaluating(module), torch.no_grad():
        try:
            program = torch.export.export(module, (example,))
        except Exception as error:
            cause = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise ModelError(
                f"torch.export cannot trace {type(module).__name__}: {cause}"
            ) from error
    layers = merged(_Walk(program).layers())
    if not layers:
        raise ModelError(f"{type(module).__name__} has no layer; expected at least one Linear")
    for layer in layers:
        if not (np.all(np.isfinite(layer.weights)) and np.all(np.isfinite(layer.bias))):
            raise ModelError(f"{type(module).__name__} has weights that are NaN or infinite")
    return FloatNetwork(name, tuple(example.shape[1:]), layers)


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


class _Walk:
    """One pass over an exported program's nodes."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.nodes = list(program.graph.nodes)
        self.constants = _constants(program)
        self.values: dict[Node, Layers] = {}

    def layers(self) -> Layers:
        """The layers that lead to the module's output."""
        for node in self.nodes:
            if node.op == "placeholder" and node.name not in self.constants:
                self.values[node] = ()
            elif node.op == "call_function":
                self.values[node] = self._apply(node)
            elif node.op == "output":
                return self._output(node)
        raise ModelError("the exported program has no output")

    def _output(self, node: Node) -> Layers:
        results = node.args[0]
        if not isinstance(results, tuple | list) or len(results) != 1:
            raise ModelError("the module returns several values; expected the logits alone")
        result = results[0]
        if not isinstance(result, Node) or result not in self.values:
            raise ModelError("the module's output does not depend on its input")
        return self.values[result]

    def _apply(self, node: Node) -> Layers:
        kind = str(node.target).removeprefix("aten.").split(".")[0].rstrip("_")
        handler = _HANDLERS.get(kind)
        found = handler(self, node) if handler else None
        if found is None:
            raise _unsupported(node, kind)
        return found

    def _constant(self, value: Any) -> NDArray[np.float64] | None:
        """A number or a parameter as an array; None for a computed value."""
        if isinstance(value, int | float):
            return np.array(float(value))
        if isinstance(value, Node):
            return self.constants.get(value.name)
        return None

    def _source(self, node: Node) -> tuple[Node, Layers] | None:
        source = node.args[0]
        if isinstance(source, Node) and source in self.values:
            return source, self.values[source]
        return None

    def linear(self, node: Node) -> Layers | None:
        """A layer of its own, on inputs (batch, features)."""
        source = self._source(node)
        weights = self._constant(node.args[1])
        if source is None or weights is None:
            return None
        if len(_shape(source[0])) != 2:
            raise ModelError(
                f"{_place(node)} is a Linear on {_shape(source[0])}; flatten to (batch, features)"
            )
        given = self._constant(node.args[2]) if len(node.args) > 2 else None
        bias = np.zeros(len(weights)) if given is None else given
        return (*source[1], FloatLayer(weights, bias))

    def batch_norm(self, node: Node) -> Layers | None:
        """Running statistics as a gain and a shift per feature."""
        source = self._source(node)
        if source is None or len(_shape(source[0])) != 2:
            return None
        gain, shift, mean, variance = (self._constant(argument) for argument in node.args[1:5])
        epsilon = node.args[7]
        if mean is None or variance is None:
            return None
        assert isinstance(epsilon, float)
        slope = (1.0 if gain is None else gain) / np.sqrt(variance + epsilon)
        return self._diagonal(source, slope, (0.0 if shift is None else shift) - mean * slope)

    def arithmetic(self, node: Node, combine: Callable[[Any, Any], Any]) -> Layers | None:
        """A constant added, subtracted, multiplied or divided by, as the line that it draws."""
        if node.kwargs:
            return None
        left, right = node.args[0], node.args[1] if len(node.args) > 1 else 0.0
        first, second = self._constant(left), self._constant(right)
        computed = right if first is not None else left
        if not isinstance(computed, Node) or computed not in self.values:
            return None
        if first is None and second is None:
            return None
        if first is not None and combine is operator.truediv:
            return None  # c / x is no line
        at_zero, at_one = (
            combine(x, second) if first is None else combine(first, x) for x in (0.0, 1.0)
        )
        source = (computed, self.values[computed])
        return self._diagonal(source, at_one - at_zero, at_zero)

    def relu(self, node: Node) -> Layers | None:
        """The last layer's ReLU; on the input itself, a layer that does nothing else."""
        source = self._source(node)
        if source is None:
            return None
        layers = source[1] or self._diagonal(source, 1.0, 0.0)
        return (*layers[:-1], replace(layers[-1], relu=True))

    def reshape(self, node: Node) -> Layers | None:
        """What keeps each row's values in order changes nothing."""
        source = self._source(node)
        if source is None or _shape(node)[:1] != _shape(source[0])[:1]:
            return None
        return source[1]

    @staticmethod
    def _diagonal(source: tuple[Node, Layers], gain: Any, shift: Any) -> Layers:
        shape = _shape(source[0])[1:]
        gains, shifts = (np.broadcast_to(value, (1, *shape)).ravel() for value in (gain, shift))
        return (*source[1], FloatLayer(np.diag(gains).astype(float), shifts.astype(float)))


_Handler = Callable[[_Walk, Node], Layers | None]


def _by(combine: Callable[[Any, Any], Any]) -> _Handler:
    return lambda walk, node: walk.arithmetic(node, combine)


_ORDER_KEEPING = (
    *("flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze"),
    *("dropout", "clone", "contiguous", "alias", "detach", "to", "_to_copy"),
)
_HANDLERS: dict[str, _Handler] = {
    "linear": _Walk.linear,
    "batch_norm": _Walk.batch_norm,
    "relu": _Walk.relu,
    "add": _by(operator.add),
    "sub": _by(operator.sub),
    "rsub": _by(lambda x, y: y - x),
    "mul": _by(operator.mul),
    "div": _by(operator.truediv),
    "neg": _by(lambda x, _: -x),
    **dict.fromkeys(_ORDER_KEEPING, _Walk.reshape),
}


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
