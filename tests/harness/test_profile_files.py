"""Profiles for other programs: sums are the run's cycles, the structure is the program's."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Cli
from sharing_model import SHARING, profiled_sharing
from tiny_model import INPUTS, tiny_graph, tiny_model

from harness.activity import Activity, measure_activity, render_activity
from harness.hot_blocks import hot_blocks, instruction_costs, render_blocks
from harness.profile import ProfiledRun, profile
from harness.profile_files import write_callgrind, write_folded, write_speedscope
from harness.run import Runner
from kernels.compile import compile_graph
from kernels.target import find_target

TARGETS = ("uno", "attiny85", "cpm")


def profiled(target: str, encoding: str = "index-lists") -> ProfiledRun:
    program = compile_graph(tiny_graph(), find_target(target), {"fc": encoding})
    return profile(Runner(program), INPUTS[2])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("encoding", ["dense8", "index-lists"])
def test_every_executed_instruction_has_its_line(target: str, encoding: str) -> None:
    result = profiled(target, encoding)
    costs = instruction_costs(result)
    assert sum(cost.cycles for cost in costs) == result.cycles
    image = result.program.image
    for cost in costs:
        assert cost.line.address == cost.address
        assert image.data[cost.address - image.origin :].startswith(cost.line.data)
        assert re.match(r" +[a-z]", cost.line.text)
    assert costs[-1].line.text.split()[0] == "ret"


@pytest.mark.parametrize("target", TARGETS)
def test_blocks_are_hottest_first_and_complete(target: str) -> None:
    result = profiled(target, "dense8")
    costs = instruction_costs(result)
    blocks = hot_blocks(costs)
    cycles = [block.cycles for block in blocks]
    assert cycles == sorted(cycles, reverse=True)
    assert sum(cycles) == result.cycles
    assert sorted(one.address for block in blocks for one in block.instructions) == [
        cost.address for cost in costs
    ]
    for block in blocks:
        assert {one.count for one in block.instructions} == {block.count}
        assert len({one.symbol for one in block.instructions}) == 1


def test_a_block_is_shown_with_cycles_and_counts() -> None:
    result = profiled("uno", "dense8")
    blocks = hot_blocks(instruction_costs(result))
    block = next(b for b in blocks if b.instructions[0].symbol == "fc_to2_mac" and b.count == 3)
    text = render_blocks([block], result.cycles)
    head, _, first, *_ = text.splitlines()
    assert head.startswith(f"fc_to2_mac at {block.instructions[0].address:#06x}: ")
    assert head.endswith(f"{block.cycles / result.cycles:.1%}, 3 times")
    assert first.split()[:3] == ["6", "3", "2"]
    assert first.split()[4:6] == ["ld", "r17,"]


RUNS = {target: lambda target=target: profiled(target) for target in TARGETS} | {
    f"shared-{target}": lambda target=target: profiled_sharing(target) for target in SHARING
}


@pytest.fixture(params=RUNS.values(), ids=RUNS)
def result(request: pytest.FixtureRequest) -> ProfiledRun:
    """A run of layers with code of their own, or with shared code."""
    found: ProfiledRun = request.param()
    return found


def root_of(result: ProfiledRun) -> str:
    return f"{result.program.graph.name} on {result.program.target.name}"


def test_folded_stacks(tmp_path: Path, result: ProfiledRun) -> None:
    write_folded(tmp_path / "f", result, instruction_costs(result))
    by_layer: Counter[str] = Counter()
    stacks = []
    for line in (tmp_path / "f").read_text().splitlines():
        stack, _, cycles = line.rpartition(" ")
        root, layer, *_ = stack.split(";")
        assert root == root_of(result)
        by_layer[layer] += int(cycles)
        stacks.append(stack)
    assert by_layer == result.layers
    assert len(set(stacks)) == len(stacks)


def test_speedscope(tmp_path: Path, result: ProfiledRun) -> None:
    write_speedscope(tmp_path / "s.json", result, instruction_costs(result))
    document = json.loads((tmp_path / "s.json").read_text())
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    (found,) = document["profiles"]
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert (found["type"], found["unit"], found["startValue"]) == ("sampled", "none", 0)
    assert sum(found["weights"]) == found["endValue"] == result.cycles
    by_layer: Counter[str] = Counter()
    for sample, weight in zip(found["samples"], found["weights"], strict=True):
        assert frames[sample[0]] == root_of(result)
        by_layer[frames[sample[1]]] += weight
    assert by_layer == result.layers
    assert len(set(frames)) == len(frames)


COST = re.compile(r"0x[0-9a-f]+ (\d+) (\d+) (\d+)")


def test_callgrind(tmp_path: Path, result: ProfiledRun) -> None:
    """Self costs add up to the run; what a layer's call costs is what the layer took."""
    path = tmp_path / "callgrind.out"
    write_callgrind(path, result, instruction_costs(result))
    source = (tmp_path / "callgrind.out.s").read_text()
    assert source == result.program.source
    lines = path.read_text().splitlines()
    executed = int(result.instructions.counts.sum())
    assert f"summary: {result.cycles} {executed}" in lines
    own: Counter[str] = Counter()
    calls: Counter[tuple[str, str]] = Counter()
    function = callee = ""
    for line in lines:
        if line.startswith("fn="):
            function = line[3:]
        elif line.startswith("cfn="):
            callee = line[4:]
        elif match := COST.fullmatch(line):
            assert 0 < int(match[1]) <= len(source.splitlines())
            if callee:
                calls[function, callee] += int(match[2])
                callee = ""
            else:
                own[function] += int(match[2])
    assert sum(own.values()) == result.cycles
    root = root_of(result)
    assert {layer: n for (caller, layer), n in calls.items() if caller == root} == result.layers
    for layer, cycles in result.layers.items():
        inside = sum(n for (caller, _), n in calls.items() if caller == layer)
        assert own[layer] + inside == cycles


