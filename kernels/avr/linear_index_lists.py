"""Linear with index lists on AVR: input-stationary, so inactive inputs cost a test and no more.

Accumulators lie in SRAM, byte k of all of them in page k. An event, a nonzero weight met by a
nonzero input, takes 9 cycles: load the output's number into YL, load, add, branch on carry, store;
8 events of a list take 2 more. An inactive input takes 10 cycles, 13 if it has 16 bits. The carry
path raises the next page's byte. It also ends the list: the sentinel's slot holds 0xff (0 for lists
that subtract), so adding anything but zero carries there, and only there is the end tested for.

Accumulators start at 128, half way up the low byte, to carry less often; the bias takes it back.
Each byte of the input makes a pass of its own over the column, unless it is zero.

Registers: r16.. the input, lowest byte first; r23 temporary; r20, r21, r22 the column's address;
r24, r25, r3 the table of columns' addresses; X inputs, Y accumulators, Z the stream.
"""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.avr.memory import RAMPZ, load, point, point_z
from kernels.avr.outputs import output_symbol, pack_outputs
from kernels.avr.requantize import ACC, finish, output_constants
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import index_lists
from kernels.errors import Unsupported
from kernels.list_blocks import MIDDLE, ListBlock, list_blocks
from kernels.ops.linear import Linear

_UNROLL = 8
_X = 16  # the input's lowest register


