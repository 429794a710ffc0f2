"""Commands that run one input, write a program's files, or write what they found as JSON."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import Cli
from tiny_model import INPUTS, tiny_graph

from harness.measure import measure
from harness.run import Runner
from kernels import reference
from kernels.compile import compile_graph
from kernels.target import find_target, targets
from models import catalog


def test_run_shows_outputs_and_cycles(cli: Cli) -> None:
    done = cli("run", "tiny", "--target", "uno", "--input", "2")
    run = Runner(compile_graph(tiny_graph(), find_target("uno"))).infer(INPUTS[2])
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:2] == [f"logits: {-5} {5}", "class_index: 1"]
    assert f"tiny on uno: {run.cycles:,} cycles, " in lines[3]
    assert lines[3].endswith(" ms, equal to the reference")
    words = [line.split() for line in lines[4:] if line.endswith("%")]
    rows = {row[0]: int(row[1].replace(",", "")) for row in words}
    assert sum(rows.values()) == run.cycles
    assert rows["fc"] == run.layer_cycles["fc"]


def content(cli: Cli, *arguments: str) -> dict[str, Any]:
    """What a command writes to standard output as JSON, and nothing else."""
    done = cli(*arguments, "--json", "-")
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    assert {"schema", "created", "commit", "tools"} <= set(found)
    return found


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
def test_run_takes_a_file(cli: Cli, suffix: str) -> None:
    x = np.array([7, 0, 200], np.uint8)
    path = Path(f"x{suffix}")
    np.save(path, x) if suffix == ".npy" else path.write_text("7, 0 200\n")
    found = content(cli, "run", "tiny", "--target", "cpm", "--file", str(path))
    expected = reference.run(tiny_graph(), x[np.newaxis])
    assert found["outputs"] == {n: expected[n][0].tolist() for n in ("logits", "class_index")}
    assert found["bit_exact"] is True
    assert 0 < sum(found["layers"].values()) < found["cycles"]


def test_run_fails_where_the_reference_differs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    true = reference.run
    monkeypatch.setattr(reference, "run", lambda *a: {n: v + 1 for n, v in true(*a).items()})
    done = cli("run", "tiny", "--target", "uno")
    assert done.code == 1
    assert "NOT equal to the reference" in done.out


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("1 2", 1, "x.txt holds no integers of shape (3,): "),
        ("1 2 three", 1, "x.txt holds no integers of shape (3,): "),
        ("1 2 300", 1, "input 0 has 300 at (2,), outside [0, 255]"),
    ],
)
def test_run_refuses_what_is_no_input(cli: Cli, text: str, code: int, message: str) -> None:
    Path("x.txt").write_text(text)
    done = cli("run", "tiny", "--target", "uno", "--file", "x.txt")
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_run_refuses_an_input_that_is_not_there(cli: Cli) -> None:
    done = cli("run", "tiny", "--target", "uno", "--input", "4")
    assert done.code == 2
    assert "tiny has 4 inputs, from 0" in done.err


def test_compile_writes_all_kinds(cli: Cli) -> None:
    program = compile_graph(tiny_graph(), find_target("uno"))
    names = [f"t{ending}" for ending in (".hex", ".bin", ".elf", ".lst", ".s")]
    done = cli("compile", "tiny", "--target", "uno", *(f"-o{name}" for name in names))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-5:] == [f"wrote {name}" for name in names]
    assert Path("t.bin").read_bytes() == program.image.data
    assert Path("t.s").read_text() == program.source
    for kind, name in (("ihex", "t.hex"), ("elf32-avr", "t.elf")):
        command = ["avr-objcopy", "-I", kind, "-O", "binary", name, "back.bin"]
        subprocess.run(command, check=True)
        assert Path("back.bin").read_bytes() == program.image.data
    rows = re.findall(r"^([0-9a-f]{5}) ([0-9a-f]+)", Path("t.lst").read_text(), re.MULTILINE)
    for address, data in rows:
        at = int(address, 16)
        assert program.image.data[at:].startswith(bytes.fromhex(data))
    assert {"fc:", "infer:", "infer_end:"} & set(map(str.strip, Path("t.lst").read_text().split()))


def test_compile_for_cpm(cli: Cli) -> None:
    program = compile_graph(tiny_graph(), find_target("cpm"))
    assert cli("compile", "tiny", "--target", "cpm", "-o", "T.com", "-o", "t.hex").code == 0
    assert Path("T.com").read_bytes() == program.image.data
    assert Path("t.hex").read_text().startswith(":10010000")  # 16 bytes at 0x100


def test_compile_for_a_cartridge(cli: Cli) -> None:
    program = compile_graph(tiny_graph(), find_target("msx-rom"), {"fc": "dense8"})
    names = ("-o", "t.rom", "-o", "t.bin", "-o", "t.lst", "-o", "t.hex")
    done = cli("compile", "tiny", "--target", "msx-rom", "--encoding", "fc=dense8", *names)
    assert (done.code, done.err) == (0, "")
    data = Path("t.rom").read_bytes()
    assert len(data) == 2 * 0x4000
    assert data == program.image.data.ljust(2 * 0x4000, b"\xff")
    assert data[:4] == b"AB\x10\x40"  # what the system calls lies behind 16 bytes
    assert data[0x10] == 0xF3  # DI
    command = ["objcopy", "-I", "ihex", "-O", "binary", "t.hex", "back.bin"]
    subprocess.run([f"z80-unknown-coff-{command[0]}", *command[1:]], check=True)
    assert Path("back.bin").read_bytes() == Path("t.bin").read_bytes() == program.image.data


def test_compile_tells_what_each_part_takes(cli: Cli) -> None:
    found = content(cli, "compile", "tiny", "--target", "mega")
    program = compile_graph(tiny_graph(), find_target("mega"))
    assert sum(part["size"] for part in found["parts"]) == found["flash_bytes"] == program.flash
    assert found["encodings"] == {"fc": "index-lists"}
    assert found["files"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["uno", "-o", "t.exe"], 2, "t.exe ends in none of .hex, .bin, .elf, .com, .rom, .lst, .s"),
        (["uno", "-o", "absent/t.bin"], 1, "absent/t.bin cannot be written: give a file in an"),
        (["uno", "-o", "t.com"], 1, ".com is for CP/M; for uno write .bin or .hex"),
        (["msx", "-o", "t.rom"], 1, "msx has no banks of ROM: write .bin or .hex"),
        (["cpm", "-o", "t.elf"], 1, "the linker for cpm makes no ELF: write .bin or .hex"),
    ],
)
def test_compile_refuses(cli: Cli, arguments: list[str], code: int, message: str) -> None:
    done = cli("compile", "tiny", "--target", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in " ".join(done.err.split())


def test_lists_as_json(cli: Cli) -> None:
    assert [model["name"] for model in content(cli, "models")["models"]] == [
        entry.name for entry in catalog()
    ]
    found = {one["name"]: one for one in content(cli, "targets")["targets"]}
    assert list(found) == list(targets())
    assert found["uno"]["code"] == {"origin": 0, "size": 32256}


def test_bench_as_json_alone(cli: Cli) -> None:
    found = content(cli, "bench", "tiny", "--target", "uno")
    assert found["records"][0]["cycles_max"] == measure("tiny", "uno").total.cycles_max


def test_bench_saves_and_compares(cli: Cli) -> None:
    arguments = ("bench", "tiny", "--target", "uno", "--target", "cpm")
    limits = ("--compare", "it", "--fail", "cycles:0")
    assert cli(*arguments, "--save", "it").code == 0
    done = cli(*arguments, *limits)
    assert (done.code, done.err) == (0, "")
    done = cli(*arguments, *limits, "--encoding", "fc=dense8")
    assert done.code == 1
    assert "tiny@uno: tiny on uno, fc (limit cycles:0): sum 698 -> " in done.err
    done = cli(*arguments, "--compare", "it", "--encoding", "fc=dense8")
    assert done.code == 0
    assert "tiny@cpm: tiny on cpm, fc: encoding threaded-lists -> dense8, sum " in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--compare", "absent"], 1, "nothing is saved as absent in .truecycle: see --save"),
        (["--fail", "cycles:0"], 2, "--fail needs --compare NAME, to compare with"),
        (["--columns", "speed"], 1, "no column is named 'speed'; choose of: model, "),
    ],
)
def test_bench_refuses(cli: Cli, arguments: list[str], code: int, message: str) -> None:
    done = cli("bench", "tiny", "--target", "uno", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_bench_shows_what_is_asked_for(cli: Cli) -> None:
    done = cli("bench", "tiny", "--columns", "max", "--sort", "-max", "--layers", "1")
    rows = [line.split() for line in done.out.splitlines() if line.startswith("  tiny")]
    programs = rows[: len(targets())]
    worst = [int(row[2].replace(",", "")) for row in programs]
    assert worst == sorted(worst, reverse=True)
    assert [row[2] for row in rows[len(targets()) :]] == ["fc"] * len(targets())


def test_bench_writes_markdown_and_html(cli: Cli) -> None:
    assert cli("bench", "tiny", "--target", "uno", "--md", "a.md", "--html", "a.html").code == 0
    assert Path("a.md").read_text().startswith("## cycles per inference\n\n| model | target |")
    assert "<!doctype html>" in Path("a.html").read_text()


def test_the_shell_completes_names(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def completions(words: str) -> list[str]:
        monkeypatch.setenv("_TRUECYCLE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
        return cli().out.split()

    assert completions("truecycle bench ti") == ["tiny", "tinychat"]
    assert completions("truecycle run tiny --target m") == ["mega", "msx", "msx-rom"]
    assert {"bench", "run", "compile"} <= set(completions("truecycle "))
