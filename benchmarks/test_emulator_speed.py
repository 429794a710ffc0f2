"""Emulated MHz of our loops, and of the barest loops that the emulators allow.

Both kinds run in turns within one process, and the best of many turns counts: that resists the
noise of a shared machine. Read the ratios; the absolute figures are the machine's.
"""

import time
from collections.abc import Callable, Mapping
from io import StringIO

import z80
from rich.console import Console
from rich.table import Table

from emulators.base import CallResult, MemoryMap, StopReason
from emulators.simavr import SimAvr
from emulators.zilog import Z80
from harness.pytest_plugin import Cycles

TURNS = 25

# Sums of products, and a subroutine for every row: what kernels are made of.
AVR_CODE = bytes.fromhex(
    "48ec"  #     0        ldi  r20, 200
    "a0e0 b2e0"  # 2 row:  ldi  r26, 0x00; ldi r27, 0x02
    "e0e0 f1e0"  # 6       ldi  r30, 0x00; ldi r31, 0x01
    "8aef"  #     a        ldi  r24, 250
    "0d91"  #     c mac:   ld   r16, X+
    "1591"  #     e        lpm  r17, Z+
    "0102"  #     10       muls r16, r17
    "200c 311c"  # 12      add  r2, r0; adc r3, r1
    "17fc 4a94"  # 16      sbrc r1, 7; dec r4
    "8a95 b9f7"  # 1a      dec  r24; brne mac
    "03d0"  #     1e       rcall store
    "4a95 79f7"  # 20      dec  r20; brne row
    "0895"  #     24       ret
    "2f92"  #     26 store: push r2
    "20920003"  # 28       sts  0x300, r2
    "30920103"  # 2c       sts  0x301, r3
    "2f90 0895"  # 30      pop  r2; ret
)
Z80_ORIGIN = 0x8000
Z80_CODE = bytes.fromhex(
    "0ec8"  #     00       ld   c, 200
    "210090"  #   02 row:  ld   hl, 0x9000
    "dd2100a0"  # 05       ld   ix, 0xa000
    "110000"  #   09       ld   de, 0
    "0600"  #     0c       ld   b, 0
    "7e"  #       0e mac:  ld   a, (hl)
    "dd8603"  #   0f       add  a, (ix+3)
    "83 5f 23"  # 12       add  a, e; ld e, a; inc hl
    "10f7"  #     15       djnz mac
    "cd1e80"  #   17       call store
    "0d 20e5"  #  1a       dec  c; jr nz, row
    "c9"  #       1d       ret
    "d5"  #       1e store: push de
    "ed530091"  # 1f       ld   (0x9100), de
    "d1 c9"  #    23       pop  de; ret
)


class BareZ80:
    """The library's own `run()`, with nothing but the end of a call and the count of frames."""

    def __init__(self) -> None:
        self._machine = z80.Z80Machine()
        self._state = self._machine.get_state_view()
        self._ticks = self._state[20:24].cast("I")
        self._machine.set_breakpoint(0)
        self._machine.set_memory_block(Z80_ORIGIN, Z80_CODE)

    def call(self) -> int:
        """Give the T-states."""
        machine, frames = self._machine, 0
        machine.pc, machine.sp = Z80_ORIGIN, 0xFEFE
        self._ticks[0] = 0
        machine.set_memory_block(0xFEFE, b"\0\0")
        while not (events := machine.run()) & 1:
            frames += events >> 3
        return frames * 100_000 + self._ticks[0]


def best_mhz(loops: Mapping[str, Callable[[], int]]) -> tuple[dict[str, float], set[int]]:
    """Run the loops in turns; give each one's best speed, and all counts of cycles seen."""
    best = dict.fromkeys(loops, 0.0)
    counts = set()
    for _ in range(TURNS):
        for name, loop in loops.items():
            start = time.perf_counter()
            cycles = loop()
            best[name] = max(best[name], cycles / (time.perf_counter() - start) / 1e6)
            counts.add(cycles)
    return best, counts


def render(title: str, speeds: Mapping[str, float]) -> str:
    """A table; the first loop is what the others are compared with."""
    table = Table(title=title)
    table.add_column("loop")
    table.add_column("emulated MHz", justify="right")
    table.add_column("ratio", justify="right")
    yardstick = next(iter(speeds.values()))
    for name, speed in speeds.items():
        table.add_row(name, f"{speed:.1f}", f"{speed / yardstick:.3f}")
    out = StringIO()
    Console(file=out, width=80).print(table)
    return out.getvalue()


def checked(result: CallResult) -> int:
    assert result.reason is StopReason.RETURNED
    return result.cycles


def test_avr_speed(cycles: Cycles) -> None:
    avr, free = SimAvr("atmega328p"), SimAvr("atmega328p")
    end = len(AVR_CODE)
    memory = MemoryMap((range(end),), (range(0x100, 0x200),), (range(0x200, 0x302),))
    avr.load([(0, AVR_CODE), (0x100, bytes(0x100))], memory)
    free.load([(0, AVR_CODE)])

    def call(machine: SimAvr, profile: bool = False) -> int:
        result = machine.call(0, limit=10**9, stack=0x8FF, stack_floor=0x800, profile=profile)
        return checked(result)

    speeds, counts = best_mhz(
        {
            "barest loop around avr_run_one": lambda: avr.call_unchecked(0, stack=0x8FF),
            "ours: stops, stack, no memory map": lambda: call(free),
            "ours: stops, stack, guards": lambda: call(avr),
            "ours: stops, stack, guards, profile": lambda: call(avr, profile=True),
        }
    )
    cycles.note(render("atmega328p", speeds))
    mac = 2 + 3 + 2 + 1 + 1 + 2 + 1 + 2  # a skip taken, or a DEC executed, both 2
    row = 5 + 250 * mac - 1 + 3 + (2 + 2 + 2 + 2 + 4) + 1 + 2
    assert counts == {1 + 200 * row - 1 + 4}


def test_z80_speed(cycles: Cycles) -> None:
    cpu = Z80()
    cpu.load([(Z80_ORIGIN, Z80_CODE)])

    def call() -> int:
        return checked(cpu.call(Z80_ORIGIN, limit=10**9, stack=0xFEFF, stack_floor=0xFE00))

    speeds, counts = best_mhz({"bare run()": BareZ80().call, "ours: stops, stack": call})
    cycles.note(render("z80", speeds))
    mac = 7 + 19 + 4 + 4 + 6 + 13
    row = 10 + 14 + 10 + 7 + 256 * mac - 5 + 17 + (11 + 20 + 10 + 10) + 4 + 12
    assert counts == {7 + 200 * row - 5 + 10}
