"""From a float graph to the integer graph: scales from a calibration, one op for each node.

All hidden tensors are symmetric, their zero point is 0: uint8 where nothing can be negative, else
int8. The result is int16 where a product gives it. PyTorch flattens channels first, the device has
them last, so every tensor carries the order of its elements, and a Linear layer's columns follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kernels import ir
from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.ir import Graph, Range, Tensor, frozen_array
from kernels.ops.add import Add
from kernels.ops.argmax import Argmax
from kernels.ops.avg_pool import AvgPool
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.flatten import Flatten
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.linear import Linear
from kernels.ops.max_pool import MaxPool
from kernels.ops.relu import Relu
from kernels.ops.table_activation import TableActivation
from kernels.quant import Requantization, Rounding
from models.errors import ModelError, UnsupportedOperator
from models.importers import float_nodes as real
from models.importers.float_nodes import Array, FloatNode
from models.quantization import MAX_MULTIPLIER, QuantizedLayer, quantize_layer

LOGIT_LEVELS = 1 << 14
MOST_CLASSES = 256
_LARGEST_SHIFT = 24
Order = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Options:
    """What `FloatGraph.quantize` is told."""

    input_scale: float
    input_high: int
    max_weight: int
    per_row: bool


@dataclass(frozen=True, eq=False, slots=True)
class Placed:
    """A tensor on the device, and where in PyTorch's order each of its elements stands."""

    tensor: Tensor
    order: Order


def lower(
    name: str, nodes: Sequence[FloatNode], values: Sequence[Array], options: Options
) -> Graph:
    """The integer graph; values: of each node, float64 (n, *shape), over the calibration.

    Its outputs are `logits` and, where these are at most 256 in one axis, their class `predicted`.
    """
    lowering = _Lowering(nodes, values, options)
    source = lowering.place_input()
    for number in range(1, len(nodes)):
        lowering.place(number)
    result = lowering.placed[-1]
    if not np.array_equal(result.order, device_order(nodes[-1].shape)):
        raise ModelError(
            f"{name} ends in a flattened image, whose order is another on the device; "
            "return the image, or end in a Linear or pooling layer"
        )
    outputs = [result.tensor.name]
    if len(result.tensor.shape) == 1 and result.tensor.count <= MOST_CLASSES:
        best = Argmax("argmax", result.tensor, Tensor("predicted", (1,), UINT8))
        lowering.ops.append(best)
        outputs.append(best.output.name)
    graph = Graph(name, source, tuple(lowering.ops), tuple(outputs))
    ir.verify(graph)
    return graph


def device_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Channels last."""
    return (*shape[1:], shape[0])


def device_order(shape: tuple[int, ...]) -> Order:
    """For each element as it lies on the device, its number in PyTorch's order, int64 (count,)."""
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    return np.moveaxis(numbers, 0, -1).ravel().astype(np.int64)


