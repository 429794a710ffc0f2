"""Control flow of a layer's code: which instruction can follow which, and in how many cycles.

Nodes are instructions, by number; ENTRY and EXIT stand for what lies before and behind the layer. A
call goes to a routine, and each return that can be reached in it may go back behind any call of it,
as often as that call was made. A jump to a computed address goes to a node of its own, and from
there to every target that the emitter declares (`Job.jumps`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from kernels.asm import Assembly, Data
from kernels.emit import Job
from kernels.isa import Form, Instruction

ENTRY, EXIT = -1, -2
_TAG = re.compile(r"#(\w+)\s*$")
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
    """Instructions of all code of a layer and of the shared code it reaches, and all edges.

    labels: the instruction at each. tagged: the instructions whose comments end in `#name`, by that
    name. nodes: instructions, and behind them one for each set of jumps to computed addresses.
    gaps: instructions in front of which space is left.
    """

    instructions: list[Instruction] = field(default_factory=list)
    tagged: dict[str, set[int]] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    nodes: int = 0
    gaps: set[int] = field(default_factory=set)

    def places(self, name: str) -> set[int]:
        """The instructions that a promise about this name is about."""
        return self.tagged.get(name, set()) | {self.labels.get(name, EXIT)} - {EXIT}


def flow_of(job: Job) -> Flow:
    """The control flow of a layer; UnknownFlow where it jumps who knows where."""
    flow = Flow()
    spans = [_read(flow, text) for text in (job.code, *job.subroutines.values())]
    spans += [_read(flow, one.text, name) for name, one in job.banked.items() if one.code]
    spans += [_read(flow, job.shared[name].text, name) for name in _reached(job)]
    flow.nodes = len(flow.instructions)
    if not flow.instructions:
        flow.edges.append(Edge(ENTRY, EXIT, 0))
        return flow
    flow.edges.append(Edge(ENTRY, 0 if spans[0] else EXIT, 0))
    wait = 2 * job.target.m1_wait  # an instruction has at most two M1 cycles
    computed = _computed(flow, job, wait)
    below: dict[int, int] = {}
    for number, span in enumerate(spans):
        below |= {n: after for n, after in pairwise(span) if after not in flow.gaps}
        if span and not number:
            below[span[-1]] = EXIT
    for number in range(len(flow.instructions)):
        if number not in computed:
            flow.edges.extend(_edges(flow, number, below, wait))
    _return(flow, below, wait)
    return flow


def _reached(job: Job) -> Iterator[str]:
    """Symbols of shared code that the layer's code, or what it reaches, names as a target."""
    left = {name: shared.text.labels | {name} for name, shared in job.shared.items() if shared.code}
    named = {name for targets in job.targets.values() for name in targets}
    banked = [one.text for one in job.banked.values() if one.code]
    for text in (job.code, *job.subroutines.values(), *banked):
        named |= _named(text)
    while reached := [name for name, labels in left.items() if labels & named]:
        yield from reached
        named = {target for name in reached for target in _named(job.shared[name].text)}
        left = {name: labels for name, labels in left.items() if name not in reached}


def _named(text: Assembly) -> set[str]:
    return {one.operands[-1] for one in text.block.instructions if one.operands}


def _read(flow: Flow, text: Assembly, *symbol: str) -> range:
    """Append a piece of code, with its symbol if it has one; the numbers of its instructions."""
    waiting = list(symbol)
    first = len(flow.instructions)
    for line in text.block.lines:
        waiting += line.labels
        if isinstance(line.code, Data) and line.code.directive == ".space":
            flow.gaps.add(len(flow.instructions))
        elif isinstance(line.code, Data):
            raise UnknownFlow(f"{line.code.text.strip()} stands in code")
        elif line.code:
            number = len(flow.instructions)
            flow.labels.update(dict.fromkeys(waiting, number))
            if waiting:
                flow.names[number] = waiting[0]
            waiting = []
            flow.instructions.append(line.code)
            if found := _TAG.search(line.comment or ""):
                flow.tagged.setdefault(found[1], set()).add(number)
    flow.labels.update(dict.fromkeys(waiting, EXIT))
    return range(first, len(flow.instructions))


