"""The scan of inputs that lie one after the other: for each that is not zero, its column.

Registers: HL' the next input, BC' from there to the table of columns' addresses, IYL groups left,
A zero while inputs are bytes; the rest belongs to the walk. An inactive input takes 20 T, 33 T as
an int16, and 18 more a group of 10, or 6.
"""

from __future__ import annotations

from kernels.emit import tensor_symbol
from kernels.encodings.threaded_gaps import Column
from kernels.ir import Range, Tensor
from kernels.z80.chains import ENTER
from kernels.z80.columns import Walk, starts, write_columns

_GROUP = {1: 10, 2: 6}


def scan_dense(
    walk: Walk, source: Tensor, known: Range, columns: list[Column], first: int = 0
) -> None:
    """Write the scan of elements of a tensor from `first` on, with `known` bounds, and columns."""
    _Scan(walk, source, known, columns, first).write()


class _Scan:
    def __init__(
        self, walk: Walk, source: Tensor, known: Range, columns: list[Column], first: int
    ) -> None:
        self.walk, self.known, self.columns = walk, known, columns
        self.size = source.dtype.size
        self.inputs = tensor_symbol(source) + (f"+{first * self.size}" if first else "")
        self.backs: list[str] = []  # where stubs go on
        self.out = walk.job.code

    def write(self) -> None:
        walk, out, label = self.walk, self.out, self.walk.label
        self._write_table()
        groups, rest = divmod(len(self.columns), _GROUP[self.size])
        scale = "2*" if self.size == 1 else ""  # the table has two bytes an input
        self.walk.begin()
        out.emit(f"""
            exx
            ld hl,{self.inputs}
            ld bc,0xffff&({label("starts")}-{scale}({self.inputs}))
            xor a
        """)
        if rest:
            self._sites("rest", rest, f"jr {label('groups')}", 1)
        out.emit(f"{label('groups')}:")
        if groups:
            self._groups(groups)
        else:
            out.emit(f"jp {label('scanned')}")
        self._active()
        out.emit(f"{label('scanned')}:\nexx")
        self.walk.promise(self.columns, *self.backs)
        walk.job.jumps(label("resume"), *self.backs)

    def _write_table(self) -> None:
        walk = self.walk
        name, job = walk.name, walk.job
        columns = job.table(f"{name}_columns")
        write_columns(columns, job, self.columns, walk.acc_bytes)
        columns.data(".byte", [0])
        table = job.table(f"{name}_starts")
        for start in starts(self.columns):
            table.emit(f".word {walk.label('columns')}+{start}")

    def _groups(self, groups: int) -> None:
        out, label = self.out, self.walk.label
        count = "dec iyl" if groups < 256 else "dec iy\nld a,iyl\nor iyh\nld a,0"
        out.emit(f"ld iy,{groups}\n{label('group')}:")
        loop = f"{count}\njp nz,{label('group')}\njp {label('scanned')}"
        self.walk.job.at_most(label("group"), groups)
        self._sites("site", _GROUP[self.size], loop, groups)

    def _sites(self, name: str, count: int, onward: str, times: int) -> None:
        """Look at that many inputs, then go on; behind that what each does if it is active.

        times: how often that happens.
        """
        for number in range(count):
            self.walk.job.at_most(self.walk.label(f"{name}{number}_on"), times)
            self._site(f"{name}{number}")
        self.out.emit(onward)
        for number in range(count):
            self._stub(f"{name}{number}")

    def _site(self, name: str) -> None:
        label = self.walk.label
        if self.size == 1:
            self.out.emit(f"cp (hl)\ninc hl\njr c,{label(name)}")
        else:
            self.out.emit(f"ld a,(hl)\ninc hl\nor (hl)\ninc hl\njr nz,{label(name)}")
        self.out.emit(f"{label(name)}_on:")

    def _stub(self, name: str) -> None:
        """Say where to go on, and go to what all active inputs share."""
        label = self.walk.label
        self.backs.append(f"{label(name)}_back")
        self.out.emit(f"""
        {label(name)}:
            ld ix,{label(name)}_back
            jp {label("active")}
        {label(name)}_back:
            exx
            {"xor a" if self.size == 1 else ""}
            jr {label(name)}_on
        """)

    def _active(self) -> None:
        """The input before HL': if its lowest byte is all there is of it, walk at once."""
        out, label, shift = self.out, self.walk.label, self.walk.shift
        out.emit(f"{label('active')}:\nld d,h\nld e,l\ndec hl")
        if self.size == 2:
            out.emit("ld a,(hl)\ndec hl")
            if self.wide:
                out.emit(f"or a\njp nz,{label('wide')}")
        out.emit("ld a,(hl)                   ; x")
        if self.size == 1 and self.known.low < 0:
            out.emit(f"or a\njp m,{label('wide')}")
        if self.walk.repeats:
            out.emit(f"dec a\njp nz,{label('wide')}")
        elif shift and self.wide:
            out.emit(f"cp {256 >> shift}\njp nc,{label('wide')}")
        out.emit("add a,a\n" * shift if shift < 5 else "rrca\n" * (8 - shift))
        self._find_column("ld sp,hl")
        out.emit(ENTER if self.walk.repeats else f"ld c,a\n{ENTER}")
        self.walk.job.at_most(label("active"), self.walk.most(0))
        if self.wide:
            self._wide()

    @property
    def wide(self) -> bool:
        """Whether an input may take more than one walk of its column."""
        return self.walk.added > 1 or self.walk.repeats

    def _find_column(self, use: str) -> None:
        """Its address from the table, at HL' plus BC'; the next input is in HL' again."""
        out = self.out
        if self.size == 1:
            out.emit("add hl,hl")
        out.emit(f"""
            add hl,bc
            ld sp,hl
            pop hl
            {use}
            ex de,hl
            exx
        """)

    def _wide(self) -> None:
        """More than one walk; where to go on afterwards has to be kept."""
        out, label = self.out, self.walk.label
        self.walk.scratch_bytes()
        resume = self.walk.job.scratch(f"{self.walk.name}_resume", 2)
        self.walk.job.at_most(label("wide"), self.walk.most_wide)
        out.emit(f"{label('wide')}:\nld ({resume}),ix")
        if self.walk.repeats:
            out.emit("inc a                       ; x")
        else:
            self._store()
        self._find_column(f"ld ({label('column')}),hl")
        if self.walk.repeats:
            out.emit("ld c,a")
            self.walk.repeat()
        else:
            self.walk.add_bytes()
        out.emit(f"ld ix,({resume})\njp (ix) ; #{label('resume')}")

    def _store(self) -> None:
        """The input at HL' as 16 bits, for `add_bytes`."""
        x = self.walk.label("x")
        upper = "inc hl\nld a,(hl)\ndec hl" if self.size == 2 else "xor a"
        if self.size == 1 and self.known.low < 0:
            upper = "rla\nsbc a,a"
        self.out.emit(f"ld a,(hl)\nld ({x}),a\n{upper}\nld ({x}+1),a")