class _Lowering:
    """One pass over the nodes, which places each one's tensor."""

    def __init__(
        self, nodes: Sequence[FloatNode], values: Sequence[Array], options: Options
    ) -> None:
        self.nodes, self.values, self.options = nodes, values, options
        self.ops: list[ir.Node] = []
        self.placed: list[Placed] = []

    def place_input(self) -> Tensor:
        """The graph's input, uint8."""
        options, shape = self.options, self.nodes[0].shape
        bounds = None if options.input_high == UINT8.high else Range(0, options.input_high)
        tensor = Tensor("image", device_shape(shape), UINT8, options.input_scale, bounds=bounds)
        self.placed.append(Placed(tensor, device_order(shape)))
        return tensor

    def place(self, number: int) -> None:
        """Append the node's op and the tensor that it writes."""
        node = self.nodes[number]
        handler = cast("Callable[[_Lowering, int, FloatNode], Placed]", _HANDLERS[type(node)])
        self.placed.append(handler(self, number, node))

    def _sources(self, node: FloatNode) -> list[Placed]:
        return [self.placed[source] for source in node.sources]

    def _is_last(self, number: int) -> bool:
        """Whether nothing but reshapes follows."""
        return all(isinstance(node, real.Reshape) for node in self.nodes[number + 1 :])

    def _tensor(self, number: int, dtype: DType, scale: float) -> Tensor:
        name = "logits" if number == len(self.nodes) - 1 else f"hidden{number}"
        return Tensor(name, device_shape(self.nodes[number].shape), dtype, scale)

    def _like(self, number: int, source: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
        """A tensor of the source's type."""
        tensor = self._tensor(number, source.dtype, source.scale)
        return Tensor(tensor.name, shape or tensor.shape, source.dtype, source.scale)

    def _peak(self, number: int) -> float:
        peak = float(np.abs(self.values[number]).max())
        if peak <= 0:
            raise ModelError(
                f"{self.nodes[number].place} gives 0 for every calibration input, so it has no "
                "scale; train again or give other inputs"
            )
        return peak

    def _levels(self, number: int, low: float) -> tuple[DType, int]:
        """The dtype of a node's tensor, and how many of its steps the peak shall be."""
        if self._is_last(number):
            return INT16, LOGIT_LEVELS
        return (UINT8, UINT8.high) if low >= 0 else (INT8, INT8.high)

    def product(self, number: int, node: real.Product) -> Placed:
        """Linear and convolutions."""
        (source,) = self._sources(node)
        weights = node.weights
        if weights.ndim == 2:
            weights = weights[:, source.order]
        dtype, levels = self._levels(number, node.low)
        found = self._quantized(number, node, weights.reshape(len(weights), -1), levels)
        output = self._tensor(number, dtype, found.scale)
        bounds = _bounds(node.low, node.high, output)
        multiplier = found.multiplier.astype(np.int64)
        op = _product_op(
            node,
            name=f"{'fc' if weights.ndim == 2 else 'conv'}{number}",
            input=source.tensor,
            output=output,
            weights=found.weights.reshape(weights.shape),
            bias=found.bias,
            requantization=Requantization(multiplier, found.shift, Rounding.HALF_UP, 0, *bounds),
        )
        self.ops.append(op)
        return Placed(output, device_order(node.shape))

    def _quantized(
        self, number: int, node: real.Product, matrix: Array, levels: int
    ) -> QuantizedLayer:
        scale = self._sources(node)[0].tensor.scale
        peak = self._peak(number)
        try:
            if self.options.per_row:
                return quantize_layer(
                    matrix, node.bias, scale, peak, levels, max_weight=self.options.max_weight
                )
            return _by_shift(matrix, node.bias, scale, peak / levels, self.options.max_weight)
        except ValueError as error:
            raise ModelError(f"{node.place}: {error}; train again") from error

    def clamp(self, number: int, node: real.Clamp) -> Placed:
        """Bounds that could not be fused."""
        (source,) = self._sources(node)
        output = self._like(number, source.tensor, source.tensor.shape)
        low, high = _bounds(node.low, node.high, output)
        self.ops.append(Relu(f"relu{number}", source.tensor, output, low, high))
        return Placed(output, source.order)

    def function(self, number: int, node: real.Function) -> Placed:
        """A table of the function's values at every step of its input."""
        (source,) = self._sources(node)
        steps = np.arange(source.tensor.dtype.low, source.tensor.dtype.high + 1)
        if len(steps) != MOST_CLASSES:
            raise UnsupportedOperator(node.label, node.place, "a layer before it that gives bytes")
        results = node.function((steps * source.tensor.scale).astype(np.float64))
        peak = float(np.abs(results).max()) or 1.0
        dtype = UINT8 if results.min() >= 0 else INT8
        dtype = INT16 if self._is_last(number) else dtype
        output = self._like(number, source.tensor, source.tensor.shape)
        output = Tensor(output.name, output.shape, dtype, peak / dtype.high)
        table = np.rint(results / output.scale).astype(np.int64)
        self.ops.append(TableActivation(f"{node.label}{number}", source.tensor, output, table))
        return Placed(output, source.order)

    def pool(self, number: int, node: real.Pool) -> Placed:
        """Windows over an image or a sequence."""
        (source,) = self._sources(node)
        if node.largest:
            output = self._like(number, source.tensor)
            pool = MaxPool(
                f"pool{number}", source.tensor, output, node.size, node.stride, node.padding
            )
            self.ops.append(pool)
            return Placed(output, device_order(node.shape))
        output, how = self._mean(number, source.tensor, math.prod(node.size))
        self.ops.append(
            AvgPool(
                f"pool{number}",
                source.tensor,
                output,
                node.size,
                node.stride,
                node.padding,
                requantization=how,
            )
        )
        return Placed(output, device_order(node.shape))

    def global_mean(self, number: int, node: real.GlobalMean) -> Placed:
        """The mean of each channel."""
        (source,) = self._sources(node)
        output, how = self._mean(
            number, source.tensor, source.tensor.count // source.tensor.shape[-1]
        )
        self.ops.append(GlobalAvgPool(f"pool{number}", source.tensor, output, requantization=how))
        return Placed(output, device_order(node.shape))

    def _mean(self, number: int, source: Tensor, area: int) -> tuple[Tensor, Requantization]:
        """The output's scale is the input's, or so little more that the division is exact.

        A result that fits int16 is the sum itself.
        """
        if self._is_last(number) and area * source.dtype.high <= INT16.high:
            output = self._tensor(number, INT16, source.scale / area)
            return output, _shifted(0, INT16)
        shift = math.floor(math.log2(MAX_MULTIPLIER * area))
        multiplier = math.floor(2.0**shift / area)
        scale = source.scale * 2.0**shift / (multiplier * area)
        return self._tensor(number, source.dtype, scale), _shifted(shift, source.dtype, multiplier)

    def sum(self, number: int, node: real.Sum) -> Placed:
        """A residual connection; the larger operand's factor is exact."""
        left, right = self._sources(node)
        if not np.array_equal(left.order, right.order):
            raise UnsupportedOperator(
                "add", node.place, "operands flattened in the same way, or not at all"
            )
        dtype, levels = self._levels(number, node.low)
        largest = max(left.tensor.scale, right.tensor.scale)
        wanted = self._peak(number) / levels
        shift = math.floor(math.log2(MAX_MULTIPLIER * wanted / largest))
        shift = min(max(shift, 0), _LARGEST_SHIFT)
        multiplier = max(1, math.floor(largest * 2.0**shift / wanted))
        scale = largest * 2.0**shift / multiplier
        factors = [p.tensor.scale * 2.0**shift / scale for p in (left, right)]
        multipliers = (max(1, round(factors[0])), max(1, round(factors[1])))
        output = self._tensor(number, dtype, scale)
        output = Tensor(output.name, left.tensor.shape, dtype, scale)
        low, high = _bounds(node.low, node.high, output)
        how = Requantization(np.ones(1, np.int64), shift, Rounding.HALF_UP, 0, low, high)
        self.ops.append(Add(f"add{number}", left.tensor, right.tensor, output, multipliers, how))
        return Placed(output, left.order)

    def reshape(self, number: int, node: real.Reshape) -> Placed:
        """Free where the order stays, on the device or flattened."""
        (source,) = self._sources(node)
        order = device_order(node.shape)
        if len(node.shape) == 1:
            order = source.order
        elif not np.array_equal(order, source.order):
            raise UnsupportedOperator(
                f"a reshape to {node.shape}", node.place, "Flatten, or a reshape that moves nothing"
            )
        output = self._like(number, source.tensor, device_shape(node.shape))
        self.ops.append(Flatten(f"flatten{number}", source.tensor, output))
        return Placed(output, order)


_HANDLERS = {
    real.Product: _Lowering.product,
    real.Clamp: _Lowering.clamp,
    real.Function: _Lowering.function,
    real.Pool: _Lowering.pool,
    real.GlobalMean: _Lowering.global_mean,
    real.Sum: _Lowering.sum,
    real.Reshape: _Lowering.reshape,
}


def _product_op(node: real.Product, **parts: Any) -> Linear | Conv1d | Conv2d:
    """The op's record. parts: its tensors and integers."""
    if node.weights.ndim == 2:
        return Linear(**parts)
    if node.weights.ndim == 3:
        (stride,), (padding,) = node.stride, node.padding
        return Conv1d(**parts, groups=node.groups, stride=stride, padding=padding)
    strides, paddings = node.movement
    return Conv2d(**parts, groups=node.groups, stride=strides, padding=paddings)


def _bounds(low: float, high: float, output: Tensor) -> tuple[int, int]:
    """Saturation in steps of the output, within its dtype."""
    limits = output.dtype.low, output.dtype.high
    least, most = (int(np.rint(np.clip(value / output.scale, *limits))) for value in (low, high))
    return least, most


def _shifted(shift: int, dtype: DType, multiplier: int = 1) -> Requantization:
    factors = np.array([multiplier], np.int64)
    return Requantization(factors, shift, Rounding.HALF_UP, 0, dtype.low, dtype.high)


def _by_shift(
    weights: Array, bias: Array, input_scale: float, step: float, max_weight: int
) -> QuantizedLayer:
    """One scale for all rows, so that requantizing is a plain shift to a step of at least `step`.

    Raises ValueError where the weights have no scale or a bias exceeds 32 bits.
    """
    largest = float(np.abs(weights).max())
    if largest == 0:
        raise ValueError("its weights are all zero, so they have no scale")
    unit = largest / max_weight * input_scale
    shift = max(0, math.ceil(math.log2(step / unit)))
    return QuantizedLayer(
        weights=frozen_array(np.rint(weights / largest * max_weight), np.int8),
        bias=frozen_array(np.rint(bias / unit), np.int32),
        multiplier=frozen_array(np.ones(1), np.uint8),
        shift=shift,
        scale=unit * 2.0**shift,
    )
