"""Linear with trits on AVR: input-stationary, five outputs at a time in registers.

The inputs that are not zero are a list, which is walked once for each block of five outputs: the
code of an input in the block selects a handler that adds it to the outputs (`trit_handlers`).
Where inputs have several bytes, and only if any high byte is not zero, their lists go first, and
the accumulators are shifted up by a byte behind each; then come the bias and the low bytes.

In flash, for each block: the biases, if sums start at them; per segment of inputs a code each and
the end's; twice the number of pairs; the pairs.

Registers: as `trit_handlers`, and r17 the output's index, Y where outputs go; T is set if any high
byte is not zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kernels.asm import Assembly
from kernels.avr.active_list import ACTIVE, ActiveList, read_list, segments
from kernels.avr.list_output import ListOutput
from kernels.avr.memory import RAMPZ, load, point, point_z
from kernels.avr.requantize import ACC, is_short, requantize
from kernels.avr.sums import finish_sums
from kernels.avr.trit_handlers import END, FIRST, handlers, places, promise
from kernels.emit import Job, emitter, little_endian
from kernels.encodings import trits
from kernels.encodings.trits import BLOCK, PATTERNS
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization, signed_bytes


@emitter("avr", Linear, trits.NAME, reads=(ACTIVE,), writes=(ACTIVE,))
def emit(job: Job) -> None:
    """Write the layer: its list of inputs, block after block of sums, requantization.

    Uses every register. Stack: a return address, in a plain shift's end none more.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    Trits(job, layer, replace(plan, input_shift=0)).write()