def activity(cycles: list[int], active: list[int]) -> Activity:
    return Activity("fc", 100, np.array(active), None, np.array(cycles))


def test_activity_explains_cycles() -> None:
    one = activity([10, 13, 16, 25], [0, 1, 2, 5])
    fit = one.fit(one.active)
    assert fit is not None
    assert (fit.base, fit.each, fit.explained) == pytest.approx((10, 3, 1))
    assert "cycles = 10.0 + 3.00 for each active input: explains 100.0%" in render_activity(one)


def test_bins_hold_every_inference() -> None:
    one = activity(list(range(100, 200)), list(range(100)))
    bins = one.bins(7)
    assert sum(b.inferences for b in bins) == 100
    assert (bins[0].low, bins[-1].high) == (0, 99)
    assert bins[0].cycles == np.mean(range(100, 100 + bins[0].inferences))
    assert all(one.low == last.high + 1 for last, one in pairwise(bins))


def test_what_does_not_vary_has_no_fit() -> None:
    always = activity([7, 7, 7], [1, 2, 3])
    assert always.fixed
    assert always.fit(always.active) is None
    assert "always 7 cycles" in render_activity(always)
    blind = activity([7, 8, 9], [2, 2, 2])
    assert blind.fit(blind.active) is None


def test_activity_of_a_program() -> None:
    """Inputs that are not zero, and the weights that they meet; cycles as in single runs."""
    model = tiny_model()
    runner = Runner(compile_graph(model.graph, find_target("uno")))
    fc, best = measure_activity(runner, model.inputs)
    assert (fc.layer, fc.elements, best.layer, best.elements) == ("fc", 3, "best", 2)
    assert fc.active.tolist() == [1, 0, 3, 1]
    assert fc.products is not None
    assert fc.products.tolist() == [1, 0, 4, 1]
    assert best.products is None
    expected = [runner.infer(x).layer_cycles["fc"] for x in model.inputs]
    assert fc.cycles.tolist() == expected


def test_profile_command(cli: Cli) -> None:
    arguments = ("profile", "tiny", "--target", "uno", "--input", "2")
    result = profiled("uno")
    done = cli(*arguments)
    assert done.code == 0
    assert done.out.startswith(f"{result.cycles:,} cycles, stack 2 bytes, ")
    assert " times\n" not in done.out
    layer = cli(*arguments, "--layer", "best").out
    assert re.findall(r"^(\w+) at 0x", layer, re.M)
    assert "fc" not in layer
    assert len(re.findall(r" times\n", cli(*arguments, "--blocks", "2").out)) == 2
    assert "4 inferences" in cli(*arguments, "--activity").out


def test_profile_command_writes_files(cli: Cli) -> None:
    files = ("--callgrind", "c", "--speedscope", "s", "--folded", "f", "--json", "j")
    assert cli("profile", "tiny", "--target", "uno", *files).code == 0
    total = json.loads(Path("s").read_text())["profiles"][0]["endValue"]
    assert f"summary: {total} " in Path("c").read_text()
    folded = [line.split()[-1] for line in Path("f").read_text().splitlines()]
    assert sum(map(int, folded)) == total
    document = json.loads(Path("j").read_text())
    assert document["cycles"] == total
    assert sum(one["cycles"] for one in document["instructions"]) == total


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--layer", "fc9"], 2, "tiny has no layer 'fc9': fc, best, (rest)"),
        (["--input", "9"], 2, "tiny has 4 inputs, from 0"),
        (["--folded", "absent/f"], 1, "absent/f cannot be written: give a file in an existing"),
    ],
)
def test_profile_command_refuses(cli: Cli, arguments: list[str], code: int, message: str) -> None:
    done = cli("profile", "tiny", "--target", "uno", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
