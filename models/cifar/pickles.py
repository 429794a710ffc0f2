"""Reading a pickle of plain values and numpy arrays without running it.

CIFAR-10's python version is pickled, and a pickle is a program. Here its opcodes, as the standard
library's `pickletools` lists them, are followed by a machine that knows only those which build
plain values (protocols 2 to 4). The names that numpy's arrays need become records of this module:
nothing is imported, called or allocated at the file's wish, and all that is held in memory stands
in the file.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_OPCODES = 500_000
T = TypeVar("T")
_LONGEST_NAME = 80
_LATIN = {"latin1", "latin-1"}


class UnsafePickle(ValueError):
    """The pickle asks for something else than plain values and arrays of bytes."""


@dataclass(frozen=True, slots=True)
class _Name:
    text: str


@dataclass(slots=True)
class _DType:
    code: str


@dataclass(slots=True)
class _Array:
    """An array that waits for its state."""

    value: NDArray[np.uint8] | None = None


_MARK = object()
_RECONSTRUCT = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
_NAMES = {*_RECONSTRUCT, "numpy.ndarray", "numpy.dtype", "_codecs.encode"}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1"),
    *("BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_OLD_STRINGS = {"BINSTRING", "SHORT_BINSTRING"}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "MARK": _MARK}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(data: bytes) -> dict[bytes, Any]:
    """The pickled dictionary of plain values, lists of them, and uint8 arrays.

    Python 2's strings, and text as a dictionary's key, become bytes. Nothing looks into nested
    values, whose size may be exponential in the file's.

    Raises UnsafePickle for any other name or operation, and whatever a damaged pickle leads to
    (ValueError, IndexError and the like).
    """
    machine = _Machine()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Python warns of odd escapes in text; refuse them
        for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if number >= MAX_OPCODES:
                raise UnsafePickle(f"found more than {MAX_OPCODES:,} operations")
            machine.follow(opcode.name, argument)
    (value,) = machine.stack
    found = _expect(value, dict)
    return {key: item.value if isinstance(item, _Array) else item for key, item in found.items()}


class _Machine:
    """The stack and the memo, and what each opcode does to them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[], None]] = {
            "APPEND": lambda: self._extend([self.stack.pop()]),
            "APPENDS": lambda: self._extend(self._marked()),
            "BUILD": self._build,
            "DICT": lambda: self._new_dict(self._marked()),
            "EMPTY_DICT": lambda: self.stack.append({}),
            "EMPTY_LIST": lambda: self.stack.append([]),
            "EMPTY_TUPLE": lambda: self.stack.append(()),
            "LIST": lambda: self.stack.append(self._marked()),
            "MEMOIZE": lambda: self._put(len(self._memo)),
            "REDUCE": self._reduce,
            "SETITEM": lambda: self._fill(self._last(2)),
            "SETITEMS": lambda: self._fill(self._marked()),
            "STACK_GLOBAL": lambda: self._name(".".join(self._last(2))),
            "TUPLE": lambda: self.stack.append(tuple(self._marked())),
        }

    def follow(self, name: str, argument: Any) -> None:
        """Do what an opcode says."""
        if name in {"PROTO", "FRAME", "STOP"}:
            return
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            self.stack.append(argument)
        elif name in _OLD_STRINGS:
            self.stack.append(argument.encode("latin-1"))
        elif name in _TUPLES:
            self.stack.append(tuple(self._last(_TUPLES[name])))
        elif name in {"BINPUT", "LONG_BINPUT"}:
            self._put(argument)
        elif name in {"BINGET", "LONG_BINGET"}:
            self.stack.append(self._memo[argument])
        elif name == "GLOBAL":
            self._name(argument.replace(" ", "."))
        elif name in self._actions:
            self._actions[name]()
        else:
            raise UnsafePickle(f"found the operation {name}")

    def _put(self, place: int) -> None:
        self._memo[place] = self.stack[-1]

    def _last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("its stack runs empty")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _marked(self) -> list[Any]:
        taken = []
        while (value := self.stack.pop()) is not _MARK:
            taken.append(value)
        return taken[::-1]

    def _extend(self, values: list[Any]) -> None:
        _expect(self.stack[-1], list).extend(values)

    def _new_dict(self, items: list[Any]) -> None:
        self.stack.append({})
        self._fill(items)

    def _fill(self, items: list[Any]) -> None:
        target = _expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key.encode() if isinstance(key, str) else _expect(key, bytes)] = value

    def _name(self, text: str) -> None:
        if text not in _NAMES:
            raise UnsafePickle(f"found the name {text[:_LONGEST_NAME]!r}")
        self.stack.append(_Name(text))

    def _reduce(self) -> None:
        name, arguments = self._last(2)
        called = _expect(name, _Name).text
        if called in _RECONSTRUCT:
            self.stack.append(_Array())
        elif called == "numpy.dtype":
            self.stack.append(_DType(_text(arguments[0])))
        elif called == "_codecs.encode" and _text(arguments[1]) in _LATIN:
            self.stack.append(_expect(arguments[0], str).encode("latin-1"))
        else:
            raise UnsafePickle(f"found a call of {called}")

    def _build(self) -> None:
        target, state = self._last(2)
        if isinstance(target, _Array):
            _, shape, dtype, fortran, data = state
            target.value = _array(shape, dtype, bool(fortran), data)
        elif not isinstance(target, _DType):  # a dtype's state is about byte order: bytes have none
            raise UnsafePickle("found a state for what is no array")
        self.stack.append(target)


def _array(shape: Any, dtype: Any, fortran: bool, data: Any) -> NDArray[np.uint8]:
    if not isinstance(dtype, _DType) or dtype.code != "u1":
        raise UnsafePickle("found an array of another type than uint8")
    values = np.frombuffer(_expect(data, bytes), np.uint8)
    if any(type(length) is not int or length < 0 for length in _expect(shape, tuple)):
        raise ValueError("its array has an impossible shape")
    return values.reshape(shape, order="F" if fortran else "C")


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else _expect(value, str)


def _expect(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"its {type(value).__name__} stands where a {kind.__name__} belongs")
    return value
