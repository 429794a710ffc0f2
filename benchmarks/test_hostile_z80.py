"""Random and malicious images on the Z80: each call ends by a named reason, and leaks nothing.

Sizes go from nothing to more than memory, entry points and stacks lie anywhere, and the bytes
favour what is dangerous: prefixes, jumps, block transfers, HALT, stack pointers loaded with data.
"""

import ctypes
import gc
import random
import time
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from emulators.base import EmulatorError, MemoryMap, StopReason
from emulators.zilog import Z80
from harness.pytest_plugin import Cycles

REFUSED = "refused (EmulatorError)"
LIMIT = 150_000
MOST_GROWTH = 5.0  # MB
SIZE = 0x10000

DANGEROUS = [
    *(b"\xdd", b"\xfd", b"\xdd\xcb", b"\xfd\xcb", b"\xed", b"\x76", b"\xfb", b"\xed\x5e"),
    *(b"\xe3", b"\xdd\xe3", b"\xf9", b"\xfd\xf9", b"\x31", b"\xed\x7b", b"\xed\x73", b"\x33"),
    *(b"\xed\xb0", b"\xed\xb8", b"\xed\xb2", b"\xed\xbb", b"\xed\x4f", b"\xed\x5f", b"\xe9"),
    *(b"\xc9", b"\xed\x45", b"\xc7", b"\xff", b"\xcd", b"\xe5", b"\xc5", b"\x18\xfe", b"\x10\xfe"),
]


def image(rng: random.Random) -> tuple[int, bytes]:
    """An address and bytes, which may not fit."""
    size = rng.choice([0, 1, 3, 100, 4096, 30_000, 0xFFF0, 0xFFFF, rng.randrange(SIZE)])
    if rng.random() < 0.1:
        size = rng.choice([SIZE, SIZE + 1])
    room = max(SIZE - size, 0)
    address = rng.choice([0, room, rng.randrange(room + 1), rng.randrange(SIZE)])
    kind = rng.randrange(4)
    if kind == 0:
        data = rng.randbytes(size)
    elif kind == 1:
        data = rng.choice(DANGEROUS) * size
    else:
        few = [rng.choice(DANGEROUS) + rng.randbytes(rng.randrange(3)) for _ in range(20)]
        data = b"".join(rng.choices(few, k=min(size, 500))) * (size // 500 + 1)
    return address, data[:size]


def anywhere(rng: random.Random) -> range:
    start = rng.randrange(SIZE)
    return range(start, rng.randrange(start, SIZE + 1))


def memory_map(rng: random.Random, address: int, size: int) -> MemoryMap | None:
    """None, or a map that may contradict itself."""
    kind = rng.randrange(5)
    if kind < 2:
        return None
    image = range(address, min(address + size, SIZE))
    if kind == 2:
        return MemoryMap((image,), (), (range(image.start), range(image.stop, SIZE)))
    if kind == 3:
        middle = (image.start + image.stop) // 2
        code, constants = range(image.start, middle), range(middle, image.stop)
        return MemoryMap((code,), (constants,), (range(image.start // 2),))
    return MemoryMap((anywhere(rng),), (anywhere(rng),), (anywhere(rng),))


def attack(cpu: Z80, rng: random.Random) -> str:
    """One image, one call; give the reason, or that the request was refused."""
    address, data = image(rng)
    memory = memory_map(rng, address, len(data))
    floor = rng.choice([rng.randrange(SIZE), rng.randint(address, SIZE), 0xFFF0, 0])
    stack = rng.choice([floor + 1, floor + 15, 0xFFFF, min(floor + 255, 0xFFFF), floor])
    options: dict[str, Any] = {"profile": rng.random() < 0.3, "limit": rng.choice([1, 999, LIMIT])}
    if memory and rng.random() < 0.2:
        options["touched"] = True
    entry = rng.choice([address, address, rng.randrange(SIZE)])
    try:
        cpu.load([(address, data)], memory)
        if rng.random() < 0.2:
            options["marks"] = [rng.choice([address, rng.randrange(SIZE)])]
        result = cpu.call(entry, stack=stack, stack_floor=floor, **options)
    except EmulatorError:
        return REFUSED
    assert isinstance(result.reason, StopReason)
    assert 0 <= result.cycles < LIMIT + 4 * SIZE + 100
    if result.profile:
        assert int(result.profile.cycles.sum()) == result.cycles
    return result.reason.value


def resident_mb() -> float:
    """Without what is free, but kept by the allocator."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def render(reasons: Counter[str], growth: float, seconds: float) -> str:
    table = Table(title=f"{reasons.total()} hostile images on the Z80")
    table.add_column("ended by")
    table.add_column("images", justify="right")
    for reason, count in reasons.most_common():
        table.add_row(reason, str(count))
    table.add_row("memory growth", f"{growth:.1f} MB", end_section=True)
    table.add_row("time", f"{seconds:.0f} s")
    out = StringIO()
    Console(file=out, width=80).print(table)
    return out.getvalue()


def test_hostile_images(cycles: Cycles, hostile_images: int) -> None:
    """As many calls that ran; more are refused."""
    rng = random.Random(1)
    machines = [Z80(), Z80(m1_wait=1)]
    for _ in range(hostile_images // 5):
        attack(rng.choice(machines), rng)
    reasons: Counter[str] = Counter()
    before, start = resident_mb(), time.perf_counter()
    while reasons.total() - reasons[REFUSED] < hostile_images:
        if rng.random() < 0.01:
            machines = [Z80(), Z80(m1_wait=1)]
        reasons[attack(rng.choice(machines), rng)] += 1
    seconds, growth = time.perf_counter() - start, resident_mb() - before
    cycles.note(render(reasons, growth, seconds))
    assert growth < MOST_GROWTH
