"""The comparison itself: a cycle, a byte or an ending that differs must be told."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from routine import Comparer, Comparison, Job, Outcome, Routine, SecondEmulator

from emulators.base import StopReason
from kernels.target import find_target
from kernels.toolchain import assemble

CODE = {
    "uno": "ldi r16, 7\nsts 0x300, r16\n{}\nret",
    "mega": "ldi r16, 7\nsts 0x300, r16\n{}\nret",
    "cpm": "ld a, 7\nld (0xc000), a\n{}\nret",
}
SLOWER = {"uno": "rjmp .+0", "mega": "rjmp .+0", "cpm": "inc hl"}  # than a NOP of the same size
LOOP = {"uno": "rjmp .-2", "mega": "rjmp .-2", "cpm": "jr $"}
PUSH = {"uno": "push r0", "mega": "push r0", "cpm": "push af"}
TARGETS = pytest.mark.parametrize("target", CODE)


def routine(target_name: str, extra: str = "") -> Routine:
    target = find_target(target_name)
    start = f".text\n.org {target.code.origin}\ninfer:\n"
    linked = assemble(f"{start}{CODE[target_name].format(extra)}\n", target)
    top = target.data.end - 1
    entry = linked.symbols["infer"]
    return Routine(target, target.code.origin, linked.data, entry, top, top - 31)


class Doctored:
    """A second emulator that runs another routine, or whose outcome is changed."""

    def __init__(
        self,
        second: SecondEmulator,
        instead: Routine | None = None,
        change: Callable[[Outcome], Outcome] = lambda outcome: outcome,
    ) -> None:
        self.name = "doctored"
        self._second, self._instead, self._change = second, instead, change

    def call(self, job: Job) -> Outcome:
        """Call that other routine, and change what comes of it."""
        return self._change(self._second.call(replace(job, routine=self._instead or job.routine)))


def compare(second: SecondEmulator, target: str, extra: str = "", limit: int = 1000) -> Comparison:
    return Comparer(routine(target, extra), second).call(limit=limit)


@TARGETS
def test_the_same_is_the_same(seconds: Mapping[str, SecondEmulator], target: str) -> None:
    assert compare(seconds[find_target(target).isa], target).differences == []


@TARGETS
def test_another_instruction_differs(seconds: Mapping[str, SecondEmulator], target: str) -> None:
    second = seconds[find_target(target).isa]
    slower = Doctored(second, instead=routine(target, SLOWER[target]))
    told, *_ = compare(slower, target, "nop").differences
    assert told.startswith("cycles: ")


@TARGETS
def test_one_byte_differs(seconds: Mapping[str, SecondEmulator], target: str) -> None:
    def flip(outcome: Outcome) -> Outcome:
        memory = bytearray(outcome.memory)
        memory[0x400] ^= 1
        return replace(outcome, memory=bytes(memory))

    changed = Doctored(seconds[find_target(target).isa], change=flip)
    (told,) = compare(changed, target).differences
    assert told.startswith("0x0400: ")


@TARGETS
@pytest.mark.parametrize("code", [LOOP, PUSH])
def test_only_a_return_counts(
    seconds: Mapping[str, SecondEmulator], target: str, code: Mapping[str, str]
) -> None:
    """Neither an endless loop, nor a return to what was pushed."""
    compared = compare(seconds[find_target(target).isa], target, code[target])
    assert len(compared.differences) >= 2
    assert StopReason.RETURNED not in {compared.ours.reason, compared.other.reason}
