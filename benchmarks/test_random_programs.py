"""Random programs, bit for bit against the reference, as many as `--random-programs` says."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from harness.candidates import weighted_layers
from harness.pytest_plugin import Cycles
from kernels.compile import compile_graph, lower
from kernels.errors import DoesNotFit, Unsupported
from kernels.ir import Graph
from kernels.passes.encoding import encoding_problems
from kernels.passes.ranges import prove_ranges
from kernels.target import Target, find_target

sys.path.append(str(Path(__file__).parent.parent / "tests" / "kernels"))
from builders import differences
from network_strategies import networks
from strategies import batch

TARGETS = {"avr": ("uno", "mega", "attiny85"), "z80": ("cpm",)}


@pytest.mark.parametrize("isa", sorted(TARGETS))
def test_random_programs_are_bit_exact(
    cycles: Cycles, random_programs: tuple[int, int], isa: str
) -> None:
    """Networks of every op; each layer has one of the encodings that serve it, or its default."""
    count, number = random_programs
    tried: Counter[str] = Counter()

    @seed(number)
    @settings(
        database=None,
        deadline=None,
        max_examples=count,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(TARGETS[isa]))
        graph = data.draw(networks(widest_weight=2, accumulator=24, product_bits=31))
        served = _served(graph, find_target(target))
        wanted = {layer: data.draw(st.sampled_from(names)) for layer, names in served.items()}
        try:
            program = compile_graph(graph, find_target(target), wanted)
        except (DoesNotFit, Unsupported):
            assume(False)
        assert differences(program, batch(graph, data.draw(st.integers(0, 1 << 32)))) == []
        tried.update(set(program.encodings.values()) or {"no weights"})
        tried["programs"] += 1

    check()
    programs = tried.pop("programs")
    used = ", ".join(f"{name} {times:,}" for name, times in sorted(tried.items()))
    cycles.note(f"{isa}: {programs:,} random programs exact on six inputs each; with {used}")
    assert programs >= count


def _served(graph: Graph, target: Target) -> dict[str, list[str]]:
    """The encodings that serve each layer with weights, by layer."""
    lowered = lower(graph)
    ranges = prove_ranges(lowered)
    return {
        layer.name: [name for name, problem in problems.items() if problem is None]
        for layer in weighted_layers(lowered)
        for problems in [encoding_problems(layer, target, ranges[layer.input.name])]
    }
