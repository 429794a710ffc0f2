"""GNU as and ld: what a missing tool and a refused program say."""

import shutil

import pytest

from kernels import toolchain
from kernels.target import find_target
from kernels.toolchain import ToolchainError, assemble, versions


@pytest.mark.parametrize("target", ["uno", "mega", "cpm"])
def test_code_begins_at_the_origin_of_code_memory(target: str) -> None:
    machine = find_target(target)
    source = (
        f".text\n.org {machine.code.origin}\n.global infer\ninfer: .byte 1, 2\nend: .byte 3, 4\n"
    )
    linked = assemble(source, machine)
    assert linked.data == bytes([1, 2, 3, 4])
    assert linked.symbols["infer"] == machine.code.origin
    assert linked.symbols["end"] == machine.code.origin + 2


@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_a_refused_program_shows_what_the_assembler_said(target: str) -> None:
    with pytest.raises(
        ToolchainError, match=rf"as failed for {target}:\n(.|\n)*program.s:2: Error"
    ):
        assemble(".text\n bogus r1\n", find_target(target))


def test_a_missing_tool_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_tool", toolchain._tool.__wrapped__)  # no cache
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ToolchainError, match="avr-as is not installed: install binutils-avr"):
        assemble("", find_target("uno"))


def test_versions_of_both_assemblers() -> None:
    found = versions()
    assert set(found) == {"binutils-avr", "binutils-z80"}
    assert all(version[0].isdigit() for version in found.values())