@emitter("avr", Linear, index_lists.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer, block after block of at most 254 outputs. Stack: none.

    Clobbers every register but r2, r12 and r13.
    """
    outputs = output_symbol(job)
    for block in list_blocks(job, _Block):
        block.write(outputs)
    pack_outputs(job)


class _Block(ListBlock):
    """Writes one block of outputs."""

    def write(self, outputs: str) -> None:
        self._write_constants()
        self._clear()
        self._scan()
        self._finish(outputs)

    def _write_constants(self) -> None:
        """Near, the table of columns holds addresses; far, 16-bit offsets from the first list."""
        if len(self.columns.data) > 0xFFFF:
            raise Unsupported(
                f"{self.layer.name}: lists of {len(self.columns.data):,} bytes, 65,535 at most; "
                "use dense8"
            )
        base = "" if self.job.far else f"{self.label('lists')} + "
        units = slice(self.first, self.first + self.columns.outputs)
        out = self.job.consts
        out.emit(f"{self.label('starts')}:")
        for start in self.columns.starts.tolist():
            out.emit(f".word {base}{start}")
        out.emit(f"{self.label('lists')}:")
        out.data(".byte", self.columns.data)
        out.emit(f"{self.label('outputs')}:")
        out.data(".byte", output_constants(self.plan, self.bias, units))

    def _clear(self) -> None:
        """Start values, and behind them the sentinels of each page."""
        out = self.job.code
        out.emit("ldi   r17, 0xff                ; makes any addition carry\nclr   r1")
        for page in range(self.plan.acc_bytes):
            out.emit(f"ldi   r16, {0 if page else MIDDLE:#x}")
            out.emit(point("Y", f"{self.pages} + {256 * page}"))
            _fill(out, self.label(f"fill{page}"), self.columns.outputs)
            self.job.at_most(self.label(f"fill{page}"), self.columns.outputs // _UNROLL)
            out.emit("st    Y+, r17\nst    Y+, r1")

    def _scan(self) -> None:
        """Walk the inputs; for each that is not zero, its column once per byte."""
        out, layer = self.job.code, self.layer
        column, skip = self.label("column"), self.label("next")
        end = f"{tensor_symbol(layer.input)} + {layer.input.size}"
        out.emit(point("X", tensor_symbol(layer.input)) + self._point_table())
        out.emit(f"""
                rjmp  {column}
        {skip}:
                adiw  r24, 2
                {"adc   r3, r1" if self.job.far else ""}
                cpi   r26, lo8({end})
                brne  {column}
                cpi   r27, hi8({end})
                brne  {column}
                rjmp  {self.label("scanned")}
        {column}:
        """)
        self.job.at_most(column, layer.input.count)
        passes = self._load_input(skip)
        out.emit(self._load_column())
        for byte in range(passes):
            self._pass(byte)
        out.emit(f"""
                rjmp  {skip}
        {self.label("scanned")}:
        """)

    def _point_table(self) -> str:
        starts = self.label("starts")
        lines = f"""
            ldi   r24, lo8({starts})
            ldi   r25, hi8({starts})
        """
        if self.job.far:
            lines += f"""
            ldi   r22, hh8({starts})
            mov   r3, r22
            """
        return lines

    def _load_input(self, skip: str) -> int:
        """The input in r16 up, as wide as the accumulator where it may be negative.

        Returns how many of its bytes can count.
        """
        out, size, width = self.job.code, self.layer.input.dtype.size, self.plan.acc_bytes
        for byte in range(size):
            out.emit(f"ld    r{_X + byte}, X+")
        out.emit(f"tst   r{_X}" if size == 1 else f"mov   r0, r{_X}\nor    r0, r{_X + 1}")
        out.emit(f"breq  {skip}")
        if self.job.ranges[self.layer.input.name].low >= 0 or size >= width:
            return min(size, width)
        for byte in range(size, width):
            out.emit(f"""
                clr   r{_X + byte}
                sbrc  r{_X + size - 1}, 7
                com   r{_X + byte}
            """)
        return width

    def _load_column(self) -> str:
        """The address of the column's lists in r20, r21 (and r22)."""
        if not self.job.far:
            return """
                movw  r30, r24
                lpm   r20, Z+
                lpm   r21, Z+
            """
        lists = self.label("lists")
        return f"""
                out   {RAMPZ:#x}, r3
                movw  r30, r24
                elpm  r20, Z+
                elpm  r21, Z+
                ldi   r22, lo8({lists})
                add   r20, r22
                ldi   r22, hi8({lists})
                adc   r21, r22
                ldi   r22, hh8({lists})
                adc   r22, r1
        """

    def _pass(self, byte: int) -> None:
        """Add byte number `byte` of the input to that page, by both lists of the column."""
        out, name = self.job.code, self.label(f"pass{byte}")
        out.emit(f"""
                tst   r{_X + byte}
                brne  {name}
                rjmp  {name}_done
        {name}:
                movw  r30, r20
                {f"out   {RAMPZ:#x}, r22" if self.job.far else ""}
                ldi   r29, hi8({self.pages} + {256 * byte})
        """)
        self.job.at_most(name, self.most_active(byte))
        self._list("add", self.columns.plus_end, byte)
        self._list("sub", self.columns.minus_end, byte)
        out.emit(f"{name}_done:")

    def _list(self, operation: str, end: int, byte: int) -> None:
        """Add or subtract the byte at every output of a list."""
        out, label = self.job.code, self.label(f"{operation}{byte}")
        self.job.at_most(label + "_event", self.most_events(operation, byte))
        event = f"""
                {load(self.job, "r28")}            ; output #{label}_event
                ld    r0, Y
                {operation}   r0, r{_X + byte}
                brcs  {label}_carry
                st    Y, r0
        """
        out.emit(f"""
        {label}:
            {event * _UNROLL}
                rjmp  {label}
        {label}_carry:
                cpi   r28, {end}
                breq  {label}_end
                st    Y, r0
        """)
        self._ripple(label, operation, self.plan.acc_bytes - 1 - byte)
        out.emit(f"""
                rjmp  {label}
        {label}_end:
        """)

    def _ripple(self, label: str, operation: str, pages: int) -> None:
        """Carry into the page above, and on while that one carries too; then back to this page."""
        out = self.job.code
        step, settled = ("-1", "brne") if operation == "add" else ("1", "brcc")
        for page in range(1, pages + 1):
            out.emit(f"""
                inc   r29
                ld    r23, Y
                subi  r23, {step}
                st    Y, r23
                {f"{settled}  {label}_settled{page}" if page < pages else ""}
            """)
        for page in range(pages, 0, -1):
            out.emit("dec   r29")
            if page > 1:
                out.emit(f"{label}_settled{page - 1}:")

    def _finish(self, outputs: str) -> None:
        """Requantize the block's accumulators; the output tensor is written in order."""
        out, output = self.job.code, self.layer.output
        target = f"{outputs} + {self.first * output.dtype.size}"
        out.emit(point_z(self.job, self.label("outputs")) + point("X", target))
        out.emit(f"clr   r28\nldi   r24, {self.columns.outputs}")
        fetch = "\n".join(
            f"ldi   r29, hi8({self.pages} + {256 * byte})\nld    r{ACC + byte}, Y"
            for byte in range(self.plan.acc_bytes)
        )
        finish(self.job, out, self.label("out"), self.plan, (f"{fetch}\ninc   r28", "X+"))


def _fill(out: Assembly, label: str, count: int) -> None:
    """Store r16 at Y, `count` times."""
    store = "st    Y+, r16\n"
    if count >= _UNROLL:
        out.emit(f"""
                ldi   r18, {count // _UNROLL}
        {label}:
            {store * _UNROLL}
                dec   r18
                brne  {label}
        """)
    out.emit(store * (count % _UNROLL))
