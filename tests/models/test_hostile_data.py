"""Seeded corruptions of every model and data file: refused by one line; nothing of it runs.

Formats with checksums never read as something else. Those without may, where what is read is valid.
"""

from __future__ import annotations

import gzip
import io
import pickle
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_chat import CHARSET, chat_arrays
from synthetic_cifar import batch, binary, images

from models.cifar.data import TEST, Images, read_images
from models.compress import checkpoint
from models.digits import checkpoint as digits
from models.errors import ModelFileError
from models.tinychat.dataset import read_pairs
from models.tinychat.weights import read_weights
from models.zoo import recipes as zoo

CORRUPTIONS = 150
MOST_MEMORY = 32 << 20
LINES = "".join(f"query number {n}|{'YEA' if n % 2 else 'NO'}\n" for n in range(200)).encode()
FORBIDDEN = {
    *("compile", "exec", "pickle.find_class", "os.system", "os.exec", "os.posix_spawn"),
    *("subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "socket.connect", "ctypes.dlopen"),
}
_seen: list[str] | None = None


def _listen(event: str, _: tuple[Any, ...]) -> None:
    if _seen is not None and event in FORBIDDEN:
        _seen.append(event)


sys.addaudithook(_listen)


@contextmanager
def forbidden_events() -> Iterator[list[str]]:
    """What a reader had Python do that no reader may."""
    global _seen  # noqa: PLW0603 - an audit hook stays for good
    _seen = found = []
    try:
        yield found
    finally:
        _seen = None


def corrupted(data: bytes, rng: np.random.Generator) -> bytes:
    """The data with one to four pieces changed, lost, doubled, moved or made up."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        start = int(rng.integers(len(changed) + 1))
        length = int(rng.integers(1, 2 + len(changed) // int(rng.integers(2, 50))))
        piece = changed[start : start + length]
        way = rng.integers(7)
        if way == 0:
            changed = changed[:start]
        elif way == 1:
            del changed[start : start + length]
        elif way == 2:
            changed[start:start] = piece
        elif way == 3:
            changed[start : start + length] = rng.bytes(len(piece))
        elif way == 4:
            changed += piece
        elif way == 5:
            changed[start : start + 1] = rng.bytes(1)
        else:
            changed[start : start + 4] = b"\xff\xff\xff\x7f"
    return bytes(changed)


def read_text(path: Path) -> None:
    pairs = read_pairs(path, CHARSET)
    assert pairs
    for pair in pairs:
        assert pair.query.isascii()
        assert set(pair.reply) <= set(CHARSET[:-1])
        assert len(pair.query) <= 60
        assert 1 <= len(pair.reply) <= 50


def read_cifar(path: Path) -> None:
    found: Images = read_images(path.parent, TEST)
    assert found.pixels.dtype == np.uint8
    assert found.pixels.shape == (len(found.labels), 3072)
    assert found.labels.dtype == np.int64
    assert found.labels.min() >= 0
    assert found.labels.max() <= 9


PIXELS, LABELS = images(0, 3)
FORMATS: dict[str, tuple[str, bytes, Callable[[bytes], bytes], Callable[[Path], None]]] = {
    "gzip": ("chat.txt.gz", gzip.compress(LINES, mtime=0), bytes, read_text),
    "text in gzip": ("chat.txt.gz", LINES, gzip.compress, read_text),
    "pickle of Python 2": ("test_batch", batch(PIXELS, LABELS), bytes, read_cifar),
    "pickle of Python 3": (
        "test_batch",
        pickle.dumps({b"data": PIXELS, b"labels": LABELS, "filenames": ["a.png"]}, 4),
        bytes,
        read_cifar,
    ),
    "pickle without pixels": (
        "test_batch",
        batch(PIXELS, LABELS).replace(PIXELS.tobytes(), b"\0" * 40),
        bytes,
        read_cifar,
    ),
    "binary": ("test_batch.bin", binary(PIXELS, LABELS), bytes, read_cifar),
}
"""File name, sound content, how it is packed after its corruption, and its reader."""


@pytest.mark.parametrize("name", FORMATS)
def test_corruptions_are_refused_or_valid(tmp_path: Path, name: str) -> None:
    file, content, pack, read = FORMATS[name]
    path, rng = tmp_path / file, np.random.default_rng(len(name))
    messages = []
    tracemalloc.start()
    try:
        with forbidden_events() as events:
            for _ in range(CORRUPTIONS):
                path.write_bytes(pack(corrupted(content, rng)))
                try:
                    read(path)
                except ModelFileError as error:
                    messages.append(str(error))
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert not events
    assert len(messages) > CORRUPTIONS // 4
    for message in messages:
        assert str(path) in message
        assert "\n" not in message
        assert len(message) < 600


Content = list[object]
"""All that a reader found, in a form that compares."""


def read_recipe(path: Path) -> Content:
    stored = checkpoint.load(path)
    arrays = [array for layer in stored.layers for array in (layer.levels, layer.bias)]
    scales = [array for layer in stored.layers for array in (layer.multiplier, layer.grid)]
    real = [array for layer in stored.real for array in (layer.weights, layer.bias)]
    about = [stored.seed, stored.recipe, stored.protocol, stored.settings, stored.accuracies]
    return [repr(about), *map(listed, [*arrays, *scales, *real])]


def read_digits(path: Path) -> Content:
    stored = digits.load(path)
    layers = [(q.weights, q.bias, q.multiplier, q.shift, q.scale) for q in stored.layers]
    parts = [part for layer in (*layers, *stored.parameters) for part in layer]
    return [repr((stored.seed, stored.recipe, stored.accuracies)), *map(listed, parts)]


def read_tinychat(path: Path) -> Content:
    stored = read_weights(path)
    return [stored.charset, *(listed(part) for layer in stored.layers for part in layer)]


def read_pairs_of(path: Path) -> Content:
    return list(read_pairs(path, CHARSET))


def listed(part: object) -> object:
    return part.tolist() if isinstance(part, np.ndarray) else part


def tinychat_file() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, **chat_arrays(0))
    return stream.getvalue()


SHIPPED = sorted(zoo.SHIPPED.glob("*.npz"))
FILES: dict[str, tuple[bytes, Callable[[Path], Content]]] = {
    **{
        path.name: (path.read_bytes(), read_digits if path.stem == "digits" else read_recipe)
        for path in SHIPPED
    },
    "model.npz": (tinychat_file(), read_tinychat),
    "training-data.txt.gz": (gzip.compress(LINES, mtime=0), read_pairs_of),
}
REFUSED = 20


def test_there_are_two_hundred() -> None:
    assert len(FILES) * REFUSED >= 200


@pytest.mark.parametrize("name", FILES)
def test_twenty_corruptions_of_each_file_are_refused(tmp_path: Path, name: str) -> None:
    """One that changes nothing of what is read, such as a date in a header, is no corruption."""
    (content, read), path = FILES[name], tmp_path / name
    path.write_bytes(content)
    sound = read(path)
    rng = np.random.default_rng(len(content))
    messages: list[str] = []
    with forbidden_events() as events:
        while len(messages) < REFUSED:
            path.write_bytes(corrupted(content, rng))
            try:
                assert read(path) == sound
            except ModelFileError as error:
                messages.append(str(error))
    for message in messages:
        assert message.startswith(str(path))
        assert "\n" not in message
        assert len(message) < 600
    # Numpy reads headers by ast.literal_eval, which parses by `compile` and executes nothing.
    assert set(events) <= {"compile"}


def test_the_listener_hears() -> None:
    with forbidden_events() as events:
        pickle.loads(b"\x80\x02cbuiltins\nint\n.")
    assert events == ["pickle.find_class"]


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pickle without pixels"])
def test_the_sound_files_are_read(tmp_path: Path, name: str) -> None:
    file, content, pack, read = FORMATS[name]
    (tmp_path / file).write_bytes(pack(content))
    read(tmp_path / file)
