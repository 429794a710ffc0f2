"""Control flow of a layer's code: which instruction can follow which, and in how many cycles.

Nodes are instructions, by number; ENTRY and EXIT stand for what lies before and behind the layer. A
call goes to the routine's first instruction, and each of its returns may go back behind any call
of it, as often as that call was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kernels.asm import Assembly, Data
from kernels.emit import Job
from kernels.isa import Form, Instruction

ENTRY, EXIT = -1, -2
_CONDITIONS = frozenset({"nz", "z", "nc", "c", "po", "pe", "p", "m"})
_JUMPS = frozenset({"rjmp", "jmp", "jp", "jr"})
_CALLS = frozenset({"rcall", "call"})
_RETURNS = frozenset({"ret", "reti", "retn"})
_AHEAD = {"$+": 0, ".+": 1}  # counted from the jump itself, or from the instruction below it
_INDIRECT = frozenset({"ijmp", "eijmp", "icall", "eicall", "rst", "halt", "sleep", "break"})


class UnknownFlow(Exception):
    """Where execution goes cannot be told from the text alone; the message says of what."""


@dataclass(frozen=True, slots=True)
class Edge:
    """From one instruction to the next. cycles: of the first one, if it is left this way.

    call: of a call and its returns, the number of the calling instruction.
    """

    source: int
    target: int
    cycles: int
    call: int | None = None


@dataclass(eq=False)
class Flow:
    """Instructions of a layer's code and subroutines, where labels lie, and all edges."""

    instructions: list[Instruction] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)


def flow_of(job: Job) -> Flow:
    """The control flow of a layer; UnknownFlow where it jumps through registers."""
    flow, spans = Flow(), {}
    wait = 2 * job.target.m1_wait  # an instruction has at most two M1 cycles
    for name, text in {"": job.code, **job.subroutines}.items():
        first = len(flow.instructions)
        _read(flow, text)
        spans[name] = range(first, len(flow.instructions))
    if not flow.instructions:
        flow.edges.append(Edge(ENTRY, EXIT, 0))
        return flow
    flow.edges.append(Edge(ENTRY, 0 if spans[""] else EXIT, 0))
    returns = {
        name: [n for n in span if flow.instructions[n].form.mnemonic in _RETURNS]
        for name, span in spans.items()
    }
    for name, span in spans.items():
        behind = [*span[1:], EXIT if not name else None]
        for number, after in zip(span, behind, strict=True):
            flow.edges.extend(_edges(flow, number, after, returns, wait))
    return flow


def _read(flow: Flow, text: Assembly) -> None:
    waiting: list[str] = []
    for line in text.block.lines:
        waiting += line.labels
        if isinstance(line.code, Data):
            raise UnknownFlow(f"{line.code.text.strip()} stands in code")
        if line.code:
            number = len(flow.instructions)
            flow.labels.update(dict.fromkeys(waiting, number))
            if waiting:
                flow.names[number] = waiting[0]
            waiting = []
            flow.instructions.append(line.code)
            flow.comments.append(line.comment or "")
    flow.labels.update(dict.fromkeys(waiting, EXIT))


def _edges(
    flow: Flow, number: int, after: int | None, returns: Mapping[str, list[int]], wait: int
) -> Iterator[Edge]:
    """Every way to leave an instruction. after: the one below it, None behind a subroutine."""
    instruction = flow.instructions[number]
    form, mnemonic = instruction.form, instruction.form.mnemonic
    conditional = bool(instruction.operands) and instruction.operands[0] in _CONDITIONS
    if mnemonic in _INDIRECT or (mnemonic in _RETURNS and conditional):
        raise UnknownFlow(f"{instruction.text} in {place(flow, number)}")
    if mnemonic in _RETURNS:
        if not any(number in found for name, found in returns.items() if name):
            raise UnknownFlow(f"{instruction.text} outside a subroutine")
        return
    if mnemonic in _CALLS:
        if conditional or after is None:
            raise UnknownFlow(f"{instruction.text} in {place(flow, number)}")
        yield from _call(flow, number, after, returns, wait)
        return
    below = _need(flow, number, after) if not _leaves(mnemonic, conditional) else EXIT
    if form.taken_long is not None:  # a skip
        skipped = flow.instructions[below]
        yield Edge(number, below, form.cycles + wait)
        long = skipped.form.size > 2
        beyond = below + 1 if below + 1 < len(flow.instructions) else EXIT
        yield Edge(number, beyond, (form.taken_long if long else form.taken or 0) + wait)
        return
    if not _leaves(mnemonic, conditional):
        yield Edge(number, below, form.cycles + wait)
    if mnemonic in _JUMPS or (form.taken is not None and _is_branch(form)):
        yield Edge(number, _target(flow, number), (form.taken or form.cycles) + wait)
    elif form.taken is not None:  # an instruction that repeats itself
        yield Edge(number, number, form.taken + wait)


def _call(
    flow: Flow, number: int, after: int, returns: Mapping[str, list[int]], wait: int
) -> Iterator[Edge]:
    name = flow.instructions[number].operands[-1]
    if name not in returns:
        raise UnknownFlow(f"{flow.instructions[number].text} leaves the layer")
    yield Edge(number, flow.labels[name], flow.instructions[number].form.cycles + wait, number)
    for back in returns[name]:
        yield Edge(back, after, flow.instructions[back].form.cycles + wait, number)


def _leaves(mnemonic: str, conditional: bool) -> bool:
    """Whether an instruction never goes on to the one below."""
    return mnemonic in _JUMPS and not conditional


def _is_branch(form: Form) -> bool:
    return form.mnemonic == "djnz" or (form.mnemonic.startswith("br") and form.mnemonic != "break")


def _need(flow: Flow, number: int, after: int | None) -> int:
    if after is None:
        raise UnknownFlow(f"{place(flow, number)} runs off its end")
    return after


def _target(flow: Flow, number: int) -> int:
    name = flow.instructions[number].operands[-1]
    if name[:2] in _AHEAD and name[2:].isdecimal():
        return _ahead(flow, number + _AHEAD[name[:2]], int(name[2:]))
    if name not in flow.labels:
        raise UnknownFlow(f"{flow.instructions[number].text} in {place(flow, number)}")
    return flow.labels[name]


def _ahead(flow: Flow, number: int, distance: int) -> int:
    """The instruction so many bytes behind the beginning of one."""
    target = number
    while distance > 0 and target < len(flow.instructions):
        distance -= flow.instructions[target].form.size
        target += 1
    if distance:
        raise UnknownFlow(f"{flow.instructions[number].text} in {place(flow, number)}")
    return target


def place(flow: Flow, number: int) -> str:
    """The label at or above an instruction."""
    near = max((at for at in flow.names if at <= number), default=None)
    return "the layer's first lines" if near is None else flow.names[near]
