"""Reading and writing model files. What is read is not trusted.

Nothing is unpickled, and nothing is allocated before its declared size was checked. Each problem
is one `ModelFileError` that names the file, the entry and what was expected.
"""

from __future__ import annotations

import gzip
import io
import os
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelFileError

MAX_FILE = 16 << 20
MAX_ENTRY = 4 << 20
MAX_ENTRIES = 64
_ENCRYPTED = 0x1
_SMALLEST = 9
_NO_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What an array must be: dtype (`S` for bytes of any length), shape, range of values.

    shape: the exact one, or several of which one is right.
    """

    dtype: str
    shape: tuple[int, ...] | tuple[tuple[int, ...], ...] = ()
    low: float | None = None
    high: float | None = None

    def problem(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> str | None:
        """What is wrong with an array's declared dtype and shape."""
        right = dtype.kind == "S" if self.dtype == "S" else dtype == np.dtype(self.dtype)
        if not right:
            return f"has dtype {dtype}, expected {'bytes' if self.dtype == 'S' else self.dtype}"
        if shape != self.shape and shape not in self.shape:
            return f"has shape {shape}, expected {self.shape}"
        return None

    def value_problem(self, array: NDArray[Any]) -> str | None:
        """What is wrong with an array's values."""
        if array.dtype.kind == "S" or array.size == 0:
            return None
        if not np.all(np.isfinite(array)):
            return "holds NaN or infinity, expected finite values"
        low, high = array.min(), array.max()
        too_low = self.low is not None and low < self.low
        too_high = self.high is not None and high > self.high
        if too_low or too_high:
            return f"holds values from {low} to {high}, expected [{self.low}, {self.high}]"
        return None


class ArrayFile:
    """An .npz file, opened for checked reading; a context manager.

    Raises ModelFileError where it is no zip archive, is too large, or has entries that are too
    large, duplicate, encrypted or packed by a method other than store and deflate.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_size(path, MAX_FILE)
        with refusing(path, None, "expected an .npz archive"):
            self._zip = zipfile.ZipFile(path)
        try:
            self._members = self._checked_members()
        except ModelFileError:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays, in the file's order."""
        return tuple(self._members)

    def read(self, name: str, spec: ArraySpec) -> NDArray[Any]:
        """The array of that name, checked against `spec`; native byte order, read-only."""
        if name not in self._members:
            raise ModelFileError(self.path, name, "is missing")
        with refusing(self.path, name, "expected an undamaged entry"):
            data = self._unpack(self._members[name])
        with refusing(self.path, name, "expected a plain .npy array"):
            shape, dtype, offset = _npy_header(data)
        problem = "holds pickled objects" if dtype.hasobject else spec.problem(dtype, shape)
        if problem is None and len(data) - offset != spec_size(shape, dtype):
            problem = f"holds {len(data) - offset} bytes, expected {spec_size(shape, dtype)}"
        if problem is None:
            with refusing(self.path, name, "expected a plain .npy array"):
                array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
            problem = spec.value_problem(array)
        if problem is not None:
            raise ModelFileError(self.path, name, problem)
        array.setflags(write=False)
        return array

    def _unpack(self, info: zipfile.ZipInfo) -> bytes:
        with self._zip.open(info) as stream:
            # Without a length, zipfile would first unpack all there is, whatever was declared.
            return stream.read(info.file_size + 1)

    def _checked_members(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if len(infos) > MAX_ENTRIES:
            raise ModelFileError(
                self.path, None, f"has {len(infos)} entries, expected at most {MAX_ENTRIES}"
            )
        members: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            name = info.filename.removesuffix(".npy")
            problem = _member_problem(info)
            if name in members:
                problem = "occurs twice"
            if problem:
                raise ModelFileError(self.path, repr(info.filename), problem)
            members[name] = info
        return members


def read_arrays(path: Path, specs: Mapping[str, ArraySpec]) -> dict[str, NDArray[Any]]:
    """Exactly the arrays of `specs`, each checked; ModelFileError otherwise."""
    with ArrayFile(path) as file:
        expect_only(file, specs)
        return {name: file.read(name, spec) for name, spec in specs.items()}


def expect_only(file: ArrayFile, names: Collection[str]) -> None:
    """ModelFileError where a file has an array that is none of `names`."""
    strange = [name for name in file.names if name not in names]
    if strange:
        raise ModelFileError(
            file.path, repr(strange[0]), f"is unknown, expected only {', '.join(names)}"
        )


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, deflate: bool = False) -> None:
    """Write an .npz; the same arrays give the same bytes. An existing file is replaced at once.

    deflate: pack the arrays; the bytes then depend on zlib's version, too.
    """
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for name, array in arrays.items():
                # An entry made from bytes, with a fixed date: its header depends on nothing else,
                # not even on Python's version, as that of np.savez does.
                info = zipfile.ZipInfo(f"{name}.npy", _NO_DATE)
                archive.writestr(info, _npy(array), method, _SMALLEST if deflate else None)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def read_gzip_text(path: Path, limit: int = MAX_ENTRY) -> str:
    """A gzip file's UTF-8 text of at most `limit` bytes; ModelFileError otherwise."""
    check_size(path, MAX_FILE)
    with refusing(path, None, "expected undamaged gzip"), gzip.open(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ModelFileError(path, None, f"unpacks to more than {limit:,} bytes")
    with refusing(path, None, "expected UTF-8 text"):
        return data.decode("utf-8")


def spec_size(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of an array, in Python's unbounded integers."""
    size = dtype.itemsize
    for length in shape:
        size *= length
    return size


def check_size(path: Path, limit: int) -> None:
    """ModelFileError where a file does not exist or has more than `limit` bytes."""
    if not path.is_file():
        raise ModelFileError(path, None, "no such file")
    size = path.stat().st_size
    if size > limit:
        raise ModelFileError(path, None, f"has {size:,} bytes, expected at most {limit:,}")


def _member_problem(info: zipfile.ZipInfo) -> str | None:
    if not info.filename.endswith(".npy"):
        return "is no .npy entry"
    if info.file_size > MAX_ENTRY:
        return f"unpacks to {info.file_size:,} bytes, expected at most {MAX_ENTRY:,}"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "is packed by an unknown method, expected store or deflate"
    return None


def _npy_header(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, dtype and length of an .npy header; nothing is allocated by it."""
    stream = io.BytesIO(data)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy repairs odd headers with a warning; refuse them
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = readers[version](stream)
    return shape, dtype, stream.tell()


@contextmanager
def refusing(path: Path, entry: str | None, expected: str) -> Iterator[None]:
    """Whatever a parser raises over hostile bytes becomes one ModelFileError."""
    try:
        yield
    except Exception as error:
        cause = str(error) or type(error).__name__
        raise ModelFileError(path, entry, f"{expected} ({cause})") from error
