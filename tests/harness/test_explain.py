"""A program with a wrong byte: the layer, the unit and the instruction are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_model import INPUTS, tiny_graph, tiny_model

from harness.explain import explain, read_layers
from harness.run import Runner
from harness.verify import verify
from kernels import reference
from kernels.compile import compile_graph
from kernels.image import Program
from kernels.target import find_target
from models import load

TARGETS = ("uno", "mega", "attiny85", "cpm", "msx")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("encoding", ["dense8", "index-lists"])
def test_tensors_are_read_while_they_are_there(target: str, encoding: str) -> None:
    program = compile_graph(tiny_graph(), find_target(target), {"fc": encoding})
    runner = Runner(program)
    for x in INPUTS:
        expected = reference.run(program.graph, x[np.newaxis])
        found = read_layers(runner, x)
        assert list(found) == ["fc", "best"]
        assert found["fc"].tolist() == expected["logits"][0].tolist()
        assert found["best"].tolist() == expected["class_index"][0].tolist()
        assert explain(program, x) is None


@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_overlaid_tensors_are_read_too(target: str) -> None:
    model = load("digits-int8")
    program = compile_graph(model.graph, find_target(target))
    expected = reference.run(model.graph, model.inputs[:1])
    found = read_layers(Runner(program), model.inputs[0])
    for node in model.graph.nodes:
        assert found[node.name].tolist() == expected[node.output.name][0].tolist()


def with_wrong_weights(target: str, layer: str) -> Program:
    """Digits with other bytes in the middle of a layer's constants."""
    program = compile_graph(load("digits-int8").graph, find_target(target))
    part = next(part for part in program.image.parts if part.name == f"{layer} constants")
    data = bytearray(program.image.data)
    middle = part.address - program.image.origin + part.size // 2
    for at in range(middle, middle + 48):
        data[at] ^= 0x7F
    return replace(program, image=replace(program.image, data=bytes(data)))


@pytest.mark.parametrize("target", ["uno", "cpm"])
@pytest.mark.parametrize("layer", ["fc1", "fc2", "fc3"])
def test_the_layer_and_unit_of_a_wrong_weight(target: str, layer: str) -> None:
    program = with_wrong_weights(target, layer)
    runner = Runner(program)
    inputs = load("digits-int8").inputs[:20]
    x, fault = next((x, fault) for x in inputs if (fault := explain(program, x)))
    assert fault.layer == layer
    expected = reference.run(program.graph, x[np.newaxis])
    got = read_layers(runner, x)[layer]
    wrong = np.flatnonzero(got != expected[fault.tensor][0])
    assert (fault.index, fault.got) == (wrong[0], got[wrong[0]])
    assert fault.want == expected[fault.tensor][0][fault.index]
    cycles = runner.infer(x).layer_cycles
    before = sum(list(cycles.values())[: list(cycles).index(layer)])
    assert before < fault.cycle <= before + cycles[layer]


def test_the_instruction_that_wrote_it_is_marked() -> None:
    program = with_wrong_weights("uno", "fc1")
    x = next(x for x in load("digits-int8").inputs if explain(program, x))
    fault = explain(program, x)
    assert fault is not None
    (marked,) = [line for line in fault.trace if line.startswith(">")]
    assert " st " in f"{marked} "
    assert "fc1_outputs" in marked
    cycles = [int(line[2:].split()[0].replace(",", "")) for line in fault.trace]
    assert cycles == sorted(set(cycles))
    assert len(cycles) == 12 + 1 + 3
    assert int(marked[2:].split()[0].replace(",", "")) < fault.cycle
    assert f"fc1: hidden1[{fault.index}] is {fault.got}, the reference says" in fault.text()


def test_verify_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = compile_graph(tiny_graph(np.array([[1, 0, -2], [0, 1, 2]], np.int8)), UNO)
    right = replace(wrong, graph=tiny_graph(), lowered=tiny_graph())
    monkeypatch.setattr("harness.verify.compile_model", lambda *_: right)
    found = verify(tiny_model(), [UNO])
    assert found.difference is not None
    assert found.fault is not None
    assert (found.fault.layer, found.fault.index) == ("fc", 1)
    assert "the first difference is in fc: logits[1] is " in found.text()


UNO = find_target("uno")
