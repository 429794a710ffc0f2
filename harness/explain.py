"""Where an inference first goes wrong: the layer, the unit, and the instructions that wrote it.

An emulator that is stopped after a given number of cycles shows its memory as it was then. So the
tensors of all layers are read while they are there, and the moment at which a wrong value was
written is found by halving.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.listing import list_program
from harness.run import Runner
from kernels import reference
from kernels.emit import tensor_symbol
from kernels.image import Program
from kernels.ir import Node, Tensor

BEFORE, AFTER = 12, 3


@dataclass(frozen=True, slots=True)
class Fault:
    """The first element that differs, in the order of the layers.

    cycle: after how many cycles the wrong value was there. trace: lines around the instruction that
    wrote it, that one marked.
    """

    layer: str
    tensor: str
    index: int
    got: int
    want: int
    cycle: int
    trace: tuple[str, ...]

    def text(self) -> str:
        """Several lines."""
        head = (
            f"the first difference is in {self.layer}: {self.tensor}[{self.index}] is {self.got}, "
            f"the reference says {self.want}; it was there after {self.cycle:,} cycles:"
        )
        return "\n".join([head, *self.trace])


def read_layers(runner: Runner, x: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    """What each layer wrote, int64 (elements,), as it was when the layer had ended.

    The layers are those of the lowered graph. Those whose output has no bytes of its own, or is not
    dense, are left out. Raises RunFailed.
    """
    cycles = runner.infer(x).layer_cycles
    program, end, found = runner.program, 0, {}
    for node in program.lowered.nodes:
        end += cycles[node.name]
        own = tensor_symbol(node.output) in program.arena.offsets
        if own and node.output.name not in program.forms:
            found[node.name] = _tensor_after(runner, x, node.output, end)
    return found


def explain(program: Program, x: NDArray[Any]) -> Fault | None:
    """Compare the tensors of one inference with the reference's; None where all are equal.

    Where a layer's output cannot be read, what it did wrong shows in a later one.
    """
    runner = Runner(program)
    want = reference.run(program.lowered, np.asarray(x)[np.newaxis])
    layers = read_layers(runner, x)
    for node in program.lowered.nodes:
        right = want[node.output.name].ravel()
        got = layers.get(node.name, right)
        wrong = np.flatnonzero(got != right)
        if wrong.size:
            index = int(wrong[0])
            cycle = _written(runner, x, node, index, int(got[index]))
            return Fault(
                node.name,
                node.output.name,
                index,
                int(got[index]),
                int(right[index]),
                cycle,
                tuple(_trace(runner, x, cycle)),
            )
    return None


def _tensor_after(
    runner: Runner, x: NDArray[Any], tensor: Tensor, cycles: int
) -> NDArray[np.int64]:
    runner.stop_after(x, cycles)
    data = runner.emulator.read(*_place(runner.program, tensor))
    return tensor.dtype.unpack(data, tensor.count)


def _place(program: Program, tensor: Tensor) -> tuple[int, int]:
    """Address and size of a tensor in SRAM."""
    origin = program.target.arena_origin(program.arena.size)
    return origin + program.arena.offsets[tensor_symbol(tensor)], tensor.size


def _written(runner: Runner, x: NDArray[Any], node: Node, index: int, value: int) -> int:
    """The fewest cycles after which an element has its final value, as far as halving tells."""
    cycles = runner.infer(x).layer_cycles
    names = list(cycles)
    low = sum(cycles[name] for name in names[: names.index(node.name)])
    high = low + cycles[node.name]
    origin, size = _place(runner.program, node.output)
    used = set(value.to_bytes(8, "little", signed=True))
    other = bytes([next(byte for byte in (0x55, 0xAA, 0x33, *range(9)) if byte not in used)])
    while high - low > 1:
        middle = (low + high) // 2
        runner.emulator.write(origin, other * size)  # what an earlier run left there is no sign
        there = int(_tensor_after(runner, x, node.output, middle)[index]) == value
        low, high = (low, middle) if there else (middle, high)
    return high


def _trace(runner: Runner, x: NDArray[Any], cycle: int) -> Iterator[str]:
    """The instructions that begin around a cycle; the last one that began before it is marked."""
    lines = {line.address: line for line in list_program(runner.program)}
    image = runner.program.image
    steps = {0: runner.program.entry}  # cycles at which instructions begin, and where
    at, wanted = cycle + 8 * AFTER, BEFORE + 9 * AFTER
    while at > 0 and len(steps) < wanted:
        stopped = runner.stop_after(x, at)
        steps[stopped.cycles] = stopped.pc
        at -= 1
    begins = sorted(steps)
    writer = max((number for number, one in enumerate(begins) if one < cycle), default=0)
    for number, begin in enumerate(begins[: writer + 1 + AFTER]):
        if number < writer - BEFORE:
            continue
        pc = steps[begin]
        text = lines[pc].text.strip() if pc in lines else ""
        mark = ">" if number == writer else " "
        yield f"{mark} {begin:>9,}  {pc:#06x}  {image.place(pc):<28} {text}"
