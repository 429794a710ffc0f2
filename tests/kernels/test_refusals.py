"""What kernels do not support is refused: by the layer's name, with what would work."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from builders import (
    DENSE8,
    INDEX_LISTS,
    argmax,
    compile_with,
    differences,
    graph_of,
    linear,
    requantization,
    single,
)

from kernels.compile import compile_graph
from kernels.dtypes import BIT, UINT8
from kernels.emit import find_emitter
from kernels.errors import GraphError, Unsupported
from kernels.ir import Tensor
from kernels.ops.argmax import Argmax
from kernels.quant import Requantization
from kernels.target import find_target


@pytest.mark.parametrize("target", ["uno", "mega", "cpm"])
def test_index_lists_have_accumulators_of_24_bits(target: str) -> None:
    widest, wider = single([[1]], (1 << 23) - 256), single([[1]], (1 << 23) - 255)
    inputs = np.array([[0], [255]])
    assert differences(compile_with(widest, target, INDEX_LISTS), inputs) == []
    with pytest.raises(Unsupported, match=r"fc: index-lists has .* at most 24 bits; use .*dense8"):
        compile_with(wider, target, INDEX_LISTS)
    assert differences(compile_with(wider, target, DENSE8), inputs) == []


def test_avr_lists_of_a_block_have_65535_bytes() -> None:
    # 254 outputs, 128 inputs, each index twice: 65,024 bytes and two sentinels a column.
    most = single(np.full((254, 128), 2), 0, requantization(1, 2))
    rng = np.random.default_rng(1)
    inputs = rng.integers(0, 256, (2, 128))
    assert differences(compile_with(most, "mega", INDEX_LISTS), inputs) == []
    too_many = single(np.full((254, 129), 2))
    with pytest.raises(Unsupported, match=r"fc: lists of 65,790 bytes, 65,535 at most; use dense8"):
        compile_with(too_many, "mega", INDEX_LISTS)


def test_a_layer_is_refused_by_its_own_name() -> None:
    x = Tensor("x", (2,), UINT8)
    first = linear("first", x, [[1, 1]])
    second = linear("second", first.output, [[1]], (1 << 23) - 1)
    with pytest.raises(Unsupported, match=r"second: index-lists has accumulators of at most 24"):
        compile_with(graph_of(first, second, source=x), "cpm", INDEX_LISTS)


@dataclass(frozen=True, eq=False)
class _Softmax(Argmax):
    """An op that no kernel is registered for."""


@pytest.mark.parametrize(("target", "isa"), [("uno", "avr"), ("cpm", "z80")])
def test_an_op_without_a_kernel(target: str, isa: str) -> None:
    x = Tensor("x", (3,), UINT8)
    node = _Softmax("soft", x, Tensor("y", (1,), UINT8))
    message = f"soft: no {isa} kernel for _Softmax with encoding None; there are kernels for: none"
    with pytest.raises(Unsupported, match=message):
        compile_graph(graph_of(node, source=x), find_target(target))


@pytest.mark.parametrize(("target", "isa"), [("uno", "avr"), ("cpm", "z80")])
def test_packed_tensors_need_a_kernel_for_them(target: str, isa: str) -> None:
    x = Tensor("x", (3,), BIT)
    message = f"best: the {isa} kernel for Argmax does not read uint1 tensors"
    with pytest.raises(Unsupported, match=message):
        compile_graph(graph_of(argmax(x), source=x), find_target(target))


def test_packed_outputs_need_a_kernel_for_them() -> None:
    node = argmax(x := Tensor("x", (3,), UINT8))
    node = replace(node, output=replace(node.output, dtype=BIT))
    message = "best: the avr kernel for Argmax does not write uint1 tensors"
    with pytest.raises(Unsupported, match=message):
        find_emitter("avr", node, None, [x])


def test_a_broken_graph_is_refused_before_anything_else() -> None:
    x = Tensor("x", (300,), UINT8)
    with pytest.raises(GraphError, match="300 elements"):
        compile_graph(graph_of(argmax(x), source=x), find_target("uno"))


def test_requantization_is_checked_with_the_graph() -> None:
    how: Requantization = requantization(1 << 16)
    with pytest.raises(GraphError, match=r"fc: multipliers must be in \[1, 65535\]"):
        compile_with(single([[1]], 0, how), "uno", DENSE8)
