"""Small files in CIFAR-10's two published formats, written byte by byte as Python 2 did."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

PIXELS = 3072
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]


def text(value: bytes) -> bytes:
    """Python 2's string, SHORT_BINSTRING."""
    return b"U" + bytes([len(value)]) + value


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def array(pixels: np.ndarray, name: bytes = b"numpy.core.multiarray\n_reconstruct\n") -> bytes:
    """What numpy's `__reduce__` gives: a name, its arguments, then the state."""
    raw = pixels.tobytes()
    start = b"c" + name + b"cnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) * 2 + number(0) + b"tb"
    shape = number(pixels.shape[0]) + number(pixels.shape[1]) + b"\x86"
    data = b"T" + struct.pack("<i", len(raw)) + raw
    return start + b"(" + number(1) + shape + dtype + b"\x89" + data + b"tb"


def batch(pixels: np.ndarray, labels: list[int], data: bytes | None = None) -> bytes:
    """A whole file; `data` in place of the array."""
    items = text(b"batch_label") + text(b"training batch") + text(b"labels")
    items += b"]q\x01(" + b"".join(map(number, labels)) + b"e"
    items += text(b"data") + (array(pixels) if data is None else data)
    return b"\x80\x02}q\x00(" + items + b"u."


def images(seed: int, count: int = 30) -> tuple[np.ndarray, list[int]]:
    """Random pixels, and labels that go round the ten classes."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, PIXELS), dtype=np.uint8)
    return pixels, [(seed + place) % 10 for place in range(count)]


def binary(pixels: np.ndarray, labels: list[int]) -> bytes:
    return b"".join(
        bytes([label]) + row.tobytes() for label, row in zip(labels, pixels, strict=True)
    )


def write_folder(folder: Path, as_binary: bool = False) -> Path:
    """Five training batches of 30 images each."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(BATCHES):
        content = binary(*images(seed)) if as_binary else batch(*images(seed))
        (folder / f"{name}{'.bin' if as_binary else ''}").write_bytes(content)
    return folder
