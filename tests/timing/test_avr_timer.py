"""AVR: programs that time themselves with Timer 1 agree with the emulator's cycles, to the cycle.

Timer 1 counts every cycle (prescaler 1), so what it counted between two instructions of the
program is what the marks at these say; modulo 65,536, as it has 16 bits.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from avr_table import DEVICES, Device, encode, to_bytes

from emulators.base import StopReason
from emulators.simavr import SimAvr

TCCR1B, TCNT1L, TCNT1H = 0x81, 0x84, 0x85
SUBROUTINE, MAIN = 0, 0x20  # word addresses
SEQUENCES, LOOPS = 20, 10  # of each device
RET, NOP = encode("ret"), encode("nop")
Tried = Callable[[str, str, int, list[str]], None]


def ldi(register: int, value: int) -> int:
    return encode("ldi", d=register - 16, K=value)


def straight(device: Device, dice: random.Random, here: int) -> list[int]:
    """Give a random instruction, or two that belong together, at a word address."""
    ram = device.middle
    bit, register = dice.randrange(8), dice.randrange(24, 32)
    return dice.choice(
        [
            [NOP],
            [encode("mul", d=register, r=24)],
            [encode("fmuls", d=dice.randrange(8), r=0)],
            [encode("adiw", d=dice.randrange(4), K=dice.randrange(64))],
            [encode("push", d=register), encode("pop", d=register)],
            [encode("lds", d=register), ram],
            [encode("sts", d=register), ram],
            [ldi(30, 0), ldi(31, 0), encode("lpm Z+", d=24)],
            [ldi(26, ram & 0xFF), ldi(27, ram >> 8), encode("ld X+", d=24)],
            [ldi(28, ram & 0xFF), ldi(29, ram >> 8), encode("std", d=24, p=1, q=bit)],
            [encode("sbi", A=0x1E, b=bit)],
            [encode("sbrs", d=register, b=bit), encode("lds", d=24), ram],
            [encode("sbrc", d=register, b=bit), encode("adiw", d=0, K=dice.randrange(64))],
            [encode("sbic", A=0x1E, b=bit), NOP],
            [encode("cpse", d=register, r=24), NOP],
            [encode("brbs", k=0, s=bit)],
            [encode("brbc", k=0, s=bit)],
            [encode("rjmp", k=0)],
            [encode("jmp", k=0), here + 2],
            [encode("rcall", k=SUBROUTINE - here - 1 & 0xFFF)],
            [encode("call", k=0), SUBROUTINE],
        ]
    )


def sequence(device: Device, dice: random.Random, here: int) -> list[int]:
    """Give a random sequence of some hundred instructions."""
    words: list[int] = []
    for _ in range(dice.randrange(200)):
        words += straight(device, dice, here + len(words))
    return words


def loop(device: Device, dice: random.Random, here: int) -> list[int]:
    """Give a random body, repeated a random number of times by SBIW and BRNE."""
    words = [ldi(18, dice.randrange(256)), ldi(19, dice.randrange(4))]
    body: list[int] = []
    for _ in range(dice.randrange(1, 8)):
        body += straight(device, dice, here + len(words) + len(body))
    body += [encode("subi", d=2, K=1), encode("sbci", d=3, K=0)]
    return [*words, *body, encode("brbc", k=-len(body) - 1 & 0x7F, s=1)]


Body = Callable[[Device, random.Random, int], list[int]]


def timed(emulator: SimAvr, device: Device, dice: random.Random, body: Body) -> list[str]:
    """Time two bodies, from the start of the timer to a reading and from there to another.

    Gives a line for each interval in which timer and marks disagree.
    """
    words, marks = [ldi(20, 1)], []
    for opcode, following in (("sts", []), ("lds", [encode("lds", d=23), TCNT1H])):
        marks.append(2 * (MAIN + len(words)))
        register, address = (20, TCCR1B) if opcode == "sts" else (22, TCNT1L)
        words += [encode(opcode, d=register), address, *following]
        words += body(device, dice, MAIN + len(words))
    marks.append(2 * (MAIN + len(words)))
    words += [encode("lds", d=16), TCNT1L, encode("lds", d=17), TCNT1H]
    readings = device.ram.start
    for n, register in enumerate((22, 23, 16, 17)):
        words += [encode("sts", d=register), readings + n]
    emulator.load([(2 * SUBROUTINE, to_bytes([NOP, RET])), (2 * MAIN, to_bytes([*words, RET]))])
    result = emulator.call(
        2 * MAIN,
        limit=1_000_000,
        stack=device.stack,
        stack_floor=device.stack_floor,
        marks=marks,
    )
    assert result.reason is StopReason.RETURNED
    start, first, second = (mark.cycle for mark in result.marks)
    at_first, at_second = (int.from_bytes(emulator.read(readings + n, 2), "little") for n in (0, 2))
    intervals = ((at_first, first - start), (at_second - at_first, second - first))
    return [
        f"{len(words)} words: the timer counted {counted}, the emulator {cycles}"
        for counted, cycles in intervals
        if (counted - cycles) % 0x10000
    ]


@pytest.mark.parametrize("name", ["atmega328p", "atmega1284p", "atmega2560"])
def test_timer_1_agrees(name: str, tried: Tried) -> None:
    device, emulator = DEVICES[name], SimAvr(name)
    dice = random.Random(4)
    bodies = [sequence] * SEQUENCES + [loop] * LOOPS
    wrong = [line for body in bodies for line in timed(emulator, device, dice, body)]
    tried("AVR intervals timed by Timer 1", name, 2 * len(bodies), wrong)