def _computed(flow: Flow, job: Job, wait: int) -> set[int]:
    """Add the jumps whose targets are declared, by way of a node of their own; which they are."""
    found: set[int] = set()
    for name, targets in job.targets.items():
        hub, flow.nodes = flow.nodes, flow.nodes + 1
        for number in flow.places(name):
            flow.edges.append(Edge(number, hub, flow.instructions[number].form.cycles + wait))
            found.add(number)
        for target in targets:
            at = flow.places(target)
            if not at:
                raise UnknownFlow(f"{name} jumps to {target}, which is nowhere")
            flow.edges.extend(Edge(hub, number, 0) for number in at)
    return found


def _edges(flow: Flow, number: int, behind: Mapping[int, int], wait: int) -> Iterator[Edge]:
    """Every way to leave an instruction but to return. behind: the one below each, if there is."""
    instruction = flow.instructions[number]
    form, mnemonic = instruction.form, instruction.form.mnemonic
    conditional = bool(instruction.operands) and instruction.operands[0] in _CONDITIONS
    if mnemonic in _INDIRECT or (mnemonic in _RETURNS and conditional):
        raise UnknownFlow(f"{instruction.text} in {place(flow, number)}")
    if mnemonic in _RETURNS:
        return
    if mnemonic in _CALLS:
        if conditional or number not in behind:
            raise UnknownFlow(f"{instruction.text} in {place(flow, number)}")
        if instruction.operands[-1] not in flow.labels:
            raise UnknownFlow(f"{instruction.text} leaves the layer")
        yield Edge(number, flow.labels[instruction.operands[-1]], form.cycles + wait, number)
        return
    below = _need(flow, number, behind) if not _leaves(mnemonic, conditional) else EXIT
    if form.taken_long is not None:  # a skip
        yield Edge(number, below, form.cycles + wait)
        long = flow.instructions[below].form.size > 2
        beyond = _need(flow, below, behind)
        yield Edge(number, beyond, (form.taken_long if long else form.taken or 0) + wait)
        return
    if not _leaves(mnemonic, conditional):
        yield Edge(number, below, form.cycles + wait)
    if mnemonic in _JUMPS or (form.taken is not None and _is_branch(form)):
        yield Edge(number, _target(flow, number), (form.taken or form.cycles) + wait)
    elif form.taken is not None:  # an instruction that repeats itself
        yield Edge(number, number, form.taken + wait)


def _return(flow: Flow, below: Mapping[int, int], wait: int) -> None:
    """Add the returns of every call, from all that is reached in its routine."""
    ways: dict[int, list[int]] = {}
    calls = [edge for edge in flow.edges if edge.call is not None]
    for edge in flow.edges:  # over the routines that are called on the way
        over = edge.target if edge.call is None else below[edge.source]
        ways.setdefault(edge.source, []).append(over)
    for start in {edge.target for edge in calls}:
        inside = _inside(ways, start)
        returns = [n for n in inside if _returns(flow, n, ways)]
        for call in (edge.source for edge in calls if edge.target == start):
            flow.edges += [
                Edge(back, below[call], flow.instructions[back].form.cycles + wait, call)
                for back in returns
            ]
    for number in _inside(ways, ENTRY):
        if _returns(flow, number, ways):
            raise UnknownFlow(f"{flow.instructions[number].text} outside a subroutine")


def _returns(flow: Flow, number: int, ways: dict[int, list[int]]) -> bool:
    """Whether it is a return, and not one whose targets are declared."""
    return (
        0 <= number < len(flow.instructions)
        and number not in ways
        and flow.instructions[number].form.mnemonic in _RETURNS
    )


def _inside(ways: dict[int, list[int]], start: int) -> set[int]:
    """What can be reached, calls being steps."""
    found, left = {start}, [start]
    while left:
        new = [target for target in ways.get(left.pop(), ()) if target not in found]
        found.update(new)
        left += new
    return found


def _leaves(mnemonic: str, conditional: bool) -> bool:
    """Whether an instruction never goes on to the one below."""
    return mnemonic in _JUMPS and not conditional


def _is_branch(form: Form) -> bool:
    return form.mnemonic == "djnz" or (form.mnemonic.startswith("br") and form.mnemonic != "break")


def _need(flow: Flow, number: int, behind: Mapping[int, int]) -> int:
    if number not in behind:
        raise UnknownFlow(f"{place(flow, number)} runs off its end")
    return behind[number]


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
