"""Binary layers mean what they say: sums over signs, and signs of sums."""

from dataclasses import replace

import numpy as np
import pytest
from builders import graph_of, linear, requantization
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.binary import binary_linear, over_signs, signs
from kernels.dtypes import BIT, INT16, UINT8
from kernels.ir import Range, Tensor, verify
from kernels.reference import run


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    inputs=st.integers(1, 40),
    outputs=st.integers(1, 20),
    seed=st.integers(0, 1 << 32),
    reach=st.sampled_from([0, 1, 9, 1 << 20]),
)
def test_binary_layers_are_signs_of_sums_of_signs(
    inputs: int, outputs: int, seed: int, reach: int
) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.choice([-1, 1], shape) for shape in ((outputs, inputs), (7, outputs)))
    biases = [rng.integers(-reach, reach, n, endpoint=True) for n in (outputs, 7)]
    one = binary_linear("one", signs("x", inputs), first, biases[0])
    two = over_signs(linear("two", one.output, second, biases[1], dtype=INT16))
    graph = graph_of(one, two, source=one.input, outputs=("one_out", "two_out"))
    verify(graph)
    bits = rng.integers(0, 2, (20, inputs))
    got = run(graph, bits)
    hidden = np.where((2 * bits - 1) @ first.T + biases[0] >= 0, 1, -1)
    np.testing.assert_array_equal(2 * got["one_out"] - 1, hidden)
    sums = np.clip(hidden @ second.T + biases[1], INT16.low, INT16.high)
    np.testing.assert_array_equal(got["two_out"], sums)


def test_a_binary_layer_over_numbers() -> None:
    x = Tensor("x", (2,), UINT8)
    graph = graph_of(binary_linear("fc", x, [[1, -1], [-1, -1]], [0, 10]), source=x)
    got = run(graph, np.array([[3, 3], [3, 4], [5, 5], [5, 6]]))["fc_out"]
    assert got.tolist() == [[1, 1], [0, 1], [1, 1], [0, 0]]


def test_bounds_of_a_layer_over_signs() -> None:
    layer = over_signs(linear("fc", signs("x", 3), [[1, -1, 1]], 5))
    low, high = layer.accumulator_bounds(Range(0, 1))
    assert (low.tolist(), high.tolist()) == ([2], [8])


def test_what_is_no_layer_over_signs() -> None:
    bits = Tensor("x", (2,), BIT)
    for source in (bits, Tensor("x", (2,), UINT8, zero_point=1)):
        with pytest.raises(ValueError, match=r"fc: its input .* is not a tensor of signs"):
            over_signs(linear("fc", source, [[1, 1]], how=requantization()))
    biggest = linear("fc", replace(bits, zero_point=1), [[1, 1]], (1 << 31) - 1)
    with pytest.raises(ValueError, match="values do not fit int32"):
        over_signs(biggest)