@dataclass(frozen=True)
class Trits:
    """A layer of blocks of five outputs, whose codes and biases are a stream.

    plan: its input_shift is 0, since lists hold inputs that are shifted already.
    """

    job: Job
    layer: Linear
    plan: RequantPlan

    @property
    def width(self) -> int:
        """Bytes of an accumulator."""
        return self.plan.acc_bytes

    @property
    def shifts(self) -> bool:
        """Whether outputs are finished in registers."""
        return is_short(self.plan)

    @cached_property
    def bias_bytes(self) -> int:
        """Bytes of each bias in the stream; 0 where a last pass over all sums adds them."""
        bias = self.layer.folded_bias
        if not self.shifts:
            return 0
        return min(self.width, signed_bytes(int(bias.min()), int(bias.max())))

    @property
    def blocks(self) -> int:
        """How many there are."""
        return -(-len(self.layer.bias) // BLOCK)

    @property
    def accumulators(self) -> range:
        """Their registers."""
        return range(FIRST, FIRST + BLOCK * self.width)

    @cached_property
    def handlers(self) -> str:
        """The name of the code that adds inputs."""
        return handlers(self.job, self.width)

    @property
    def encoded(self) -> Iterator[tuple[trits.Block, list[int]]]:
        """Of each block its codes and the bytes of its biases."""
        bias = np.zeros(BLOCK * self.blocks, np.int64)
        bias[: len(self.layer.bias)] = self.layer.folded_bias
        blocks = trits.row_blocks(self.layer.weights)
        for rows, values in zip(blocks, bias.reshape(-1, BLOCK).tolist(), strict=True):
            found = [byte for value in values for byte in little_endian(value, self.bias_bytes)]
            yield trits.encode(rows), found

    def write(self) -> None:
        """Write all."""
        job, out = self.job, self.job.code
        self._write_stream()
        lists = read_list(job, self.width, self.layer.input_shift)
        self._promise(lists)
        sums = None if self.shifts else job.scratch("sums", BLOCK * self.blocks * self.width)
        finisher = None if sums else _Shifts(job, self.layer, self.plan)
        if finisher:
            finisher.begin()
        else:
            out.emit(point("Y", str(sums)))
        self._begin()
        self._block(lists)
        if finisher:
            finisher.outputs()
        else:
            out.emit("\n".join(f"st    Y+, r{register}" for register in self.accumulators))
        self._until_end()
        if finisher:
            finisher.end()
        else:
            finish_sums(job, self.plan, str(sums))

    def _promise(self, lists: ActiveList) -> None:
        """Each list is walked for every block; an input that meets a pair takes four jumps."""
        job, digits = self.job, range(lists.digits)
        job.at_most(job.label("block"), self.blocks)
        for rows in trits.row_blocks(self.layer.weights):
            pairs = (trits.encode(rows).codes >= len(PATTERNS)).astype(np.int64)
            counts = (1 + 3 * pairs, pairs, np.abs(rows.astype(np.int64)).sum(axis=0))
            jumps, met, added = (sum(sum(lists.most_of(d, c)) for d in digits) for c in counts)
            promise(job, self.handlers, jumps + lists.digits * len(lists.sizes), met, added)

    def _write_stream(self) -> None:
        out = self.job.consts
        out.emit(f"{self.job.label('stream')}:")
        sizes = segments(self.layer.input.count)
        for block, biases in self.encoded:
            if biases:
                out.data(".byte", biases)
            for segment in np.split(block.codes, np.cumsum(sizes)[:-1]):
                out.data(".byte", [*places(segment), END])
            out.data(".byte", [block.pairs.size, *places(block.pairs)])
        out.emit(f"{self.job.label('stream_end')}:")

    def _begin(self) -> None:
        """Before the first block."""
        self.job.code.emit(point_z(self.job, self.job.label("stream")))

    def _block(self, lists: ActiveList) -> None:
        """A block's sums, from Z at its biases to the next block's stream in r22, r23 (r24)."""
        out, label = self.job.code, self.job.label("block")
        codes = sum(lists.sizes) + len(lists.sizes)
        high = lists.digits > 1
        if high:
            self._look_for_high(lists)
            out.emit(f"rjmp  {label}")
            self._high(label, lists, codes)
        out.emit(f"{label}:\nclr   r21")
        self._pointer(18, self.bias_bytes * BLOCK)
        self._pointer(22, self.bias_bytes * BLOCK + codes)
        if high:
            out.emit(f"brtc  .+2\nrjmp  {label}_high")
        self._start()
        if high:
            out.emit(f"{label}_low:")
        self._walk(lists, 0)

    def _look_for_high(self, lists: ActiveList) -> None:
        """Set T if any list of high bytes holds an input."""
        out = self.job.code
        out.emit("clt")
        for digit in range(1, lists.digits):
            for segment, size in enumerate(lists.sizes):
                address = lists.address(digit, segment)
                out.emit(f"lds   r25, {address}\ncpi   r25, {size}\nbreq  .+2\nset")

    def _high(self, label: str, lists: ActiveList, codes: int) -> None:
        """What high bytes add, shifted up, then the biases."""
        out = self.job.code
        out.emit(f"{label}_high:")
        out.emit("\n".join(f"clr   r{register}" for register in self.accumulators))
        for digit in range(lists.digits - 1, 0, -1):
            self._walk(lists, digit)
            self._shift_up()
            if len(lists.sizes) > 1:
                self._add_pointer(18, -(sum(lists.sizes[:-1]) + len(lists.sizes) - 1))
        if self.bias_bytes:
            self._find_biases(codes)
            self._add_biases()
        out.emit(f"set\nrjmp  {label}_low")

    def _find_biases(self, codes: int) -> None:
        """Z to the block's biases; codes: bytes between them and its pairs."""
        self._load_pointer(22)
        self._step_z(-(self.bias_bytes * BLOCK + codes))

    def _shift_up(self) -> None:
        for low in self.accumulators[:: self.width]:
            for byte in range(self.width - 1, 0, -1):
                self.job.code.emit(f"mov   r{low + byte}, r{low + byte - 1}")
            self.job.code.emit(f"clr   r{low}")

    def _walk(self, lists: ActiveList, digit: int) -> None:
        """Add a byte of all inputs."""
        call = "call " if "JMP" in self.job.target.features else "rcall"
        for segment in range(len(lists.sizes)):
            if segment:
                self._add_pointer(18, lists.sizes[segment - 1] + 1)
            self.job.code.emit(point("X", lists.address(digit, segment)))
            self.job.code.emit(f"{call} {self.handlers}_next")

    def _start(self) -> None:
        """Accumulators from the biases at Z, or from zero."""
        out = self.job.code
        if not self.bias_bytes:
            out.emit("\n".join(f"clr   r{register}" for register in self.accumulators))
            return
        if self.bias_bytes < self.width:
            out.emit("ldi   r25, 0x7f")
        for low in self.accumulators[:: self.width]:
            for byte in range(self.bias_bytes):
                out.emit(load(self.job, f"r{low + byte}"))
            self._extend(low)

    def _extend(self, low: int) -> None:
        """Sign-extend a bias to the accumulator's width; r25 is the largest positive byte."""
        behind = low + self.bias_bytes
        if behind < low + self.width:
            self.job.code.emit(f"cp    r25, r{behind - 1}           ; the carry is the sign")
        for register in range(behind, low + self.width):
            self.job.code.emit(f"sbc   r{register}, r{register}")

    def _add_biases(self) -> None:
        out = self.job.code
        for low in self.accumulators[:: self.width]:
            for byte in range(self.width):
                if byte < self.bias_bytes:
                    out.emit(load(self.job, "r25"))
                elif byte == self.bias_bytes:
                    out.emit("bst   r25, 7\nldi   r25, 0\nbrtc  .+2\nldi   r25, 0xff")
                out.emit(f"{'adc' if byte else 'add'}   r{low + byte}, r25")

    # Pointers into flash have two bytes, or three where constants are far.

    def _pointer(self, register: int, offset: int) -> None:
        """Z and an offset, into r18.. or r22.."""
        out = self.job.code
        out.emit(f"movw  r{register}, r30")
        if self.job.far:
            out.emit(f"in    r{register + 2}, {RAMPZ:#x}")
        self._add_pointer(register, offset)

    def _add_pointer(self, register: int, offset: int) -> None:
        size = 3 if self.job.far else 2
        if offset:
            for byte, part in enumerate(little_endian(-offset, size)):
                self.job.code.emit(f"{'sbci' if byte else 'subi'}  r{register + byte}, {part}")

    def _load_pointer(self, register: int) -> None:
        self.job.code.emit(f"movw  r30, r{register}")
        if self.job.far:
            self.job.code.emit(f"out   {RAMPZ:#x}, r{register + 2}")

    def _step_z(self, offset: int) -> None:
        out = self.job.code
        low, high, top = little_endian(-offset, 3)
        out.emit(f"subi  r30, {low}\nsbci  r31, {high}")
        if self.job.far:
            out.emit(f"in    r25, {RAMPZ:#x}\nsbci  r25, {top}\nout   {RAMPZ:#x}, r25")

    def _until_end(self) -> None:
        """Step over the pairs; back to the next block, if there is one."""
        job, out = self.job, self.job.code
        block, end = job.label("block"), job.label("stream_end")
        out.emit("clr   r1")
        self._load_pointer(22)
        out.emit(f"{load(job, 'r25')}              ; bytes of pairs")
        out.emit("add   r30, r25\nadc   r31, r1")
        if job.far:
            out.emit(f"in    r25, {RAMPZ:#x}\nadc   r25, r1\nout   {RAMPZ:#x}, r25")
            out.emit(f"cpi   r25, hh8({end})\nbrne  {block}_more")
        out.emit(f"""
                cpi   r30, lo8({end})
                ldi   r25, hi8({end})
                cpc   r31, r25
                breq  {block}_done
        {block}_more:
                rjmp  {block}
        {block}_done:
        """)


@dataclass(frozen=True)
class _Shifts:
    """Turns a block's accumulators into activations without leaving registers, output by output.

    Where a list is written, what is below zero takes 4 cycles.
    """

    job: Job
    layer: Linear
    plan: RequantPlan

    @cached_property
    def lists(self) -> ListOutput:
        return ListOutput(self.job)

    def begin(self) -> None:
        """Point at where outputs go."""
        job, out = self.job, self.job.code
        if job.writes is not ACTIVE:
            size = BLOCK * -(-len(self.layer.bias) // BLOCK) * self.layer.output.dtype.size
            out.emit(point("Y", job.output_buffer(size)))
            return
        out.emit("clr   r17")
        self.lists.begin()

    def outputs(self) -> None:
        """The outputs of a block."""
        job, out, width = self.job, self.job.code, self.plan.acc_bytes
        put = job.label("put")
        if job.writes is ACTIVE and self.in_place:
            for number in range(BLOCK):
                self._put_in_place(f"{put}{number}", FIRST + number * width)
            return
        for number in range(BLOCK):
            low = FIRST + number * width
            if job.writes is ACTIVE:
                out.emit(f"tst   r{low + width - 1}\nbrmi  {put}_skip{number}")
            out.emit("\n".join(f"mov   r{ACC + byte}, r{low + byte}" for byte in range(width)))
            out.emit(f"rcall {put}")
            if job.writes is ACTIVE:
                out.emit(f"{put}_skip{number}:\ninc   r17")
        out.emit(f"rjmp  {put}_end\n{put}:")
        self._put(out, put)
        out.emit(f"ret\n{put}_end:")

    @property
    def in_place(self) -> bool:
        """Whether accumulators are shifted where they stand, and then are the activations."""
        how, plan = self.plan.how, self.plan
        plain = how.round_bias == 0 and how.shift < 8 and plan.clamp_high is None
        return plain and plan.output_bytes <= plan.acc_bytes and not self.job.far

    def _put_in_place(self, label: str, low: int) -> None:
        """One accumulator in its registers to one activation in the list."""
        out, acc = self.job.code, tuple(range(low, low + self.plan.acc_bytes))
        out.emit(f"tst   r{acc[-1]}\nbrmi  {label}")
        shift = [f"lsr   r{acc[-1]}", *(f"ror   r{register}" for register in reversed(acc[:-1]))]
        out.emit("\n".join(shift * self.plan.how.shift))
        self.lists.put_in_place(out, label, acc, "r17")
        out.emit(f"{label}:\ninc   r17")

    def _put(self, out: Assembly, put: str) -> None:
        """One accumulator in r18.. to one activation."""
        job = self.job
        if job.writes is not ACTIVE:
            value = requantize(job, out, put, self.plan)
            for byte in range(self.plan.output_bytes):
                out.emit(f"st    Y+, r{value + byte}")
            return
        value = requantize(job, out, put, replace(self.plan, clamp_low=None))
        self.lists.put(out, put, value, "r17")

    def end(self) -> None:
        """Close the list."""
        if self.job.writes is ACTIVE:
            self.lists.end()
