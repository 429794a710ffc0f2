"""What the ops compute and prove, against plain loops over Python integers."""

import numpy as np
import pytest
from builders import graph_of, linear, only_layer, requantization, single
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.dtypes import INT8, INT16, UINT8
from kernels.errors import AccumulatorOverflow
from kernels.ir import Bounds, Range, Tensor
from kernels.ops.argmax import Argmax
from kernels.ops.linear import Linear
from kernels.passes.ranges import prove_ranges
from kernels.quant import Rounding, wrap
from kernels.reference import run
from kernels.requant_plan import plan_requantization, signed_bytes

INT32 = np.iinfo(np.int32)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Linear, Range]:
    """A small layer and bounds of its input."""
    inputs, units = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    weight, bias = st.integers(-128, 127), st.integers(-40000, 40000)
    dtype = draw(st.sampled_from([UINT8, INT8, INT16]))
    inside = st.integers(dtype.low, dtype.high)
    low, high = sorted([draw(inside), draw(inside)])
    x = Tensor("x", (inputs,), dtype, zero_point=draw(inside), bounds=Range(low, high))
    output = draw(st.sampled_from([UINT8, INT8, INT16]))
    bounds = sorted(draw(st.lists(st.integers(output.low, output.high), min_size=2, max_size=2)))
    how = requantization(
        draw(st.lists(st.integers(1, 65535), min_size=units, max_size=units)),
        draw(st.integers(0, 31)),
        rounding=draw(st.sampled_from(Rounding)),
        zero_point=draw(st.integers(output.low, output.high)),
        low=bounds[0],
        high=bounds[1],
    )
    rows = st.lists(weight, min_size=inputs, max_size=inputs)
    layer = linear(
        "fc",
        x,
        draw(st.lists(rows, min_size=units, max_size=units)),
        draw(st.lists(bias, min_size=units, max_size=units)),
        how,
        dtype=output,
        input_shift=draw(st.integers(0, 4)),
        wrap=draw(st.sampled_from([None, 16, 24, 32])),
    )
    return layer, x.range


def scalar_linear(layer: Linear, x: list[int]) -> list[int]:
    """The layer's definition, one product after the other."""
    how, outputs = layer.requantization, []
    for unit, row in enumerate(layer.weights.tolist()):
        acc = int(layer.bias[unit])
        for weight, value in zip(row, x, strict=True):
            acc += weight * (value - layer.input.zero_point) * 2**layer.input_shift
        if layer.wrap is not None:
            acc %= 2**layer.wrap
            if acc >= 2 ** (layer.wrap - 1):
                acc -= 2**layer.wrap
        scaled, rest = divmod(acc * int(how.multiplier[unit]), 2**how.shift)
        if how.rounding is Rounding.HALF_UP and 2 * rest >= 2**how.shift:
            scaled += 1
        outputs.append(min(max(scaled + how.zero_point, how.low), how.high))
    return outputs


def corner(layer: Linear, x: Range, unit: int, *, most: bool) -> NDArray[np.int64]:
    """The inputs that drive a unit's accumulator to its end."""
    rising = layer.weights[unit] > 0
    return np.where(rising == most, x.high, x.low).astype(np.int64)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(case=layers(), data=st.data())
def test_linear_is_what_scalar_loops_compute(
    case: tuple[Linear, Range], data: st.DataObject
) -> None:
    layer, bounds = case
    value = st.integers(bounds.low, bounds.high)
    count = layer.input.count
    rows = data.draw(st.lists(st.lists(value, min_size=count, max_size=count), min_size=1))
    got = layer.reference(np.array(rows, np.int64))
    assert got.tolist() == [scalar_linear(layer, row) for row in rows]
    reached = layer.output_range(bounds)
    assert reached.low <= got.min()
    assert got.max() <= reached.high


@settings(derandomize=True, deadline=None, max_examples=200)
@given(case=layers())
def test_bounds_are_reached_at_the_corners(case: tuple[Linear, Range]) -> None:
    layer, x = case
    low, high = layer.accumulator_bounds(x)
    units = range(len(layer.bias))
    lows = np.array([corner(layer, x, unit, most=False) for unit in units])
    highs = np.array([corner(layer, x, unit, most=True) for unit in units])
    assert np.diagonal(layer.accumulate(lows)).tolist() == low.tolist()
    assert np.diagonal(layer.accumulate(highs)).tolist() == high.tolist()
    assert np.all(layer.accumulate(lows) >= low)
    assert np.all(layer.accumulate(highs) <= high)
    if layer.wrap is None:
        ends = layer.output_range(x)
        assert ends.low == layer.reference(lows).min()
        assert ends.high == layer.reference(highs).max()


@pytest.mark.parametrize(
    ("bias", "bits"),
    [
        (32767 - 255, 16),
        (32768 - 255, 24),
        (-32768, 16),
        (-32769, 24),
        ((1 << 23) - 256, 24),
        ((1 << 23) - 255, 32),
        (-(1 << 23), 24),
        (-(1 << 23) - 1, 32),
        (INT32.max - 255, 32),
        (INT32.min, 32),
    ],
)
def test_the_narrowest_accumulator_is_taken(bias: int, bits: int) -> None:
    layer = only_layer(single([[1]], bias))
    assert layer.accumulator_bits(layer.input.range) == bits


