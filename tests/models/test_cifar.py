"""CIFAR-10's files: both formats, the five classes, and files that must be refused."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic_cifar import array, batch, binary, images, number, text, write_folder

from models import tasks
from models.cifar.data import CHOSEN, NAMES, TEST, Images, chosen_only, read_images
from models.cifar.pickles import UnsafePickle, read_pickle
from models.errors import DataNeeded, ModelFileError


def read_one(folder: Path, content: bytes, suffix: str = "") -> Images:
    (folder / f"test_batch{suffix}").write_bytes(content)
    return read_images(folder, TEST)


@pytest.mark.parametrize("as_binary", [False, True])
@pytest.mark.parametrize("below", ["", "cifar-10-batches-py", "cifar-10-batches-bin"])
def test_both_formats_read_alike(tmp_path: Path, as_binary: bool, below: str) -> None:
    write_folder(tmp_path / below, as_binary)
    found = read_images(tmp_path)
    assert (found.pixels.dtype, found.labels.dtype) == (np.uint8, np.int64)
    assert np.array_equal(found.pixels, np.concatenate([images(seed)[0] for seed in range(5)]))
    assert found.labels.tolist() == [label for seed in range(5) for label in images(seed)[1]]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_python_3_pickles_is_read_too(tmp_path: Path, protocol: int, order: str) -> None:
    pixels, labels = images(3)
    ordered = np.array(pixels, order=order)  # type: ignore[call-overload]
    content = pickle.dumps({"labels": labels, b"data": ordered}, protocol)
    found = read_one(tmp_path, content)
    assert np.array_equal(found.pixels, pixels)
    assert found.labels.tolist() == labels


def test_the_standard_library_reads_the_synthesized_files_alike() -> None:
    pixels, labels = images(1, 3)
    found = pickle.loads(batch(pixels, labels), encoding="bytes")
    assert np.array_equal(found[b"data"], pixels)
    assert found[b"labels"] == labels
    own = read_pickle(batch(pixels, labels))
    assert own.keys() == found.keys()
    assert own[b"batch_label"] == b"training batch"


def test_the_five_classes() -> None:
    pixels = np.arange(10, dtype=np.uint8)[:, None]
    found = chosen_only(Images(pixels, np.arange(10)))
    assert [NAMES[place] for place in found.pixels[:, 0]] == list(CHOSEN)
    assert found.labels.tolist() == [0, 1, 2, 3, 4]


def test_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = tasks.load_task("cifar10-5", write_folder(tmp_path))
    assert (task.classes, len(task.train.labels), len(task.validation.labels)) == (5, 60, 15)
    assert np.bincount(task.validation.labels).tolist() == [3] * 5
    every = {row.tobytes() for row in chosen_only(read_images(tmp_path)).pixels}
    parts = [{row.tobytes() for row in part.inputs} for part in (task.train, task.validation)]
    assert parts[0] | parts[1] == every
    assert not parts[0] & parts[1]
    again = tasks.load_task("cifar10-5", tmp_path)
    assert np.array_equal(task.validation.inputs, again.validation.inputs)
    monkeypatch.delenv("TRUECYCLE_CIFAR10", raising=False)
    with pytest.raises(DataNeeded, match="TRUECYCLE_CIFAR10"):
        tasks.load_task("cifar10-5")


def test_too_few_images_to_split(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(batch(*images(0, 5)))
    with pytest.raises(ModelFileError, match="holds 0 images of a class, too few to split"):
        tasks.load_task("cifar10-5", tmp_path)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"holds neither data_batch_1 nor data_batch_1\.bin"):
        read_images(tmp_path)
    write_folder(tmp_path)
    (tmp_path / "data_batch_4").unlink()
    with pytest.raises(ModelFileError, match="data_batch_4: no such file"):
        read_images(tmp_path)


PLAIN, LABELS = images(0, 2)
FAR = 1 << 40


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a pickle of plain values"),
        (b"\x80\x02N.", "its NoneType stands where a dict belongs"),
        (b"\x80\x02}q\x00.", "data: is missing or no array"),
        (batch(PLAIN, LABELS, text(b"x")), "data: is missing or no array"),
        (
            batch(PLAIN, LABELS, array(PLAIN[:, :9])),
            r"data: has shape \(2, 9\), expected \(n, 3072",
        ),
        (batch(PLAIN[:0], []), r"data: has shape \(0, 3072\)"),
        (batch(PLAIN, [1]), "labels: has 1 labels for 2 images"),
        (batch(PLAIN, [1, 10]), r"labels: holds a label outside \[0, 9\]"),
        (batch(PLAIN, [1, -1]), r"labels: holds a label outside \[0, 9\]"),
        (batch(PLAIN, LABELS).replace(b"labels", b"titles"), "labels: is missing"),
        (batch(PLAIN, LABELS).replace(b"U\x02u1", b"U\x02O8"), "found an array of another type"),
        (batch(PLAIN, LABELS).replace(b"numpy\ndtype", b"numpy\nrecord"), "name 'numpy.record'"),
        (
            batch(PLAIN, LABELS).replace(number(2) + number(3072), number(-2) + number(3072)),
            "shape",
        ),
        (batch(PLAIN, LABELS)[:-1], "pickle exhausted before seeing STOP"),
        (batch(PLAIN, LABELS)[:500], "expected a pickle"),
        (b"\x80\x02cos\nsystem\n" + text(b"true") + b"\x85R.", "found the name 'os.system'"),
        (b"\x80\x02c_codecs\nencode\n" + text(b"a") + text(b"zip") + b"\x86R.", "found a call of"),
        (b"\x80\x02cnumpy\nndarray\n" + number(9) + b"\x85R.", "found a call of numpy.ndarray"),
        (b"\x80\x02}}b.", "found a state for what is no array"),
        (b"\x80\x02i__builtin__\neval\n.", "found the operation INST"),
        (b"\x80\x02\x82\x01.", "found the operation EXT1"),
        (b"\x80\x02P1\n.", "found the operation PERSID"),
        (b"\x80\x02h\x09.", "expected a pickle"),
        (b"\x80\x02b.", "its stack runs empty"),
        (b"\x80\x02t.", "expected a pickle"),
        (b"\x80\x02}" + number(1) + number(2) + b"s.", "its int stands where a bytes belongs"),
    ],
)
def test_bad_pickles(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message) as caught:
        read_one(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path / "test_batch"))
    assert "\n" not in str(caught.value)


class Exploit:
    """Unpickling it calls something."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.reduced = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("call", [os.mkdir, os.makedirs])
