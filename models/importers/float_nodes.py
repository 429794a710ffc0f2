"""Nodes of a float graph, in PyTorch's layout: channels first, row by row when flattened.

Each says what it computes on float64 arrays (n, *shape); `shape` is that of one result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kernels.ops.window import Window, as_pair

Array = NDArray[np.float64]
Sizes = tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatNode:
    """sources: numbers of the nodes it reads. place: where in the module, for people."""

    sources: tuple[int, ...]
    shape: Sizes
    place: str = ""

    def compute(self, *inputs: Array) -> Array:
        """The results, float64 (n, *shape)."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, kw_only=True)
class Input(FloatNode):
    """What the network is given."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Product(FloatNode):
    """Linear or a convolution, saturating at `low` and `high`.

    weights: (out, in), (out, in / groups, taps) or (out, in / groups, rows, columns). bias: (out,).
    """

    weights: Array
    bias: Array
    stride: Sizes = ()
    padding: Sizes = ()
    groups: int = 1
    low: float = -np.inf
    high: float = np.inf

    def compute(self, *inputs: Array) -> Array:
        """The product, by groups, within the bounds."""
        (x,) = inputs
        if self.weights.ndim == 2:
            return np.clip(x @ self.weights.T + self.bias, self.low, self.high)
        window = Window(as_pair(self.weights.shape[2:]), *self.movement)
        windows = _windows(x, window)
        parts = np.split(windows, self.groups, axis=-1)
        matrix = np.moveaxis(self.weights, 1, -1).reshape(len(self.weights), -1)
        products = [
            part.reshape(*part.shape[:3], -1) @ rows.T
            for part, rows in zip(parts, np.split(matrix, self.groups), strict=True)
        ]
        sums = np.concatenate(products, axis=-1) + self.bias
        return np.clip(_channels_first(sums, self.shape), self.low, self.high)

    @property
    def movement(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Stride and padding of rows and columns."""
        return as_pair(self.stride), as_pair(self.padding, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine(FloatNode):
    """y = gain * x + shift; both float64 that broadcast to the shape."""

    gain: Array
    shift: Array

    def compute(self, *inputs: Array) -> Array:
        """The line."""
        return inputs[0] * self.gain + self.shift

    def per_channel(self) -> tuple[Array, Array] | None:
        """Gain and shift, (channels,) each; None where they differ within a channel."""
        found = []
        for values in (self.gain, self.shift):
            full = np.broadcast_to(values, self.shape).reshape(self.shape[0], -1)
            if np.ptp(full, axis=1).any():
                return None
            found.append(full[:, 0])
        return found[0], found[1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Clamp(FloatNode):
    """ReLU and other bounds."""

    low: float = -np.inf
    high: float = np.inf

    def compute(self, *inputs: Array) -> Array:
        """Values within the bounds."""
        return np.clip(inputs[0], self.low, self.high)


@dataclass(frozen=True, eq=False, kw_only=True)
class Function(FloatNode):
    """Any function of one number, called `label`."""

    label: str
    function: Callable[[Array], Array]

    def compute(self, *inputs: Array) -> Array:
        """Its values."""
        return self.function(inputs[0])


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool(FloatNode):
    """The mean or, with `largest`, the largest value of each window."""

    size: Sizes
    stride: Sizes
    padding: Sizes
    largest: bool

    def compute(self, *inputs: Array) -> Array:
        """Padding is zero for means, and never the largest."""
        window = Window(as_pair(self.size), as_pair(self.stride), as_pair(self.padding, 0))
        fill = -np.inf if self.largest else 0.0
        windows = _windows(inputs[0], window, fill)
        pooled = windows.max(axis=(3, 4)) if self.largest else windows.mean(axis=(3, 4))
        return _channels_first(pooled, self.shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalMean(FloatNode):
    """The mean of each channel; its shape is (channels,)."""

    def compute(self, *inputs: Array) -> Array:
        """The means."""
        (x,) = inputs
        means: Array = x.reshape(*x.shape[:2], -1).mean(axis=2)
        return means


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum(FloatNode):
    """Two values of one shape added, saturating at `low` and `high`."""

    low: float = -np.inf
    high: float = np.inf

    def compute(self, *inputs: Array) -> Array:
        """The sum within the bounds."""
        return np.clip(inputs[0] + inputs[1], self.low, self.high)


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(FloatNode):
    """The same values in the same order."""

    def compute(self, *inputs: Array) -> Array:
        """The values, in the other shape."""
        return inputs[0].reshape(len(inputs[0]), *self.shape)


@dataclass
class FloatNodes:
    """A network under construction or in change: nodes in order, and which one is its result."""

    nodes: list[FloatNode] = field(default_factory=list)
    result: int = -1

    def add(self, node: FloatNode) -> int:
        """Append a node; its number."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def readers(self, number: int) -> list[int]:
        """Numbers of the nodes that read one; the result has a reader outside, -1."""
        found = [n for n, node in enumerate(self.nodes) if number in node.sources]
        return found + ([-1] if number == self.result else [])

    def pruned(self) -> FloatNodes:
        """Without nodes that lead nowhere; the input stays the first."""
        needed = {0, self.result}
        for number in reversed(range(len(self.nodes))):
            if number in needed:
                needed.update(self.nodes[number].sources)
        order = sorted(needed)
        place = {old: new for new, old in enumerate(order)}
        kept = [
            replace(node, sources=tuple(place[source] for source in node.sources))
            for node in (self.nodes[number] for number in order)
        ]
        return FloatNodes(kept, place[self.result])

    def values(self, inputs: Array) -> list[Array]:
        """Results of all nodes for inputs, float64 (n, *shape)."""
        found = [inputs]
        for node in self.nodes[1:]:
            found.append(node.compute(*(found[source] for source in node.sources)))
        return found


def _windows(x: Array, window: Window, fill: float = 0.0) -> Array:
    """(n, rows, columns, *size, channels) of (n, channels, *axes)."""
    image = x if x.ndim == 4 else x[..., np.newaxis]
    return window.gather(np.moveaxis(image, 1, -1), fill)


def _channels_first(values: Array, shape: Sizes) -> Array:
    return np.moveaxis(values, -1, 1).reshape(len(values), *shape)
