"""Random instruction sequences in both emulators: equal cycles, registers, flags and memory."""

from collections.abc import Mapping

import pytest
from random_code import DIALECTS, random_routine
from routine import Comparer, SecondEmulator

from kernels.target import find_target


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("target", ["uno", "mega", "cpm"])
def test_random_sequences(seconds: Mapping[str, SecondEmulator], target: str, seed: int) -> None:
    routine = random_routine(find_target(target), seed)
    comparer = Comparer(routine, seconds[routine.target.isa])
    for noise in range(3):
        assert not comparer.call(seed=noise).differences


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_left_out_exists(name: str) -> None:
    forms = DIALECTS[name].ISA.forms
    known = {form.mnemonic for form in forms} | {",".join(form.operands) for form in forms}
    assert set(DIALECTS[name].LEFT_OUT) <= known
