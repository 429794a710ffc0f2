"""Comparing emulator and reference on every example of an evaluation."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from tiny_model import CLASSES, CRAMPED_FLASH, INPUTS, tiny_model

from emulators.base import CallResult
from harness.cli import main
from harness.errors import HarnessError, Mismatch
from harness.run import Runner
from harness.verify import verify
from kernels.compile import compile_graph
from kernels.errors import DoesNotFit
from kernels.target import Target, find_target
from models import Evaluation, Model, load

UNO, MEGA, CPM = map(find_target, ("uno", "mega", "cpm"))


@pytest.fixture
def model() -> Model:
    inputs, labels = np.tile(INPUTS, (50, 1)), np.tile(CLASSES, 50)
    return tiny_model(evaluation=Evaluation("200 examples", inputs, labels))


@pytest.mark.parametrize("target", [UNO, CPM])
def test_every_example_is_run(model: Model, target: Target) -> None:
    alone = verify(model, [target])
    assert alone.examples == 200
    assert alone.difference is None
    runner = Runner(compile_graph(model.graph, target))
    assert alone.cycles == sum(runner.infer(x).cycles for x in model.evaluation.inputs)
    assert verify(model, [target], examples=70).examples == 70
    alone.check()
    name = target.name
    assert alone.text().startswith(f"tiny on {name}: all outputs of 200 examples equal")


def test_processes_share_the_work() -> None:
    digits = load("digits-int8")
    alone, shared = (verify(digits, [UNO], jobs=jobs) for jobs in (1, 2))
    assert alone == shared
    assert alone.examples == 360


@pytest.mark.parametrize("wrong", [0, 65, 199])
def test_the_first_difference_is_named(
    model: Model, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    calls = count()
    call = Runner.call

    def changed(runner: Runner, packed: bytes) -> CallResult:
        result = call(runner, packed)
        logits = runner.sources[0]
        assert logits.name == "logits"
        if next(calls) >= wrong:
            data = bytearray(logits.read(runner.emulator))
            data[2] ^= 1
            runner.emulator.write(logits.address, bytes(data))
        return result

    monkeypatch.setattr(Runner, "call", changed)
    found = verify(model, [UNO])
    assert found.difference is not None
    assert (found.difference.sample, found.difference.index) == (wrong, 1)
    assert found.text().startswith(f"tiny on uno: input {wrong}: logits[1] is ")
    assert found.fault is None  # the program itself does nothing wrong
    with pytest.raises(Mismatch, match=f"input {wrong}"):
        found.check()


def test_the_first_target_that_holds_it(model: Model) -> None:
    assert verify(model, [CRAMPED_FLASH, MEGA, UNO]).target == "mega"
    unfit = verify(model, [CRAMPED_FLASH])
    assert (unfit.target, unfit.examples) == ("cramped", 0)
    assert unfit.text().startswith("tiny does not fit cramped: flash needs ")
    with pytest.raises(DoesNotFit):
        unfit.check()


def test_nothing_to_compare_is_refused(model: Model) -> None:
    empty = tiny_model(evaluation=Evaluation("none", INPUTS[:0], CLASSES[:0]))
    for arguments in ((empty, [UNO]), (model, [])):
        with pytest.raises(HarnessError, match="nothing to compare"):
            verify(*arguments)


@pytest.mark.parametrize(("target", "code"), [("uno", 0), ("attiny85", 1)])
def test_the_command(target: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", "chat-a-ternary", "--target", target, "--examples", "3", "--workers", "1"])
    out = capsys.readouterr().out
    assert ended.value.code == code
    assert (
        f"chat-a-ternary does not fit {target}: "
        if code
        else f"chat-a-ternary on {target}: all outputs of 3 examples equal the reference's, "
    ) in out
