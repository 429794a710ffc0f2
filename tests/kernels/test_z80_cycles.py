"""T-states of the Z80's kernels for few-valued weights are what their docstrings say.

By differences of layers that differ in one weight, group or row, which leaves out what is done once
a layer. Requantization is the same for all outputs: a shift that leaves 0.
"""

import numpy as np
import pytest
from builders import compile_with, encode_all, graph_of, linear, requantization, single
from numpy.typing import ArrayLike

from harness.run import Runner
from kernels.binary import sign_test
from kernels.compile import draft_graph
from kernels.dtypes import BIT, INT16, UINT8
from kernels.emit import Job
from kernels.ir import Tensor
from kernels.target import find_target

WIDTHS = (16, 24, 32)


def cycles(
    target: str,
    encoding: str,
    weights: ArrayLike,
    x: ArrayLike,
    wrap: int = 16,
) -> int:
    source = BIT if encoding == "xnor" else UINT8
    graph = single(weights, 0, requantization(1, 15), source=source, wrap=wrap)
    runner = Runner(compile_with(graph, target, encoding))
    return runner.infer(np.array(x)).layer_cycles["fc"]


@pytest.mark.parametrize("wrap", WIDTHS)
@pytest.mark.parametrize(("target", "index"), [("cpm", 28), ("cpm-ei", 57)])
def test_value_lists_indices(target: str, index: int, wrap: int) -> None:
    """Inputs of 0 carry nowhere."""

    def layer(ones: int) -> int:
        row = [1] * ones + [0] * (40 - ones)
        return cycles(target, "value-lists", [row], [0] * 40, wrap)

    assert layer(12) - layer(8) == 4 * index
    if target == "cpm":
        assert layer(9) - layer(8) == index + 21


def test_value_lists_carries() -> None:
    def layer(target: str, high: int) -> int:
        return cycles(target, "value-lists", [[1] * 8], [high] * 8)

    # 8 * 255 carries seven times, in R and, where inputs are copied, in their sum.
    assert layer("cpm", 255) - layer("cpm", 0) == 7 * (-1 - 1)
    assert layer("cpm-ei", 255) - layer("cpm-ei", 0) == 7 * (3 - 1)


@pytest.mark.parametrize(("wrap", "value"), [(16, 29), (24, 41), (32, 41)])
def test_value_lists_values(wrap: int, value: int) -> None:
    def layer(highest: int) -> int:
        return cycles("cpm", "value-lists", [[0] * 7 + [highest]], [0] * 8, wrap)

    assert layer(7) - layer(6) == value


def test_xnor_ends() -> None:
    """Sixteen more outputs: as sums with biases, and as bits."""

    def layer(outputs: int, inputs: int, *, bits: bool) -> int:
        x = Tensor("x", (inputs,), BIT)
        how, dtype = (sign_test(), BIT) if bits else (None, INT16)
        node = linear("fc", x, np.ones((outputs, inputs)), 0, how, dtype=dtype)
        runner = Runner(compile_with(graph_of(node, source=x), "cpm", "xnor"))
        return runner.infer(np.zeros(inputs, np.int64)).layer_cycles["fc"]

    assert layer(20, 8, bits=False) - layer(4, 8, bits=False) == 4 * 482
    assert layer(24, 8, bits=True) - layer(8, 8, bits=True) == 4 * 299 + 2 * 23
    wide, narrow = (layer(24, n, bits=True) - layer(8, n, bits=True) for n in (256, 248))
    assert wide - narrow == 4 * (121 + 28)


def test_pattern_lists_indices() -> None:
    """Of one row; a last index alone takes a pair. Inputs of 0 carry nowhere."""

    def layer(ones: int) -> int:
        return cycles("cpm", "pattern-lists", [[1] * ones + [0] * (90 - ones)], [0] * 90)

    assert layer(12) - layer(8) == 4 * 28
    assert layer(9) - layer(8) == 28 + 5
    assert layer(40) - layer(32) == 8 * 28 + 10  # another run
    assert layer(70) - layer(64) == 6 * 28 + 10


def test_pattern_lists_carries() -> None:
    def layer(high: int) -> int:
        return cycles("cpm", "pattern-lists", [[1] * 8], [high] * 8)

    assert layer(255) - layer(0) == -7


