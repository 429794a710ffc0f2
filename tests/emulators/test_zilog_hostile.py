"""Images made to hang or confuse the machine: each call ends, the same way at any speed."""

import random
from itertools import product
from typing import Any

import numpy as np
import pytest

from emulators.base import CallResult, EmulatorError, MemoryMap, StopReason
from emulators.z80_records import READ, WRITTEN
from emulators.zilog import Z80

STACK: dict[str, Any] = {"limit": 120_000, "stack": 0xFFFF, "stack_floor": 0xFFE0}
MOST = range(0xFFE0)  # all but the stack
TRICKS = [
    b"\xdd",
    b"\xfd",
    b"\xed",
    b"\xdd\xcb",
    b"\xe3",
    b"\xf9",
    b"\x31",
    b"\xed\xb0",
    b"\xed\xb8",
]
TRICKS += [b"\x76", b"\xfb", b"\xc7", b"\xc9", b"\xed\x7b", b"\xed\x4f", b"\xcd", b"\xe5", b"\x18"]


@pytest.fixture(scope="module")
def cpus() -> list[Z80]:
    return [Z80(), Z80(m1_wait=1)]


def essence(result: CallResult) -> tuple[Any, ...]:
    return result.reason, result.pc, result.cycles, result.stack_peak, result.address, result.marks


def tricky(rng: random.Random) -> bytes:
    pieces = [rng.choice(TRICKS) + rng.randbytes(rng.randrange(4)) for _ in range(30)]
    return b"".join(rng.choices(pieces, k=3000))[:4000]


@pytest.mark.parametrize("seed", range(40))
def test_all_speeds_agree_on_tricky_images(cpus: list[Z80], seed: int) -> None:
    """Code as data aside, which only traces see: here all of the image is constants as well."""
    rng = random.Random(seed)
    data = tricky(rng)
    start = rng.choice([0, 0x8000, 0xFFE0 - len(data)])
    image = range(start, start + len(data))
    around = (range(image.start), range(image.stop, 0xFFE0))
    maps = [None, MemoryMap((image,), (image,), around)]
    for cpu, memory in product(cpus, maps):
        outcomes = []
        for profile in (False, True):
            cpu.load([(start, data)], memory)
            result = cpu.call(start, marks=[start], profile=profile, **STACK)
            outcomes.append((*essence(result), cpu.read(0, 0x10000)))
        assert outcomes[0] == outcomes[1]
        assert result.profile is not None
        assert int(result.profile.cycles.sum()) == result.cycles


@pytest.mark.parametrize("prefix", [b"\xdd", b"\xfd", b"\xdd\xfd"])
@pytest.mark.parametrize("profile", [False, True])
def test_endless_prefixes(cpus: list[Z80], prefix: bytes, profile: bool) -> None:
    """They never make an instruction, so none counts."""
    for cpu, memory in product(cpus, [None, MemoryMap((MOST,), (), ())]):
        cpu.load([(0, (prefix * 0x10000)[: len(MOST)])], memory)
        cpu.write(0xFFE0, prefix[:1] * 0x1E)
        result = cpu.call(0, profile=profile, **STACK)
        assert (result.reason, result.pc, result.cycles) == (StopReason.OUTSIDE_CODE, 0, 0)


@pytest.mark.parametrize("profile", [False, True])
def test_long_prefixes_count_when_they_end(cpus: list[Z80], profile: bool) -> None:
    """The limit lies within the instruction, which took 3 frames: the next one does not begin."""
    for cpu, t in zip(cpus, (4, 5), strict=True):
        cpu.load([(0, b"\xdd" * 0xF000 + b"\x00\x00\xc9")])
        result = cpu.call(0, profile=profile, **STACK)
        assert (result.reason, result.pc) == (StopReason.CYCLE_LIMIT, 0xF001)
        assert result.cycles == t * 0xF001
        result = cpu.call(0, profile=profile, **{**STACK, "limit": 10**6})
        assert (result.reason, result.cycles) == (StopReason.RETURNED, t * 0xF002 + 6 + t)


@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0x10000, 0x10001])
def test_sizes(cpus: list[Z80], size: int) -> None:
    for cpu in cpus:
        if size > 0xFFFF:
            with pytest.raises(EmulatorError):
                cpu.load([(0, bytes(size))])
            continue
        cpu.load([(0, bytes(size))])
        result = cpu.call(0, **STACK)
        late = 4 * size > STACK["limit"]
        assert result.reason is (StopReason.CYCLE_LIMIT if late else StopReason.OUTSIDE_CODE)


def test_execution_wraps_around_the_end_of_memory(cpus: list[Z80]) -> None:
    for memory in (None, MemoryMap((range(0xFFFF, 0x10000), range(2)), (), ())):
        cpus[0].load([(0xFFFF, b"\x3e"), (0, b"\x05\xc9")], memory)
        result = cpus[0].call(0xFFFF, limit=100, stack=0x8FFF, stack_floor=0x8F00)
        assert (result.reason, result.cycles) == (StopReason.RETURNED, 17)


def test_stack_of_all_memory_and_at_its_bottom(cpus: list[Z80]) -> None:
    cpus[0].load([(0x8000, b"\xe5\xe1\xc9")])
    whole = cpus[0].call(0x8000, limit=100, stack=0xFFFF, stack_floor=0)
    assert (whole.reason, whole.stack_peak) == (StopReason.RETURNED, 4)
    # Popped empty and filled again: SP goes through 0.
    cpus[0].load([(0x8000, b"\xe1\xe5\xc9")])
    again = cpus[0].call(0x8000, limit=100, stack=0xFFFF, stack_floor=0)
    assert (again.reason, again.stack_peak) == (StopReason.RETURNED, 2)
    cpus[0].load([(0x8000, b"\xe5\xe1\xc9")])
    bottom = cpus[0].call(0x8000, limit=100, stack=1, stack_floor=0)
    assert (bottom.reason, bottom.address) == (StopReason.STACK_OVERFLOW, 0xFFFF)


def test_touched_is_what_was_read_and_written_as_data() -> None:
    cpu = Z80()
    # ld hl, 0x9000; inc (hl); ld a, (0x8100); ld (0x9002), a; push hl; pop hl; ret
    code = bytes.fromhex("210090 34 3a0081 320290 e5 e1 c9")
    cpu.load([(0x8000, code)], MemoryMap((range(0x8000, 0x8010),), (range(0x8100, 0x8101),), ()))
    run: dict[str, Any] = {"limit": 1000, "stack": 0x90FF, "stack_floor": 0x9000}
    whole = cpu.call(0x8000, touched=True, **run)
    assert whole.reason is StopReason.RETURNED
    expected = np.zeros(0x10000, np.uint8)
    expected[[0x9000, 0x90FC, 0x90FD]] = READ | WRITTEN
    expected[[0x8100, 0x90FE, 0x90FF]] = READ
    expected[0x9002] = WRITTEN
    assert whole.touched is not None
    assert whole.touched.tolist() == expected.tolist()
    cut = cpu.call(0x8000, touched=True, **{**run, "limit": 22})
    assert cut.cycles == 34
    assert cut.touched is not None
    assert np.flatnonzero(cut.touched).tolist() == [0x8100, 0x9000]
    cpu.load([(0x8000, code)])
    with pytest.raises(EmulatorError, match="map"):
        cpu.call(0x8000, touched=True, **run)