def test_wrap_says_how_wide_the_accumulator_is() -> None:
    layer = only_layer(single([[1]], wrap=24))
    assert layer.accumulator_bits(layer.input.range) == 24


def test_the_first_accumulator_beyond_32_bits() -> None:
    prove_ranges(single([[1]], INT32.max - 255))
    graph = single([[0], [1], [1]], [0, INT32.max - 254, INT32.max - 254])
    with pytest.raises(AccumulatorOverflow) as caught:
        prove_ranges(graph)
    error = caught.value
    low, high = INT32.max - 254, INT32.max + 1
    assert (error.node, error.unit, error.low, error.high, error.bits) == ("fc", 1, low, high, 32)
    for figure in ("fc", "unit 1", str(low), str(high), "32-bit", "mark the layer wrap"):
        assert figure in str(error)
    with pytest.raises(AccumulatorOverflow):
        only_layer(graph).accumulator_bits(graph.input.range)


def test_an_overflow_below_is_found_too() -> None:
    with pytest.raises(AccumulatorOverflow) as caught:
        prove_ranges(single([[-1]], INT32.min + 254))
    assert (caught.value.low, caught.value.high) == (INT32.min - 1, INT32.min + 254)


def test_the_reference_refuses_what_happens_not_what_might() -> None:
    graph = single([[1]], INT32.max - 254)
    assert run(graph, np.array([[254]]))["fc_out"].tolist() == [[32767]]
    with pytest.raises(AccumulatorOverflow) as caught:
        run(graph, np.array([[254], [255]]))
    assert (caught.value.low, caught.value.high) == (INT32.max, INT32.max + 1)
    wrapping = single([[1]], INT32.max - 254, wrap=32)
    assert run(wrapping, np.array([[255]]))["fc_out"].tolist() == [[-32768]]


def test_counts() -> None:
    layer = only_layer(single([[1, 0, -2], [0, 0, 5]]))
    assert (layer.macs, layer.nnz, layer.inputs) == (6, 3, ("x",))


@pytest.mark.parametrize(
    ("values", "want"),
    [([3], 0), ([1, 3, 3, 2], 1), ([-5, -5], 0), ([0, 0, 0, 1], 3), ([-1, -32768, 32767], 2)],
)
def test_argmax_is_the_first_of_equals(values: list[int], want: int) -> None:
    x = Tensor("x", (len(values),), INT16)
    node = Argmax("am", x, Tensor("y", (1,), UINT8))
    assert node.reference(np.array([values, values])).tolist() == [[want], [want]]
    assert node.output_range(x.range) == Range(0, len(values) - 1)
    assert (node.macs, node.nnz, node.inputs) == (0, 0, ("x",))


def test_ranges_run_through_the_graph() -> None:
    x = Tensor("x", (2,), UINT8, bounds=Range(0, 10))
    first = linear("a", x, [[1, 2], [-1, 0]], [5, 0])
    second = linear("b", first.output, [[1, -1]], 0, requantization(1, 1, low=-3, high=300))
    graph = graph_of(first, second, source=x)
    assert prove_ranges(graph) == {
        "x": Range(0, 10),
        "a_out": Bounds.of([5, -10], [35, 0]),
        "b_out": Bounds.of([2], [22]),
    }


@pytest.mark.parametrize(
    ("values", "size"),
    [((127, -128), 1), ((128,), 2), ((-129,), 2), ((32767, -32768), 2), ((1 << 31,), 5), ((), 1)],
)
def test_signed_bytes(values: tuple[int, ...], size: int) -> None:
    assert signed_bytes(*values) == size


@settings(derandomize=True, deadline=None, max_examples=200)
@given(case=layers())
def test_the_requantization_plan_holds_every_step(case: tuple[Linear, Range]) -> None:
    layer, x = case
    how, plan = layer.requantization, plan_requantization(*case)
    ends = [
        corner(layer, x, unit, most=most)
        for unit in range(len(layer.bias))
        for most in (False, True)
    ]
    acc = layer.accumulate(np.array(ends))
    if layer.wrap is not None:
        acc = wrap(acc, layer.wrap)
    product = acc * how.multiplier
    shifted = ((product + how.round_bias) >> how.shift) + how.zero_point
    assert plan.product.low <= product.min()
    assert product.max() + how.round_bias <= plan.product.high
    assert plan.shifted.low <= shifted.min()
    assert shifted.max() <= plan.shifted.high
    assert plan.clamp_low == (how.low if plan.shifted.low < how.low else None)
    assert plan.clamp_high == (how.high if plan.shifted.high > how.high else None)
    assert plan.product_bytes > how.shift // 8
    limit = 1 << (8 * plan.shifted_bytes - 1)
    assert -limit <= plan.shifted.low <= plan.shifted.high < limit
