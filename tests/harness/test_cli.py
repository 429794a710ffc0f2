"""The command line: what each command prints, and how it fails."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cli_runs import Cli
from tiny_model import CRAMPED_FLASH, FLOAT_ACCURACY, tiny_model

import kernels.avr.targets
from harness.errors import Difference
from harness.measure import Measurement, measure
from kernels.target import targets
from models import Model, Progress, TrainingReport, TrainingStep, catalog, registry


def test_bench_prints_the_table(cli: Cli) -> None:
    done = cli("bench", "tiny", "--target", "uno", "--target", "cpm")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "cycles per inference"
    rows = [line.split() for line in lines if line.startswith("  tiny")]
    assert [row[1] for row in rows] == ["uno", "cpm"] + ["uno"] * 3 + ["cpm"] * 3
    assert rows[0][-4:] == ["yes", "75.0%", f"{FLOAT_ACCURACY:.1%}", "yes"]
    assert lines[-2:] == ["tiny: accuracy by the emulator, 1 example", "tiny: made by hand"]
    assert "too narrow" not in done.out


def test_bench_runs_on_all_targets(cli: Cli) -> None:
    assert cli("bench", "tiny", "--json", "a.json").code == 0
    records = json.loads(Path("a.json").read_text())["records"]
    assert list(dict.fromkeys(record["target"] for record in records)) == list(targets())


def test_bench_takes_the_first_inputs(cli: Cli) -> None:
    done = cli("bench", "tiny", "--target", "uno", "--inputs", "2", "--json", "a.json")
    assert done.code == 0
    total = json.loads(Path("a.json").read_text())["records"][0]
    assert (total["n_inputs"], total["accuracy_by"]) == (2, "integer reference")


def test_bench_takes_encodings(cli: Cli) -> None:
    arguments = ("bench", "tiny", "--target", "uno", "--encoding", "fc=dense8", "--csv", "a.csv")
    assert cli(*arguments).code == 0
    with Path("a.csv").open(newline="") as stream:
        assert [row["encoding"] for row in csv.DictReader(stream)] == ["", "dense8", "", ""]


def test_bench_writes_what_was_measured(cli: Cli) -> None:
    assert cli("bench", "tiny", "--target", "mega", "--json", "a.json", "--csv", "a.csv").code == 0
    expected = [record.flat() for record in measure(tiny_model(), "mega").records]
    assert json.loads(Path("a.json").read_text())["records"] == expected
    with Path("a.csv").open(newline="") as stream:
        maxima = [int(row["cycles_max"]) for row in csv.DictReader(stream)]
    assert maxima == [record["cycles_max"] for record in expected]


def test_bench_fails_where_something_does_not_fit(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels.avr.targets, "MEGA", CRAMPED_FLASH)
    done = cli("bench", "tiny", "--json", "a.json")
    assert done.code == 1
    assert "tiny does not fit cramped: flash needs " in done.out
    records = json.loads(Path("a.json").read_text())["records"]
    verdicts = {record["target"]: record["verdict"] for record in records}
    assert verdicts.pop("cramped") == "does not fit"
    assert set(verdicts.values()) == {"fits"}
    assert verdicts.keys() >= {"uno", "attiny85", "cpm"}


def test_bench_fails_where_something_is_wrong(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: Model, target: str, **_: object) -> Measurement:
        return replace(measure(model, target), difference=Difference(0, "logits", 1, 2, 3))

    monkeypatch.setattr("harness.commands.bench.measure", wrong)
    done = cli("bench", "tiny", "--target", "uno")
    assert done.code == 1
    assert "tiny on uno is NOT bit-exact: input 0, logits[1]: emulator 2, reference 3" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "nothing"], "no model is named 'nothing'; choose one of: chat-a-2bit, "),
        (["bench", "tiny", "--target", "pdp11"], "unknown target 'pdp11'; known targets: uno, "),
        (["bench", "tinychat"], "tinychat needs a folder with z80ai's tinychat files "),
        (["bench", "tinychat", "--data", "absent"], "absent/model.npz: "),
        (["bench", "tiny", "--limit", "20"], "tiny on uno: cycle limit reached at "),
        (["bench", "tiny", "--encoding", "fc=zip"], "unknown encoding 'zip'; known encodings: "),
        (["bench", "tiny", "--encoding", "no=dense8"], "tiny has no layer 'no' with weights"),
        (
            ["bench", "wide", "--encoding", "fc=index-lists"],
            "fc: index-lists cannot hold weights of [-100, 100]",
        ),
        (["bench", "tiny", "--json", "absent/a.json"], "absent/a.json cannot be written: give a "),
        (["bench", "tiny", "--csv", "."], ". cannot be written: give a file in an existing "),
        (["train", "nothing"], "no model is named 'nothing'; choose one of: chat-a-2bit, "),
        (
            ["train", "digits", "--seed", "-1", "--out", "a.npz"],
            "seed -1 is outside [0, 4294967295]",
        ),
        (["train", "digits", "--out", "absent/a.npz"], "absent/a.npz cannot be written: give a "),
    ],
)
def test_a_foreseen_error_is_one_line(cli: Cli, arguments: list[str], message: str) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"truecycle: {message}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench"], "Missing argument"),
        (["bench", "tiny", "--inputs", "0"], "Invalid value for '--inputs': "),
        (["bench", "tiny", "--inputs", "x"], "Invalid value for '--inputs': "),
        (["bench", "tiny", "--limit", "0"], "Invalid value for '--limit': "),
        (["bench", "tiny", "--encoding", "fc"], "Invalid value: 'fc' is not LAYER=NAME"),
        (["bench", "tiny", "--speed"], "No such option: --speed"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_a_usage_error_says_what_was_expected(cli: Cli, arguments: list[str], message: str) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    text = " ".join(done.err.replace("│", " ").split())  # typer draws a frame
    assert message in text


def test_an_unforeseen_error_is_not_hidden(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("harness.commands.bench.measure", broken)
    with pytest.raises(ZeroDivisionError):
        cli("bench", "tiny")


def test_models(cli: Cli) -> None:
    done = cli("models")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(entry.name for entry in catalog())
    (tinychat,) = [line for line in lines if line.startswith("tinychat ")]
    assert "(needs z80ai's tinychat files model.npz and " in tinychat
    assert tinychat.endswith(": --data or TRUECYCLE_Z80AI)")
    assert f"{'tiny':16} two outputs" in lines


def test_targets(cli: Cli) -> None:
    done = cli("targets")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines] == list(targets())
    assert lines[0] == (
        "uno    Arduino UNO (ATmega328P, boot loader kept): 16 MHz, code 32,256 bytes at 0x0, "
        "data 2,048 bytes at 0x100 (DS40002061; Optiboot)"
    )


def test_train_shows_the_report(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, Path | None, Path]] = []

    def train(seed: int, out: Path | None, progress: Progress, data: Path) -> TrainingReport:
        asked.append((seed, out, data))
        for epoch in (1, 2):
            progress(TrainingStep(epoch, epochs=2, loss=1 / epoch))
        assert out is not None
        return TrainingReport(out, {"float, test images": 0.98125, "int8": 1.0})

    entry = replace(
        registry._trainers["digits"], train=train, data=registry.DataFolder("words", "WORDS")
    )
    monkeypatch.setitem(registry._trainers, "digits", entry)
    done = cli("train", "digits", "--seed", "7", "--out", "a.npz", "--data", "words")
    assert done.code == 0
    assert asked == [(7, Path("a.npz"), Path("words"))]
    assert done.out == " 98.12%  float, test images\n100.00%  int8\nwrote a.npz\n"
    assert "digits epoch 2 loss 0.5000" in done.err


def test_help_and_no_command(cli: Cli) -> None:
    for arguments, code in ((("--help",), 0), ((), 2)):
        done = cli(*arguments)
        assert done.code == code
        for command in ("bench", "train", "models", "targets"):
            assert f" {command} " in done.out + done.err
