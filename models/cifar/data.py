"""CIFAR-10's files as arrays, and the five classes that the project trains on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.cifar.pickles import read_pickle
from models.errors import ModelFileError
from models.files import check_size, refusing

PIXELS = 3 * 32 * 32
NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
CHOSEN = ("airplane", "automobile", "bird", "cat", "dog")
MAX_BATCH = 10_000
MAX_BYTES = 48 << 20
TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
_PYTHON_FOLDER, _BINARY_FOLDER = "cifar-10-batches-py", "cifar-10-batches-bin"
_RECORD = 1 + PIXELS


@dataclass(frozen=True, eq=False, slots=True)
class Images:
    """Pixels uint8 (n, 3072), 1024 of red, green and blue each, by row; labels int64 (n,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def read_images(folder: Path, batches: tuple[str, ...] = TRAINING) -> Images:
    """The images of those batches, in order; labels in 0..9.

    folder: has the python version's files, or the binary version's (`.bin`), or either's folder as
    published. The python version's pickles are read without running them.

    Raises ModelFileError for a missing, damaged or hostile file.
    """
    parts = [_read_batch(path) for path in _paths(folder, batches)]
    return Images(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def chosen_only(images: Images) -> Images:
    """The images of the five chosen classes, labels 0..4 in the order of `CHOSEN`."""
    places = np.full(len(NAMES), -1)
    for place, name in enumerate(CHOSEN):
        places[NAMES.index(name)] = place
    labels = places[images.labels]
    kept = labels >= 0
    return Images(images.pixels[kept], labels[kept])


def _paths(folder: Path, batches: tuple[str, ...]) -> list[Path]:
    folders = (folder, folder / _PYTHON_FOLDER, folder / _BINARY_FOLDER)
    for place in folders:
        for suffix in ("", ".bin"):
            if (place / f"{batches[0]}{suffix}").is_file():
                return [place / f"{batch}{suffix}" for batch in batches]
    raise ModelFileError(folder, None, f"holds neither {batches[0]} nor {batches[0]}.bin")


def _read_batch(path: Path) -> Images:
    check_size(path, MAX_BYTES)
    with refusing(path, None, "expected a readable file"):
        data = path.read_bytes()
    return _binary(path, data) if path.suffix == ".bin" else _pickled(path, data)


def _binary(path: Path, data: bytes) -> Images:
    count, rest = divmod(len(data), _RECORD)
    if rest or not 1 <= count <= MAX_BATCH:
        raise ModelFileError(
            path, None, f"has {len(data):,} bytes, expected 1 to {MAX_BATCH:,} times {_RECORD:,}"
        )
    records = np.frombuffer(data, np.uint8).reshape(count, _RECORD)
    labels = records[:, 0].astype(np.int64)
    _check_labels(path, labels)
    return Images(records[:, 1:], labels)


def _pickled(path: Path, data: bytes) -> Images:
    with refusing(path, None, "expected a pickle of plain values and uint8 arrays"):
        batch = read_pickle(data)
    return Images(_pixels(path, batch.get(b"data")), _labels(path, batch))


def _pixels(path: Path, pixels: Any) -> NDArray[np.uint8]:
    if not isinstance(pixels, np.ndarray):
        raise ModelFileError(path, "data", "is missing or no array, expected uint8 (n, 3072)")
    if pixels.shape[1:] != (PIXELS,) or not 1 <= len(pixels) <= MAX_BATCH:
        expected = f"expected (n, {PIXELS}), n in [1, {MAX_BATCH:,}]"
        raise ModelFileError(path, "data", f"has shape {pixels.shape}, {expected}")
    return pixels


def _labels(path: Path, batch: dict[bytes, Any]) -> NDArray[np.int64]:
    labels, count = batch.get(b"labels"), len(batch[b"data"])
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        raise ModelFileError(path, "labels", "is missing or no list of integers")
    if len(labels) != count:
        raise ModelFileError(path, "labels", f"has {len(labels):,} labels for {count:,} images")
    if any(not 0 <= label < len(NAMES) for label in labels):
        raise ModelFileError(path, "labels", f"holds a label outside [0, {len(NAMES) - 1}]")
    return np.array(labels, np.int64)


def _check_labels(path: Path, labels: NDArray[np.int64]) -> None:
    if labels.max() >= len(NAMES):
        problem = f"holds a label {labels.max()}, expected at most {len(NAMES) - 1}"
        raise ModelFileError(path, "labels", problem)