@pytest.mark.parametrize(("wrap", "gain"), [(16, 19), (24, 31), (32, 31)])
def test_pattern_lists_gains(wrap: int, gain: int) -> None:
    def layer(*weights: int) -> int:
        return cycles("cpm", "pattern-lists", [weights], [0] * len(weights), wrap)

    assert layer(2, 0, -1) - layer(1, 0, -1) == gain + 10  # a change more, without a list
    # Two lists of half a pair each, for one of a pair: a RET more, which the second one's change
    # does without.
    assert layer(2, 1, -1) == layer(2, 2, -1)


def straight(job: Job, label: str) -> int:
    """T-states from a label to the RET behind it, not taken branches."""
    lines = iter(job.code.block.lines)
    found = next(line for line in lines if label in line.labels)
    total = 0
    for line in (found, *lines):
        if line.instruction:
            total += line.instruction.form.cycles
            if line.instruction.text == "ret":
                return total
    raise AssertionError(label)


@pytest.mark.parametrize("wrap", [16, 24])
def test_pattern_lists_changes(wrap: int) -> None:
    """Each of them, where no list goes on with it, with the RET behind it."""
    rng = np.random.default_rng(0)
    weights = rng.choice([-1, 0, 1], (6, 200))
    graph = single(weights, source=UINT8, wrap=wrap)
    draft = draft_graph(graph, find_target("cpm"), encode_all(graph, "pattern-lists"))
    (job,) = draft.emission.jobs
    first, carry, fix = (27, 7, 21) if wrap == 24 else (0, 0, 0)
    wanted = {
        "gain_first0": 16 + first,
        "lose_first0": 16,
        "gain_first1": 24 + first,
        "gain_first2": 24 + first,
        "gain1": 54 + carry + fix,
        "gain2": 54 + carry + fix,
        "lose1": 62 + carry + fix,
    }
    got = {name: straight(job, f"fc_b0_sum_{name}") - 10 for name in wanted}
    assert got == wanted
    fix += 7 if wrap == 24 else 0
    for name in ("gain0", "lose0"):
        assert straight(job, f"fc_b0_add_{name}_even_pairs0") == 19 + carry + fix + 10


@pytest.mark.parametrize(("target", "byte"), [("cpm", 121), ("cpm-ei", 169)])
def test_xnor(target: str, byte: int) -> None:
    """Four more outputs, with so many bytes of inputs."""

    def rows(count: int) -> int:
        eight, four = (
            cycles(target, "xnor", np.ones((n, 8 * count)), [0] * 8 * count) for n in (8, 4)
        )
        return eight - four

    assert rows(3) - rows(2) == rows(9) - rows(8) == byte
    assert rows(25) - rows(17) == 8 * byte + 10


@pytest.mark.parametrize(("target", "group"), [("cpm", 42), ("cpm-ei", 58)])
def test_group_sums(target: str, group: int) -> None:
    """Of five inputs, two more in the same page of tables, then four in another."""

    def layer(outputs: int, inputs: int) -> int:
        return cycles(target, "group-sums", np.ones((outputs, inputs)), [0] * inputs)

    rows = [layer(3, n) - layer(2, n) for n in (10, 20, 40)]
    assert rows[1] - rows[0] == 2 * group
    assert rows[2] - rows[1] == 4 * group + 4


@pytest.mark.parametrize(
    ("encoding", "weights", "byte"),
    [
        ("packed4", [1] * 2, 133),
        ("packed2", [1] * 4, 231),
        ("packed1", [1] * 8, 447),
        ("bitmap", [0] * 7 + [1], 51 + 7 * 46 + 82),
        ("bitmap", [1] * 8, 51 + 8 * 82 + 20),
        ("bitmap", [-1] * 8, 51 + 8 * 80 + 20),
    ],
)
def test_packed_weights_are_unpacked(encoding: str, weights: list[int], byte: int) -> None:
    """A row's bytes more, beside the products of dense8."""

    def rows(kind: str, inputs: int) -> int:
        row = weights * (inputs // len(weights))
        four, two = (cycles("cpm", kind, [row] * n, [128] * inputs) for n in (4, 2))
        return four - two

    # 16 inputs, of which none is left over in any loop.
    unpacked, products = (rows(kind, 32) - rows(kind, 16) for kind in (encoding, "dense8"))
    assert unpacked - products == 2 * 16 // len(weights) * byte
