"""Sums of a byte (sums8.py) counted in registers: blocks of 17 outputs, the code of each in a bank.

A list holds, for each unit that an input counts, the address of the input's code, which is the same
in all banks: RET goes there, the code steps the counters that its weights touch, and RET goes on.
The last address is the block's end, which stores its counters; then the next bank shows, and SP
begins the list again.

Counters: A, B, C, D, E, H, L, the halves of IX and IY, and BC', DE', HL'. A step takes 4 T, 8 T in
IX and IY; the code of an input with any step in the second set 8 T; RET 10 T. A block of 17 takes
342 T. Looking at two inputs takes 28 T, and 78 T if one of them is not zero, 116 T if both are, and
48 T for each unit beyond one.

SP is a data pointer all along; interrupts are off then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from kernels.asm import Assembly
from kernels.choice import AGAIN
from kernels.emit import Job, bank_of, tensor_symbol
from kernels.encodings import straight_line
from kernels.encodings.straight_line import Fragment
from kernels.ir import Bounds
from kernels.ops.linear import Linear
from kernels.z80.road import Road
from kernels.z80.stack_pointer import borrowed, may_borrow
from kernels.z80.sums8 import END, Bytes

_FIRST = ("a", "c", "b", "e", "d", "l", "h", "ixl", "ixh", "iyl", "iyh")
_SECOND = ("c", "b", "e", "d", "l", "h")
_COUNTERS = len(_FIRST) + len(_SECOND)
_JUMP = 3  # bytes
_END_SIZE = 64  # or less
_PAIRS = (("bc", 1), ("de", 3), ("hl", 5), ("ix", 7), ("iy", 9))  # and the counter of its low half


def count_in_registers(job: Job, layer: Linear, known: Bytes) -> bool:
    """Write the layer, whose sums are `known`, to pages of its output's buffer.

    Uses every register but I, R and AF'. Stack: none. False, with nothing written, where it cannot
    be: without banks, where interrupts are served, or if a block is too large for a bank.
    """
    counting = _Counting(job, layer, known)
    banks = job.target.banks
    if banks is None or not may_borrow(job.target) or counting.size > banks.size:
        return False
    counting.write()
    return True


@dataclass(frozen=True, eq=False, slots=True)
class _Block:
    """Outputs whose counters are in registers at once.

    name: of its code. at: where their sums lie behind the first. starts: of their sums. fragments:
    of each input, for these outputs in the order of their counters.
    """

    name: str
    at: int
    starts: list[int]
    fragments: list[Fragment]


@dataclass(frozen=True, slots=True)
class _Pass:
    """One way through all blocks. inputs: that are counted. name: in front of its labels.

    begins: where sums come from, None if they are what they start at. ends: where they go.
    """

    name: str
    inputs: range
    begins: str | None
    ends: str


@dataclass(frozen=True)
class _Counting:
    job: Job
    layer: Linear
    known: Bytes

    @property
    def size(self) -> int:
        """Bytes that a block takes at most."""
        return self._head(self._blocks[0]).size + sum(self._sizes) + _END_SIZE

    def write(self) -> None:
        listed = self.job.scratch("list", 2 * self._most + 2)
        for block in self._blocks:
            self._write_block(block)
        for one in self._passes:
            if one.begins:
                self.job.code.emit(f"{self.job.label(AGAIN)}:")
            with borrowed(self.job, f"{one.name}sp"):
                self._write_list(one, listed)
                for number, block in enumerate(self._blocks):
                    self._run(one, block, number, listed)
                self.job.code.emit(f"{self._hop(one, len(self._blocks))}:")
        for number, page in enumerate(self.known.blocks):
            end = f"{tensor_symbol(self.layer.output)}+{256 * number + len(page.units)}"
            self.job.code.emit(f"ld a,{END}\nld ({end}),a")

    @property
    def _most(self) -> int:
        known = self.job.ranges[self.layer.input.name]
        assert isinstance(known, Bounds)
        assert known.total
        return known.total.high

    @cached_property
    def _passes(self) -> tuple[_Pass, ...]:
        """Of all inputs, or of those whose sums are kept, and of the others."""
        kept, count = self.job.kept, self.layer.input.count
        output = tensor_symbol(self.layer.output)
        if not kept:
            return (_Pass("", range(count), None, output),)
        size = 256 * (len(self.known.blocks) - 1) + len(self.known.blocks[-1].units) + _COUNTERS
        sums = self.job.scratch("kept", size, kept=True)
        return _Pass("kept_", range(kept), None, sums), _Pass("", range(kept, count), sums, output)

    @cached_property
    def _blocks(self) -> list[_Block]:
        found: list[_Block] = []
        for number, page in enumerate(self.known.blocks):
            for first in range(0, len(page.units), _COUNTERS):
                units = page.units[first : first + _COUNTERS]
                starts: list[int] = page.starts[first : first + _COUNTERS].tolist()
                fragments = straight_line.encode(self.layer.weights[units])
                name = f"counts{len(found)}"
                found.append(_Block(name, 256 * number + first, starts, fragments))
        return found

    @cached_property
    def _sizes(self) -> list[int]:
        """Bytes that the code of each input takes, in the block where it is longest."""
        return [
            max(self._fragment(block.fragments[number], "count").size for block in self._blocks)
            for number in range(self.layer.input.count)
        ]

    def _label(self, block: _Block, name: str) -> str:
        return self.job.label(f"{block.name}_{name}")

    def _hop(self, one: _Pass, number: int) -> str:
        return self.job.label(f"{one.name}hop{number}")

    def _fragment(self, fragment: Fragment, ends: str) -> Assembly:
        """An input's code. ends: the name of the jump at its end."""
        first, second = list[str](), list[str]()
        for output, sign in fragment:
            step = "inc" if sign > 0 else "dec"
            if output < len(_FIRST):
                first.append(f"{step} {_FIRST[output]}")
            else:
                second.append(f"{step} {_SECOND[output - len(_FIRST)]}")
        if second:
            second = ["exx", *second, "exx"]
        out = self.job.assembly()
        out.emit("\n".join([*first, *second, f"ret ; #{ends}"]))
        return out

    def _write_block(self, block: _Block) -> None:
        """All of it, in a bank of its own: start, the jump to the end, inputs, the end."""
        out = self.job.bank(block.name, code=True, first=True)
        ends = self._label(block, "count")
        out.append(self._head(block))
        for number, (fragment, size) in enumerate(zip(block.fragments, self._sizes, strict=True)):
            label = self._label(block, f"i{number}")
            self.job.jumps(ends, label)
            code = self._fragment(fragment, ends)
            out.emit(f"{label}:")
            out.append(code)
            if size > code.size:
                out.emit(f".space {size - code.size}")
        for one in self._passes:
            out.emit(f"{self._label(block, f'{one.name}end')}:")
            out.emit("\n".join(self._store(one, block)))

    def _head(self, block: _Block) -> Assembly:
        """Counters begin, and what the list's last address is of; as long for every block."""
        out, ends = self.job.assembly(), self._label(block, "count")
        for one in self._passes:
            out.emit(f"{self._label(block, f'{one.name}start')}:")
            out.emit("\n".join(self._load(one, block)))
            out.emit(f"ret ; #{ends}")
        for one in self._passes:
            over = self._label(block, f"{one.name}over")
            out.emit(f"{over}:\njp {self._label(block, f'{one.name}end')}")
            self.job.jumps(ends, over)
        return out

    def _load(self, one: _Pass, block: _Block) -> Iterator[str]:
        """Counters get what their sums are so far; what is none's gets anything."""
        starts = block.starts + [0] * (_COUNTERS - len(block.starts))
        second, place = len(_FIRST) - 1, f"{one.begins}+{block.at}"

        def load(pair: str, low: int) -> str:
            number = starts[low] + 256 * starts[low + 1]
            return f"ld {pair},({place}+{low})" if one.begins else f"ld {pair},{number}"

        yield f"ld a,({place})" if one.begins else f"ld a,{starts[0]}"
        yield from (load(pair, low) for pair, low in _PAIRS)
        yield "exx"
        yield from (load(pair, low + second) for pair, low in _PAIRS[:3])
        yield "exx"

    def _store(self, one: _Pass, block: _Block) -> Iterator[str]:
        """Counters to their sums' places, and on to the next block."""
        place, count, second = f"{one.ends}+{block.at}", len(block.starts), len(_FIRST) - 1
        yield f"ld ({place}),a"
        for pair, low in _PAIRS:
            yield from _stored(pair, f"{place}+{low}", count - low)
        yield "exx"
        for pair, low in _PAIRS[:3]:
            yield from _stored(pair, f"{place}+{low + second}", count - low - second)
        yield f"jp {self._hop(one, self._blocks.index(block) + 1)}"

    def _run(self, one: _Pass, block: _Block, number: int, listed: str) -> None:
        banks, symbol = self.job.target.banks, self.job.label(block.name)
        assert banks
        self.job.at_most(self._label(block, "count"), self._most + 1)
        self.job.code.emit(f"""
        {self._hop(one, number)}:
            ld a,{bank_of(symbol)}
            ld ({banks.register.origin:#x}),a           ; the bank shows
            ld sp,{listed}
            jp {self._label(block, f"{one.name}start")}
        """)

    def _write_list(self, one: _Pass, listed: str) -> None:
        """Where SP finds an address for each unit that an input counts, and the end's."""
        head = self._head(self._blocks[0]).size
        over = head - _JUMP * (len(self._passes) - self._passes.index(one))
        places = list(accumulate(self._sizes, initial=head))
        road, first = Road(self.job, f"{one.name}list"), one.inputs.start
        self._add(road, f"ld sp,{tensor_symbol(self.layer.input)}+{first}\nld hl,{listed}")
        for number in one.inputs[::2]:
            self._add(road, self._pair(number, one.inputs.stop, places))
        self._add(road, self._entry(over))
        road.close()

    def _add(self, road: Road, text: str) -> None:
        piece = self.job.assembly()
        piece.emit(text)
        road.add(piece)

    def _pair(self, number: int, stop: int, places: Sequence[int]) -> str:
        """Two inputs, or the last: an address for each unit; they are B and C."""
        over = self.job.label(f"pair{number}_over")
        if number + 1 == stop:
            load = f"ld a,({tensor_symbol(self.layer.input)}+{number})\nor a\njp z,{over}\nld b,a"
            return f"{load}\n{self._units(number, 'b', places)}\n{over}:"
        other = self.job.label(f"pair{number}_other")
        return f"""
            pop bc
            ld a,c
            or b
            jp z,{over}
            inc c
            dec c
            jr z,{other}
            {self._units(number, "c", places)}
        {other}:
            inc b
            dec b
            jr z,{over}
            {self._units(number + 1, "b", places)}
        {over}:
        """

    def _units(self, number: int, register: str, places: Sequence[int]) -> str:
        """An entry for each unit of an input that is not zero."""
        unit = self.job.label(f"unit{number}")
        self.job.at_most(unit, min(self._most, 255))
        return f"{unit}:\n{self._entry(places[number])}\ndec {register}\njr nz,{unit}"

    def _entry(self, place: int) -> str:
        address = f"({self.job.label(self._blocks[0].name)}+{place})"
        return f"ld (hl),{address}&0xff\ninc hl\nld (hl),{address}>>8\ninc hl"


def _stored(pair: str, place: str, left: int) -> Iterator[str]:
    """Two counters to memory, or only the low half, or none."""
    if left >= 2:
        yield f"ld ({place}),{pair}"
    elif left == 1:
        low = pair[1] if pair[0] != "i" else f"{pair}l"
        yield f"ld a,{low}\nld ({place}),a"
