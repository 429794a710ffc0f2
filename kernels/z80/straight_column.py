"""A column of weights as instructions: one addition to an accumulator after the other.

Registers: C what is added, HL an accumulator's byte; clobbers AF. An addition takes 32 T and 7
bytes, 35 T and 8 bytes where it is the first on a page of accumulators; one that carries 32 T more
(16 bits), or 41 to 70 T (24 bits). Carries lie beyond a jump of 10 T in the
midst of long columns, so that a short jump reaches them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kernels.encodings.straight_line import Fragment

# Additions, of 7 or 8 bytes, in front of carries and behind them, of 4 or 12, that a short jump
# reaches from all of them; by bytes of an accumulator.
_NEAR = {2: 16, 3: 9}
_PAGE = 256


@dataclass(frozen=True, slots=True)
class Event:
    """An addition (sign 1) or subtraction (-1) at the low byte of an accumulator.

    at: behind the first byte of all, which begins a page. label: its own.
    """

    at: int
    sign: int
    label: str


def events(fragment: Fragment, places: Sequence[int], label: str) -> list[Event]:
    """A fragment's additions in the order of their accumulators. places: of each row, in bytes."""
    ordered = sorted((places[row], sign) for row, sign in fragment)
    return [Event(at, sign, f"{label}_{n}") for n, (at, sign) in enumerate(ordered)]


def straight_column(
    pages: str, column: Sequence[Event], acc_bytes: int, around: tuple[str, str], label: str
) -> str:
    """The code of a column, which ends at `label` and `_over`.

    pages: symbol of the accumulators. around: code behind the last addition, and code that is
    jumped to.
    """
    text, near = list(_additions(pages, column)), _NEAR[acc_bytes]
    end, stubs = around
    lines, waiting, done = text[:near], list(column[:near]), near
    while done < len(text):
        reached = column[done : done + 2 * near]
        carries = [_carry(one, acc_bytes) for one in waiting]
        if len(reached) <= near:  # no carries are left for the column's end
            carries, stubs = [*carries, stubs], ""
        carries += [_carry(one, acc_bytes) for one in reached[:near]]
        on = f"{waiting[0].label}_on"
        lines += [f"jp {on}", *carries, f"{on}:", *text[done : done + 2 * near]]
        waiting, done = list(reached[near:]), done + 2 * near
    lines.append(end)
    if stubs or waiting:
        lines += [f"jp {label}_over", *(_carry(one, acc_bytes) for one in waiting), stubs]
    return "\n".join([*lines, f"{label}_over:"])


def _additions(pages: str, column: Sequence[Event]) -> Iterator[str]:
    page = None
    for event in column:
        here = event.at // _PAGE
        point = f"ld l,{event.at % _PAGE}" if here == page else f"ld hl,{pages}+{event.at}"
        page = here
        yield f"""
            {point}
            ld a,(hl)
            {"add a,c" if event.sign > 0 else "sub c"}
            ld (hl),a
            jr c,{event.label}_carry
            {event.label}:
        """


def _carry(event: Event, acc_bytes: int) -> str:
    """A carry into the bytes above; with 24 bits an accumulator may lie across two pages."""
    add = event.sign > 0
    if acc_bytes == 2:
        step = f"inc l\n{'inc' if add else 'dec'} (hl)"
    elif add:
        step = f"inc hl\ninc (hl)\njr nz,{event.label}_done\ninc hl\ninc (hl)\ndec hl"
        step += f"\n{event.label}_done:\ndec hl"
    else:
        step = f"inc hl\nld a,(hl)\ndec (hl)\nor a\njr nz,{event.label}_done\ninc hl\ndec (hl)"
        step += f"\ndec hl\n{event.label}_done:\ndec hl"
    return f"{event.label}_carry:\n{step}\njr {event.label}"