def test_nothing_of_a_pickle_runs(
    tmp_path: Path, protocol: int, call: Callable[..., object]
) -> None:
    trap = tmp_path / "trap"
    content = pickle.dumps({b"data": Exploit(call, str(trap)), b"labels": []}, protocol)
    with pytest.raises(ModelFileError, match="found the "):
        read_one(tmp_path, content)
    assert not trap.exists()


@pytest.mark.parametrize("call", [eval, getattr, print, subprocess.Popen, np.frombuffer, np.empty])
def test_no_name_is_looked_up(call: Callable[..., object]) -> None:
    with pytest.raises(UnsafePickle, match="found the name"):
        read_pickle(pickle.dumps({b"data": Exploit(call, "x")}, 4))


def bombs() -> dict[str, bytes]:
    """Little files that make a real unpickler take gigabytes or years."""
    huge_array = array(PLAIN).replace(number(2) + number(3072), number(1 << 30) + number(1 << 30))
    nested = b"".join(b"q\x01h\x01h\x01\x86" for _ in range(200))
    marks = b"(" * 200_000
    return {
        "a memo index": b"\x80\x02}r\xff\xff\xff\xff.",
        "a declared length": b"\x80\x02T\xff\xff\xff\x7fab.",
        "a frame": b"\x80\x04\x95" + struct.pack("<Q", FAR) + b"}.",
        "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", FAR) + b"}.",
        "a bytearray": b"\x80\x05\x96" + struct.pack("<Q", FAR) + b"}.",
        "an array's shape": batch(PLAIN, LABELS, huge_array),
        "a key of nested tuples": b"\x80\x02})" + nested + b"Ns.",
        "a dtype of nested tuples": b"\x80\x02cnumpy\ndtype\n)" + nested + b"\x85R.",
        "a label of nested tuples": batch(PLAIN, LABELS).replace(number(0), b")" + nested, 1),
        "marks": b"\x80\x02" + marks + b"t" * 200_000 + b".",
        "operations": b"\x80\x02" + b"N" * 2_000_000 + b".",
    }


@pytest.mark.parametrize("name", bombs())
def test_bombs_are_harmless(tmp_path: Path, name: str) -> None:
    content = bombs()[name]
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(ModelFileError):
            read_one(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes, expected 1 to 10,000 times 3,073"),
        (bytes(3072), "has 3,072 bytes"),
        (bytes(3073 * 10_001), "has 30,733,073 bytes"),
        (binary(PLAIN, [3, 10]), "labels: holds a label 10, expected at most 9"),
    ],
)
def test_bad_binaries(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        read_one(tmp_path, content, ".bin")


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.cifar.data.MAX_BYTES", 1000)
    with pytest.raises(ModelFileError, match="bytes, expected at most 1,000"):
        read_one(tmp_path, batch(PLAIN, LABELS))
