"""`truecycle run --text`: the emulated network replies as the reference does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Cli
from numpy.typing import NDArray

from harness.plans import compile_model
from harness.run import Runner
from harness.spoken import say
from kernels import reference
from kernels.errors import GraphError
from kernels.ir import Graph
from kernels.target import find_target
from models import load
from models.model import predict

CHAT, TEXT = "chat-a-ternary", "hello there"


def test_a_reply_is_the_references(cli: Cli) -> None:
    done = cli("run", CHAT, "--target", "mega", "--text", TEXT, "--json", "said.json")
    assert (done.code, done.err) == (0, "")
    model = load(CHAT)
    assert model.talk is not None
    wanted = model.talk.reply(TEXT, lambda inputs: predict(model.graph, inputs))
    assert wanted.text
    said = json.loads(Path("said.json").read_text())
    assert (said["text"], said["reply"], said["bit_exact"]) == (TEXT, wanted.text, True)
    assert "".join(said["characters"]) == f"{wanted.text}(end)"
    runner = Runner(compile_model(model, find_target("mega")))
    cycles = [run.cycles for run in runner.infer_all(wanted.inputs)]
    assert said["character_cycles"] == cycles
    assert said["cycles"] == sum(cycles)
    head, total, *_ = done.out.splitlines()
    assert head.endswith(f"on mega: '{TEXT}' -> '{wanted.text}'")
    assert total.startswith(f"{len(cycles)} inferences, {sum(cycles):,} cycles, ")


def test_a_wrong_reply_fails(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    true = reference.run

    def wrong(graph: Graph, inputs: NDArray[np.integer]) -> reference.Values:
        return {name: values + 1 for name, values in true(graph, inputs).items()}

    monkeypatch.setattr(reference, "run", wrong)
    done = cli("run", CHAT, "--target", "mega", "--text", TEXT)
    assert done.code == 1
    assert "NOT equal to the reference" in done.out


@pytest.mark.parametrize(
    ("model", "text", "message"),
    [
        ("tiny", "hello", "tiny takes no text: give --input or --file"),
        (CHAT, "é", "the text has 'é'; the network reads ASCII only"),
    ],
)
def test_what_cannot_be_said(cli: Cli, model: str, text: str, message: str) -> None:
    done = cli("run", model, "--target", "mega", "--text", text)
    assert (done.code, done.err) == (1, f"truecycle: {message}\n")


def test_a_text_beyond_the_inputs_bounds() -> None:
    """The network was compiled for counts of at most 63."""
    model = load(CHAT)
    program = compile_model(model, find_target("mega"))
    with pytest.raises(GraphError, match=r"counts: input 0 has 78 at .*, outside \[0, 63\]"):
        say(model, program, "a" * 80)
