"""A fixture that counts the cases and fails on any mismatch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

_SHOWN = 20


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Enter a number of cases into the summary, and fail if some of them went wrong.

    tried(case, machine, count, mismatches), where each mismatch is a line of text.
    """

    def enter(case: str, machine: str, count: int, mismatches: Sequence[str]) -> None:
        record_property("tried", (case, machine, count, len(mismatches)))
        assert count > 0
        if mismatches:
            lines = "\n".join(mismatches[:_SHOWN])
            pytest.fail(f"{len(mismatches)} of {count} mismatch on {machine}:\n{lines}", False)

    return enter
