"""Linear with pattern lists on Z80: an input is added once for several rows.

R adds inputs up, list after list. From one list to the next one row's weight changes, and its sum
gains or loses R (`pattern_sums.py`): sum(w u) = sum of R times the steps that w falls, and R times
the last weight in the end. Inputs lie in a page as u = x - lowest x, so an index is a pointer's low
byte. Lists and changes are threaded code (`held_pairs.py`). How many rows go together is what takes
least by an estimate: the more, the less often an input is added, and the more patterns there are.

T-states per rows that go together: 28 for each index, 27 where R's low byte carries; 10 for each
list; and the changes, see `pattern_sums.py`.

Registers: A, D is R; HL inputs; BC two indices; E, with D, is R where it is added; IX, IY what the
first row gains and loses; HL' where sums go; SP lists.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import pattern_lists
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.blocks import copy
from kernels.z80.held_pairs import Chain, Run, runs
from kernels.z80.pattern_sums import PatternSums
from kernels.z80.row_sums import RowSums
from kernels.z80.stack_pointer import borrowed

_PAGE = 256
_COPIES = 4  # inputs copied per round where something is taken off them
_MOST_PATTERNS = 128


@emitter("z80", Linear, pattern_lists.NAME, writes_packed=True, borrows=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R; borrows SP. Stack: two bytes, or four."""
    layer = job.node
    assert isinstance(layer, Linear)
    x = job.ranges[layer.input.name]
    plan, lowest = plan_requantization(layer, x), min(x.low, 0)
    values = pattern_lists.values_of(layer.weights)
    sums = RowSums(job, layer, plan, _rows_together(job, layer, plan, values))
    weights = layer.weights.astype(np.int64).sum(axis=1) * lowest
    bias: NDArray[np.int64] = layer.folded_bias + (weights << layer.input_shift)
    page = job.scratch("page", min(layer.input.count, _PAGE), _PAGE)
    at, first = job.scratch("between", 3 * sums.group), 0
    for number, size in enumerate(blocks(layer.input.count, pattern_lists.LARGEST_BLOCK)):
        inputs = range(first, first + size)
        _Block(job, layer, sums, values, bias, page, at, lowest, number, inputs).write()
        first += size
    sums.finish(bias)


def _rows_together(job: Job, layer: Linear, plan: RequantPlan, values: range) -> int:
    """How many rows take the fewest T-states."""
    most = 1
    while most < len(layer.bias) and len(values) ** (most + 1) <= _MOST_PATTERNS:
        most += 1

    def cost(rows: int) -> int:
        finish = 0 if RowSums(job, layer, plan, rows).direct else 167 * len(layer.bias)
        padded = _padded(layer.weights, rows, values)
        return _cost(padded, values, rows, wide=plan.acc_bytes > 2) + finish

    return min(range(1, most + 1), key=cost)


def _padded(weights: NDArray[np.int8], rows: int, values: range) -> NDArray[np.int8]:
    """A multiple of so many rows, int8 (groups, rows, inputs); those added have one weight."""
    missing = -len(weights) % rows
    padded = np.pad(weights, ((0, missing), (0, 0)), constant_values=values[0])
    return padded.reshape(-1, rows, weights.shape[1])


def _cost(weights: NDArray[np.int8], values: range, rows: int, *, wide: bool) -> int:
    """About what all rows take in T-states, before they are requantized."""
    codes = pattern_lists.codes(weights)
    lists = sum(len(set(group)) for group in codes.tolist())
    first = (len(values) - 1) * len(values) ** (rows - 1)
    others = len(values) ** rows - 1 - first
    changes = (39 if wide else 19) * first + (85 if wide else 68) * others
    ends = (140 if wide else 110) * rows + 150
    cost: int = 28 * np.count_nonzero(codes) + 10 * lists + len(weights) * (changes + ends)
    return cost


@dataclass(frozen=True)
class _Block:
    """Writes one block of inputs. lowest: what is taken off them. at: see `PatternSums`."""

    job: Job
    layer: Linear
    sums: RowSums
    values: range
    bias: NDArray[np.int64]
    page: str
    at: str
    lowest: int
    number: int
    inputs: range

    def label(self, name: str) -> str:
        """A symbol of this block's own."""
        return self.job.label(f"b{self.number}_{name}")

    @cached_property
    def _steps(self) -> PatternSums:
        prefix, thread = self.label("sum"), self.label("thread")
        first = self.number == 0
        return PatternSums(
            self.job, self.sums, self.values, self.at, prefix, thread, self.page, first
        )

    @cached_property
    def _chain(self) -> Chain:
        return Chain(self.job, self.label("add"), self.label("thread"), self._steps.tails)

    def write(self) -> None:
        """All rows, some at a time."""
        self._copy_inputs()
        out, row, end = self.job.code, self.label("row"), self.sums.end
        out.emit(f"exx\nld hl,{self.sums.symbol}\nexx")
        self.job.at_most(row, self.sums.groups)
        with borrowed(self.job, f"sp{self.number}"):
            out.emit(f"""
                ld sp,{self.label("lists")}
            {row}:
                ld h,{self.page}>>8
                xor a
                ld d,a                      ; R = 0
                ret                         ; #{self.label("thread")}
            """)
            met, changed = self._write_threads()
            self._chain.write(met)
            self._steps.write_changes(changed)
            self._steps.write_row_end()
            out.emit(f"""
                ld a,l
                cp {end}&0xff
                ld a,h
                exx
                jp nz,{row}
                cp {end}>>8
                jp nz,{row}
            """)

    def _write_threads(self) -> tuple[Counter[tuple[Run, str]], Counter[str]]:
        """All threads, one behind the other; how often runs and their tails, and changes, are met.

        Per list its runs, each an address and its pairs; then the address of what changes, where
        the last run does not go on with it. At the end the rows' biases, if these are popped.
        """
        out, steps = self.job.consts, self._steps
        met, changed = Counter[tuple[Run, str]](), Counter[str]()
        out.emit(f"{self.label('lists')}:")
        weights = self.layer.weights[:, self.inputs.start : self.inputs.stop]
        for number, rows in enumerate(_padded(weights, self.sums.group, self.values)):
            lists = runs(pattern_lists.encode(rows, self.values).lists)
            for found, change in zip_longest(lists, steps.names):
                tail = change if found and change in steps.tails else ""
                for run in found:
                    key = run, tail if run is found[-1] else ""
                    met[key] += 1
                    out.emit(f".word {self._chain.entry(*key)}")
                    out.data(".byte", run.data)
                if not tail and change:
                    changed[change] += 1
                    out.emit(f".word {steps.label(change)}")
            out.emit(f".word {steps.row_end}")
            if steps.adds_bias:
                first = number * self.sums.group
                out.data(".word", self.bias[first : first + self.sums.group] & 0xFFFF)
        return met, changed

    def _copy_inputs(self) -> None:
        """Inputs into the page as u."""
        source = f"{tensor_symbol(self.layer.input)}+{self.inputs.start}"
        out, loop, count = self.job.code, self.label("copy"), len(self.inputs)
        out.emit(f"ld hl,{source}\nld de,{self.page}")
        if not self.lowest:
            copy(self.job, loop, count, 1)
            return
        rounds, rest = divmod(count, _COPIES)
        one = f"ld a,(hl)\ninc hl\nsub {self.lowest & 0xFF}\nld (de),a\ninc e\n"
        out.emit(one * rest)
        if rounds:
            self.job.at_most(loop, rounds)
            out.emit(f"ld b,{rounds}\n{loop}:\n{one * _COPIES}djnz {loop}")
