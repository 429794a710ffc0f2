"""Damaged and hostile files: each is refused by one line, and nothing of it runs."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_chat import CHARSET, ChatFolder, chat_arrays

from models import files
from models.errors import ModelFileError
from models.files import ArraySpec, read_arrays, read_gzip_text, write_arrays
from models.tinychat import load_tinychat

SPECS = {"a": ArraySpec("int8", (3,), -2, 1), "b": ArraySpec("float32", (2, 2))}
GOOD: dict[str, Any] = {"a": np.array([-2, 0, 1], np.int8), "b": np.ones((2, 2), np.float32)}


class Exploit:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def refused(path: Path, specs: dict[str, ArraySpec] | None = None) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ModelFileError) as caught:
        read_arrays(path, specs or SPECS)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}: ")


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(text: str) -> bytes:
    raw = text.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw


def write_zip(path: Path, entries: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_good_arrays_come_back_read_only(tmp_path: Path) -> None:
    path = tmp_path / "good.npz"
    write_arrays(path, GOOD)
    found = read_arrays(path, SPECS)
    for name, array in GOOD.items():
        assert np.array_equal(found[name], array)
        assert not found[name].flags.writeable
    assert [entry.name for entry in tmp_path.iterdir()] == ["good.npz"]


def test_no_time_is_written(tmp_path: Path) -> None:
    path = tmp_path / "good.npz"
    write_arrays(path, GOOD)
    with zipfile.ZipFile(path) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": None}, "a: is missing"),
        ({"c": np.zeros(1)}, "'c': is unknown, expected only a, b"),
        ({"a": np.zeros(4, np.int8)}, "a: has shape (4,), expected (3,)"),
        ({"a": np.zeros((3, 1), np.int8)}, "a: has shape (3, 1), expected (3,)"),
        ({"a": np.zeros(3, np.int16)}, "a: has dtype int16, expected int8"),
        ({"b": np.ones((2, 2), ">f4")}, "b: has dtype >f4, expected float32"),
        ({"a": np.array([0, 0, 2], np.int8)}, "a: holds values from 0 to 2, expected [-2, 1]"),
        ({"a": np.array([0, 0, -3], np.int8)}, "a: holds values from -3 to 0, expected [-2, 1]"),
        ({"b": np.full((2, 2), np.nan, np.float32)}, "b: holds NaN or infinity, expected finite"),
        ({"b": np.full((2, 2), np.inf, np.float32)}, "b: holds NaN or infinity, expected finite"),
    ],
)
def test_wrong_arrays(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    arrays = {name: value for name, value in (GOOD | changes).items() if value is not None}
    path = tmp_path / "bad.npz"
    write_arrays(path, arrays)
    assert refused(path).startswith(message)


def test_a_pickled_array_is_refused_and_not_run(tmp_path: Path) -> None:
    path, made = tmp_path / "bad.npz", tmp_path / "made"
    payload = np.array([Exploit(made)] * 3, object)
    np.savez(path, allow_pickle=True, a=payload, b=GOOD["b"])
    assert refused(path) == "a: holds pickled objects"
    assert not made.exists()


def test_the_payload_would_have_run(tmp_path: Path) -> None:
    path, made = tmp_path / "bad.npz", tmp_path / "made"
    np.savez(path, allow_pickle=True, a=np.array([Exploit(made)], object))
    with np.load(path, allow_pickle=True) as archive:
        assert archive["a"].shape == (1,)
    assert made.is_dir()


def test_a_pickle_in_the_archive_s_place_is_refused(tmp_path: Path) -> None:
    path, made = tmp_path / "bad.npz", tmp_path / "made"
    path.write_bytes(b"cos\nmkdir\n(S'" + str(made).encode() + b"'\ntR.")
    assert refused(path).startswith("expected an .npz archive")
    assert not made.exists()


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    bomb = npy(np.zeros(64 << 20, np.int8))
    path = write_zip(tmp_path / "bad.npz", {"a.npy": bomb, "b.npy": npy(GOOD["b"])})
    assert path.stat().st_size < 1 << 20
    del bomb
    tracemalloc.start()
    try:
        assert "unpacks to 67,108,992 bytes, expected at most" in refused(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    data = npy(np.zeros(8 << 20, np.int8))
    path = write_zip(tmp_path / "bad.npz", {"a.npy": data, "b.npy": npy(GOOD["b"])})
    true, told = struct.pack("<I", len(data)), struct.pack("<I", 131)
    path.write_bytes(path.read_bytes().replace(true, told))
    tracemalloc.start()
    try:
        assert refused(path).startswith("a: expected an undamaged entry")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (header("{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }\n"), "a: holds 0 bytes"),
        (
            header("{'descr': '|i1', 'fortran_order': False, 'shape': (1099511627776,), }\n"),
            "a: has shape (1099511627776,)",
        ),
        (header("{'descr': '|i1'}\n"), "a: expected a plain .npy array"),
        (header("(" * 300 + "\n"), "a: expected a plain .npy array"),
        (header("__import__('os')\n"), "a: expected a plain .npy array"),
        (header("{'descr': '|i1', 'fortran_order': False, 'shape': (3L,), }\n"), "a: expected a"),
        (b"\x93NUMPY\x09\x00", "a: expected a plain .npy array"),
        (b"", "a: expected a plain .npy array"),
        (npy(GOOD["a"]) + b"more", "a: holds 7 bytes, expected 3"),
    ],
)
def test_bad_headers(tmp_path: Path, entry: bytes, message: str) -> None:
    path = write_zip(tmp_path / "bad.npz", {"a.npy": entry, "b.npy": npy(GOOD["b"])})
    assert refused(path).startswith(message)


def test_odd_archives(tmp_path: Path) -> None:
    good = npy(GOOD["a"])
    path = tmp_path / "bad.npz"
    assert "is no .npy entry" in refused(write_zip(path, {"a.npy": good, "run\nme.py": b""}))
    assert "unknown method" in refused(write_zip(path, {"a.npy": good}, zipfile.ZIP_LZMA))
    many = {f"x{i}.npy": b"" for i in range(100)}
    assert refused(write_zip(path, many)) == "has 100 entries, expected at most 64"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", good)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", good)
    assert refused(path) == "'a.npy': occurs twice"


def test_odd_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(tmp_path / "none.npz") == "no such file"
    assert refused(tmp_path) == "no such file"
    path = tmp_path / "good.npz"
    write_arrays(path, GOOD)
    monkeypatch.setattr(files, "MAX_FILE", 100)
    assert "bytes, expected at most 100" in refused(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole, path = tmp_path / "good.npz", tmp_path / "bad.npz"
    write_arrays(whole, GOOD)
    data = whole.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        refused(path)


def test_no_flipped_byte_gives_another_error(tmp_path: Path) -> None:
    whole, path = tmp_path / "good.npz", tmp_path / "bad.npz"
    write_arrays(whole, GOOD)
    data = whole.read_bytes()
    rng = np.random.default_rng(0)
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= int(rng.integers(1, 256))
        path.write_bytes(broken)
        with suppress(ModelFileError):
            read_arrays(path, SPECS)


def test_bad_gzip(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    whole = gzip.compress(b"hello world\n" * 50)
    cases = {
        whole[:-20]: "expected undamaged gzip",
        b"hello": "expected undamaged gzip",
        whole[:12] + b"\xff\xff" + whole[14:]: "expected undamaged gzip",
        gzip.compress(b"\xff\xfe"): "expected UTF-8 text",
    }
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(ModelFileError, match=message):
            read_gzip_text(path, limit=1000)


def test_a_gzip_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(bytes(32 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="unpacks to more than 1,000 bytes"):
            read_gzip_text(path, limit=1000)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_gzip_text_may_have_exactly_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"good"))
    assert read_gzip_text(path, limit=4) == "good"


ARCHITECTURE = '{"input_size": %s, "hidden_sizes": %s, "num_classes": %s}'


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fc2_bias": None}, "fc2_bias: is missing"),
        ({"fc9_bias": np.zeros(3, np.int16)}, "'fc9_bias': is unknown"),
        ({"fc1_weight": np.full((24, 256), 2, np.int8)}, "fc1_weight: holds values from 2 to 2"),
        ({"fc1_weight": np.zeros((256, 24), np.int8)}, r"fc1_weight: has shape \(256, 24\)"),
        ({"fc1_weight": np.zeros((24, 256))}, "fc1_weight: has dtype float64, expected int8"),
        ({"_charset": None}, "_charset: is missing"),
        ({"_charset": np.array(b"AAB")}, "_charset: expected 2 or more different ASCII"),
        ({"_charset": np.array("AB")}, "_charset: has dtype <U2, expected bytes"),
        ({"_charset": np.array(b"ABC")}, "_architecture: goes from 256 to 19, expected from 256"),
        ({"_architecture": np.array(b"{")}, "_architecture: expected JSON"),
        ({"_architecture": np.array(b"[" * 9999)}, "_architecture: expected JSON"),
        ({"_architecture": np.array(b"[1]")}, "_architecture: expected JSON"),
        (
            {"_architecture": np.array((ARCHITECTURE % (256, [24, 10**9], 19)).encode())},
            r"_architecture: expected sizes in \[1, 1024\]",
        ),
        (
            {"_architecture": np.array((ARCHITECTURE % (256, "[true]", 19)).encode())},
            r"_architecture: expected sizes in \[1, 1024\]",
        ),
        (
            {"_architecture": np.array((ARCHITECTURE % (256, [4] * 20, 19)).encode())},
            "_architecture: expected at most 8 layers",
        ),
        (
            {"_architecture": np.array((ARCHITECTURE % (128, [24, 16], 19)).encode())},
            "_architecture: goes from 128 to 19, expected from 256 to 19",
        ),
    ],
)
def test_bad_networks(chat_folder: ChatFolder, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=f"model.npz: {message}"):
        load_tinychat(chat_folder(0, changes))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("# nothing\n", "holds no pair"),
        ("hello|HI\nhello|$5\n", r"line 2: reply has '\$', unknown"),
        ("hello|H\0I\n", r"line 1: reply has '\\x00', unknown"),
        ("héllo|HI\n", "line 1: query is not ASCII"),
        ("hello|" + "A" * 50 + "\n", "has more than 40 reply characters"),
    ],
)
def test_bad_chat_data(
    chat_folder: ChatFolder, monkeypatch: pytest.MonkeyPatch, lines: str, message: str
) -> None:
    monkeypatch.setattr("models.tinychat.dataset.MAX_CHARACTERS", 40)
    with pytest.raises(ModelFileError, match=f"training-data.txt.gz: {message}"):
        load_tinychat(chat_folder(lines=lines))


def test_a_charset_that_ends_in_nul_is_kept_whole(chat_folder: ChatFolder) -> None:
    assert chat_arrays(0)["_charset"].item() != CHARSET.encode()  # numpy's view drops the NUL
    assert load_tinychat(chat_folder()).weights.charset == CHARSET
