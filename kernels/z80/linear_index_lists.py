"""Linear with index lists on Z80: input-stationary, so inactive inputs cost a test and no more.

Accumulators lie in RAM, byte k of all of them in page k. An event, a nonzero weight met by a
nonzero input, takes 45 T: load the output's number into L, load, add, jump on carry, store; 8
events of a list take 10 more. An inactive input takes 79 T, 95 if it is an int8, 92 an int16. The
carry path raises the next page's byte. It also ends the list: the sentinel's slot holds 0xff (0 for
lists that subtract), so adding anything but zero carries there, and only there is the end tested.

Accumulators start at 128, half way up the low byte, to carry less often; the bias takes it back.
Each byte of the input makes a pass of its own over the column, unless it is zero.

Registers: HL accumulators, DE list, C the input's byte, B temporary; HL' inputs, DE' the table of
columns' addresses, IX counts inputs. The stack pointer stays a stack pointer.
"""

from __future__ import annotations

from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import index_lists
from kernels.list_blocks import MIDDLE, ListBlock, list_blocks
from kernels.ops.linear import Linear
from kernels.z80.finish import Finish
from kernels.z80.requantize import output_constants

_UNROLL = 8


@emitter("z80", Linear, index_lists.NAME)
def emit(job: Job) -> None:
    """Write the layer, block after block of at most 254 outputs.

    Uses every register but I and R. Stack: four bytes.
    """
    for block in list_blocks(job, _Block):
        block.write()


class _Block(ListBlock):
    """Writes one block of outputs."""

    def write(self) -> None:
        self._write_constants()
        self._clear()
        self._scan()
        self._finish()

    def _write_constants(self) -> None:
        out = self.job.consts
        out.emit(f"{self.label('starts')}:")
        for start in self.columns.starts.tolist():
            out.emit(f".word {self.label('lists')}+{start}")
        out.emit(f"{self.label('lists')}:")
        out.data(".byte", self.columns.data)
        out.emit(f"{self.label('outputs')}:")
        for unit in range(self.first, self.first + self.columns.outputs):
            out.data(".byte", output_constants(self.plan, self.bias, unit))

    def _clear(self) -> None:
        """Start values, and behind them the sentinels of each page."""
        self.job.at_most(self.label("clear"), self.plan.acc_bytes * self.columns.outputs)
        for page in range(self.plan.acc_bytes):
            start = f"{self.pages}+{256 * page}"
            self.job.code.emit(f"""
                ld hl,{start}
                ld (hl),{0 if page else MIDDLE}
                ld de,{start}+1
                ld bc,{self.columns.outputs}
                ldir                        ; the sentinel's slot, too #{self.label("clear")}
                dec de
                ld a,0xff                   ; makes any addition carry
                ld (de),a
                inc de
                xor a
                ld (de),a
            """)

    def _scan(self) -> None:
        """Walk the inputs; for each that is not zero, its column once per byte."""
        out, layer = self.job.code, self.layer
        wide = layer.input.dtype.size == 2
        negative = self.job.ranges[layer.input.name].low < 0
        passes = self.plan.acc_bytes if negative else min(2 if wide else 1, self.plan.acc_bytes)
        self.job.at_most(self.label("column"), layer.input.count)
        self.job.at_most(self.label("active"), self.most_active(0))
        out.emit(f"""
            exx
            ld hl,{tensor_symbol(layer.input)}
            ld de,{self.label("starts")}
            ld ix,{layer.input.count}
        {self.label("column")}:
            ld c,(hl)                   ; x
            inc hl
            {self._load_upper(wide)}
            ld a,c
            {"or b" if wide else "or a"}
            jp nz,{self.label("active")}
            inc de
            inc de
        {self.label("next")}:
            dec ix
            ld a,ixl
            or ixh
            jp nz,{self.label("column")}
            jp {self.label("scanned")}
        {self.label("active")}:
            push bc
            ld a,(de)
            ld c,a
            inc de
            ld a,(de)
            ld b,a
            inc de
            push bc
            exx
            pop de                      ; the column's lists
            pop bc                      ; x
        """)
        for byte in range(passes):
            self._pass(byte, last=byte == passes - 1)
        out.emit(f"""
            exx
            jp {self.label("next")}
        {self.label("scanned")}:
            exx
        """)

    def _load_upper(self, wide: bool) -> str:
        """The input's upper byte in B."""
        if wide:
            return "ld b,(hl)\ninc hl"
        return "ld a,c\nrla\nsbc a,a\nld b,a" if self.layer.input.dtype.signed else ""

    def _pass(self, byte: int, *, last: bool) -> None:
        """Add a byte of the input, C, B or the sign, to that page, by both lists of the column."""
        out = self.job.code
        done = self.label(f"pass{byte}_done")
        load = ["ld a,c", "ld a,b", "ld a,b\nrla\nsbc a,a"][byte]
        self.job.at_most(self.label(f"pass{byte}"), self.most_active(byte))
        out.emit(f"{load}\nld c,a\nor a")
        out.emit(f"jp z,{done}")
        if not last:
            out.emit("push de\npush bc")
        out.emit(f"ld h,({self.pages}+{256 * byte})>>8 ; #{self.label(f'pass{byte}')}")
        self._list(self.label(f"plus{byte}"), "add a,c", self.columns.plus_end, byte)
        self._list(self.label(f"minus{byte}"), "sub c", self.columns.minus_end, byte)
        if not last:
            out.emit("pop bc\npop de")
        out.emit(f"{done}:")

    def _list(self, label: str, operation: str, end: int, byte: int) -> None:
        """Add or subtract C at every output of a list."""
        out = self.job.code
        sign = "add" if operation.startswith("add") else "sub"
        self.job.at_most(f"{label}_event", self.most_events(sign, byte))
        event = f"""
            ld a,(de)                   ; output #{label}_event
            inc de
            ld l,a
            ld a,(hl)
            {operation}
            jp c,{label}_carry
            ld (hl),a
        """
        out.emit(f"""
        {label}:
            {event * _UNROLL}
            jp {label}
        {label}_carry:
            ld b,a
            ld a,l
            cp {end}
            jp z,{label}_end
            ld (hl),b
        """)
        self._ripple(label, "inc" if operation.startswith("add") else "dec", byte)
        out.emit(f"""
            jp {label}
        {label}_end:
        """)

    def _ripple(self, label: str, step: str, byte: int) -> None:
        """Carry into the page above, and on while that one carries too; then back to this page."""
        out = self.job.code
        above = self.plan.acc_bytes - 1 - byte
        for page in range(1, above + 1):
            out.emit("inc h")
            if page == above:
                out.emit(f"{step} (hl)")
            elif step == "inc":
                out.emit(f"inc (hl)\njp nz,{label}_settled{page}")
            else:
                out.emit(f"ld a,(hl)\ndec (hl)\nor a\njp nz,{label}_settled{page}")
        for page in range(above, 0, -1):
            out.emit("dec h")
            if page > 1:
                out.emit(f"{label}_settled{page - 1}:")

    def _finish(self) -> None:
        """Requantize the block's accumulators; the output tensor is written in order."""
        units = range(self.first, self.first + self.columns.outputs)
        end = Finish(self.job, self.layer, self.plan, self.label("finish"), self.pages, units)
        end.write(self.label("outputs"))
