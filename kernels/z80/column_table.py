"""The table by which a scan of units finds their columns, and the columns.

One byte of each unit to a page: perhaps something of its own, then the low and the high byte of its
column's address. What units leave of a page is filled with columns; the others lie behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernels.encodings.threaded_gaps import Column, size
from kernels.z80.columns import Walk, write_columns

_PAGE = 256


def write_table(walk: Walk, columns: Sequence[Column], before: Sequence[int] = ()) -> None:
    """Write it as `starts`. before: bytes of a page in front of the two, one of each unit."""
    sizes = [size([column]) for column in columns]
    pages = 3 if before else 2
    groups = _fillings(sizes, [_PAGE - len(columns)] * (pages - 1))
    places = _places(sizes, groups, len(columns))
    addresses = [f"({walk.label('starts')}+{place})" for place in places]
    parts = [
        *([[str(value) for value in before]] if before else []),
        [f"{address}&0xff" for address in addresses],
        [f"{address}>>8" for address in addresses],
    ]
    table = walk.job.table(f"{walk.name}_starts", align=_PAGE)
    for page, (rows, group) in enumerate(zip(parts, groups, strict=True), start=1):
        for row in rows:
            table.emit(f".byte {row}")
        write_columns(table, walk.job, [columns[number] for number in group], walk.acc_bytes)
        if page < pages and page * _PAGE > table.size:
            table.emit(f".space {page * _PAGE - table.size}")
    table.data(".byte", [0])  # the last POP may bring one byte more than is left


def _fillings(sizes: Sequence[int], rooms: Sequence[int]) -> list[list[int]]:
    """Which columns fill each room, the largest first; those that fit none are the last group."""
    left = sorted(range(len(sizes)), key=lambda number: -sizes[number])
    groups = []
    for room in rooms:
        group: list[int] = []
        free = room
        for number in left:
            if sizes[number] <= free:
                group.append(number)
                free -= sizes[number]
        left = [number for number in left if number not in group]
        groups.append(group)
    return [*groups, sorted(left)]


def _places(sizes: Sequence[int], groups: Sequence[Sequence[int]], units: int) -> list[int]:
    """Where each column lies, from the table's first byte."""
    places = [0] * len(sizes)
    for page, group in enumerate(groups):
        at = _PAGE * page + units
        for number in group:
            places[number] = at
            at += sizes[number]
    return places
