"""Networks side by side: known logits give known figures; the emulator equals the integers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Cli
from numpy.typing import NDArray
from tiny_model import CLASSES, INPUTS, tiny_model

from harness.agreement import EMULATOR, INTEGER, agreement_table, stages
from harness.emulate import Emulated, emulate
from harness.executor import Here
from harness.expected import Expected
from kernels import reference
from kernels.compile import compile_graph
from kernels.ir import Graph
from kernels.target import find_target
from models import Evaluation, Model, load
from models.model import FLOAT, Stages

UNO = find_target("uno")


def floats(inputs: NDArray[np.uint8]) -> Stages:
    """One more than the integers, and the first input's order turned around."""
    logits = reference.run(tiny_model().graph, inputs)["logits"] + 1.0
    logits[0] = logits[0][::-1]
    return {FLOAT: [logits]}


def model() -> Model:
    tiny = tiny_model(evaluation=Evaluation("4 examples", INPUTS, CLASSES))
    return replace(tiny, reference=replace(tiny.reference, stages=floats))


def found_of(wanted: Model) -> tuple[Emulated, list[str]]:
    program = compile_graph(wanted.graph, UNO)
    emulated = emulate(program, wanted.evaluation.inputs, Here())
    return emulated, [one.name for one in stages(Expected(wanted), program, emulated)]


def test_stages_of_a_model_without_pytorch() -> None:
    assert found_of(tiny_model())[1] == [INTEGER, EMULATOR]


def test_figures_of_known_logits() -> None:
    wanted = model()
    program = compile_graph(wanted.graph, UNO)
    emulated, _ = found_of(wanted)
    real, integer, emulator = stages(Expected(wanted), program, emulated)
    assert (real.name, integer.name, emulator.name) == (FLOAT, INTEGER, EMULATOR)
    assert (real.agreement, integer.agreement) == (1.0, 0.75)
    assert (real.accuracy, integer.accuracy, emulator.accuracy) == (0.75, 1.0, 1.0)
    assert real.differences == {}
    assert integer.differences == {"fc": 10.0}  # 9, 0 beside 0 + 1, 9 + 1
    assert emulator.differences == {"fc": 0.0}
    assert integer.perplexity is None


def test_a_wrong_emulator_shows() -> None:
    wanted = model()
    program = compile_graph(wanted.graph, UNO)
    emulated, _ = found_of(wanted)
    outputs = {name: values.copy() for name, values in emulated.outputs.items()}
    outputs["logits"][2] += [7, 0]
    *_, emulator = stages(Expected(wanted), program, replace(emulated, outputs=outputs))
    assert emulator.differences == {"fc": 7.0}


def test_perplexity_where_logits_have_a_scale() -> None:
    digits = load("digits-int8")
    shortened = replace(
        digits,
        evaluation=replace(
            digits.evaluation,
            inputs=digits.evaluation.inputs[:40],
            labels=digits.evaluation.labels[:40],
        ),
    )
    program = compile_graph(digits.graph, UNO)
    found = stages(
        Expected(shortened), program, emulate(program, shortened.evaluation.inputs, Here())
    )
    assert [one.name for one in found] == [FLOAT, INTEGER, EMULATOR]
    for one in found:
        assert one.perplexity is not None
        assert 1 < one.perplexity < 1.5
    assert found[2].perplexity == found[1].perplexity != found[0].perplexity
    assert set(found[1].differences) == {"fc1", "fc2", "fc3"}
    assert 0 < found[1].differences["fc1"] < 0.1
    assert set(found[2].differences.values()) == {0.0}
    rows = agreement_table(shortened, "uno", 20, found)
    assert "the first 20 of 360 test images" in rows.title
    assert len(rows.rows) == 3


def test_recipes_know_the_fake_quantized_network() -> None:
    chat = load("chat-a-ternary")
    known = chat.reference.stages
    assert known is not None
    inputs = chat.evaluation.inputs[:30]
    found = known(inputs)
    assert list(found) == ["float PyTorch", "fake-quantized"]
    exact = reference.run(chat.graph, inputs)
    logits = chat.graph.outputs[0]
    scale = chat.graph.tensors[logits].scale
    far, near = (
        np.abs(found[form][-1] - exact[logits] * scale).max()
        for form in ("float PyTorch", "fake-quantized")
    )
    assert 0 < 4 * near < far  # its biases are not rounded, and nothing else differs
    assert [layer.shape for layer in found["float PyTorch"]] == [
        layer.shape for layer in found["fake-quantized"]
    ]


def test_verify_command(cli: Cli) -> None:
    done = cli("verify", "tiny", "--target", "uno", "--workers", "1", "--json", "a.json")
    assert (done.code, done.err) == (0, "")
    assert "tiny on uno: 1 example; |d| is from the row above" in done.out
    assert "tiny on uno: all outputs of 1 examples equal the reference's" in done.out
    with Path("a.json").open(encoding="utf-8") as stream:
        (found,) = json.load(stream)["verifications"]
    assert found["verification"]["examples"] == 1
    assert [one["name"] for one in found["stages"]] == [INTEGER, EMULATOR]


def test_verify_command_fails(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    true = reference.run

    def wrong(graph: Graph, inputs: NDArray[np.integer]) -> reference.Values:
        return {name: values + 1 for name, values in true(graph, inputs).items()}

    monkeypatch.setattr(reference, "run", wrong)
    done = cli("verify", "tiny", "--target", "uno", "--workers", "1")
    assert done.code == 1
    assert "tiny on uno: input 0: logits[0] is " in done.out
