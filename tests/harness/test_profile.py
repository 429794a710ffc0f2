"""Profiles: every cycle is some symbol's and some layer's."""

from __future__ import annotations

from collections import Counter

import pytest
from sharing_model import SHARING, profiled_sharing
from tiny_model import INPUTS, tiny_graph

from harness.profile import ProfiledRun, profile
from harness.record import REST
from harness.run import Runner
from kernels.compile import compile_graph
from kernels.target import find_target

TARGETS = ("uno", "mega", "attiny85", "cpm", "msx")
ENCODINGS = ("dense8", "index-lists")


def profiled(target: str, encoding: str) -> tuple[Runner, ProfiledRun]:
    runner = Runner(compile_graph(tiny_graph(), find_target(target), {"fc": encoding}))
    return runner, profile(runner, INPUTS[2])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_symbols_and_layers_add_up_to_the_run(target: str, encoding: str) -> None:
    runner, result = profiled(target, encoding)
    assert result.cycles == runner.infer(INPUTS[2]).cycles
    assert int(result.instructions.cycles.sum()) == result.cycles
    by_layer: Counter[str] = Counter()
    for cost in result.symbols:
        by_layer[cost.layer] += cost.cycles
    assert by_layer == result.layers
    assert list(result.layers) == ["fc", "best", REST]
    executed = int(result.instructions.counts.sum())
    assert sum(cost.executed for cost in result.symbols) == executed


def test_a_loop_counts_its_passes() -> None:
    _, result = profiled("uno", "dense8")
    (loop,) = [cost for cost in result.symbols if cost.symbol == "fc_to2_mac"]
    # Three inputs: load, two products of lpm, mulsu, add and adc, then cpi and brne.
    assert loop.executed == 3 * (1 + 2 * 4 + 2)
    assert loop.layer == "fc"
    assert loop.address == result.program.image.symbols["fc_to2_mac"]


@pytest.mark.parametrize("target", TARGETS)
def test_input_and_outputs_are_touched(target: str) -> None:
    """The input is read, outputs are written."""
    _, result = profiled(target, "dense8")
    source = result.program.tensors["x"]
    assert (result.touched[source.address : source.address + 3] & 1).all()
    for name, size in (("logits", 4), ("class_index", 1)):
        at = result.program.tensors[name].address
        assert (result.touched[at : at + size] & 2).all()
    assert 0 < result.arena_touched <= result.program.arena.size


def test_symbols_are_in_the_order_of_their_addresses() -> None:
    _, result = profiled("cpm", "index-lists")
    addresses = [cost.address for cost in result.symbols]
    assert addresses == sorted(set(addresses))
    assert result.symbols[0].symbol == "fc"
    assert result.symbols[-1].symbol == "return"
    assert result.symbols[-1].layer == REST


@pytest.mark.parametrize("target", SHARING)
def test_shared_code_is_of_the_layer_that_runs_it(target: str) -> None:
    """Both layers spend cycles below the same labels, and all of a layer's cycles are its own."""
    result = profiled_sharing(target)
    by_layer: Counter[str] = Counter()
    layers: dict[str, set[str]] = {}
    for cost in result.symbols:
        by_layer[cost.layer] += cost.cycles
        layers.setdefault(cost.symbol, set()).add(cost.layer)
    assert by_layer == result.layers
    assert {"one", "two"} in layers.values()
    for part, total in ((result.parts[layer], result.layers[layer]) for layer in result.layers):
        assert int(part.cycles.sum()) == total
        assert (part.counts > 0).all()
    whole = Counter(dict(zip(result.instructions.pcs, result.instructions.cycles, strict=True)))
    for part in result.parts.values():
        whole.subtract(dict(zip(part.pcs, part.cycles, strict=True)))
    assert set(whole.values()) == {0}
