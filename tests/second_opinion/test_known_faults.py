"""Where the emulators are known to differ, and who is right.

These are held as facts, so that nothing is hidden, and a version that mends one is noticed. Right
is what the AVR instruction set manual (DS40002198) says.
"""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from avr8js import FOLDER
from routine import Comparer, Comparison, Routine, SecondEmulator

from kernels.target import find_target
from kernels.toolchain import assemble

C, Z, N, V, S, H = 1, 2, 4, 8, 16, 32
RESULT, STACK = 0x300, 0x8FF


@dataclass(frozen=True)
class Call:
    """A comparison, and the byte that the code stored in each."""

    compared: Comparison
    ours: int
    other: int


Run = Callable[..., Call]


@pytest.fixture
def call(seconds: Mapping[str, SecondEmulator]) -> Run:
    """Call AVR code that leaves a byte in r18."""

    def run(code: str, target_name: str = "uno") -> Call:
        target = find_target(target_name)
        linked = assemble(f".text\ninfer:\n{code}\nsts {RESULT}, r18\nret\n", target)
        routine = Routine(target, 0, linked.data, 0, STACK, STACK - 31)
        compared = Comparer(routine, seconds["avr"]).call()
        return Call(compared, compared.ours.memory[RESULT], compared.other.memory[RESULT])

    return run


FLAGS = "in r18, 0x3f"


def test_cbi_takes_two_cycles_avr8js_has_one(call: Run) -> None:
    found = call("cbi 0x1e, 0").compared
    assert (found.ours.cycles, found.other.cycles) == (2 + 2 + 4, 1 + 2 + 4)


@pytest.mark.parametrize(
    ("code", "right", "wrong"),
    [
        pytest.param("ldi r16, 8\nadd r16, r16", H, 0, id="H of an addition"),
        pytest.param("ldi r16, 0x80\nneg r16", C | N | V, C | N | S, id="NEG of 0x80 sets V"),
        pytest.param("ldi r16, 1\nfmulsu r16, r17", Z, 0, id="Z of FMULSU, product zero"),
        pytest.param("ldi r16, 1\nfmulsu r16, r16", 0, Z, id="Z of FMULSU, product not zero"),
        pytest.param("ser r17\nsec\nsez\ncpc r16, r17", H | Z | C, H | C, id="Z of 0 - 255 - C"),
        pytest.param("sec\nsez\nsbci r16, 255", H | Z | C, H | C, id="Z of 0 - 255 - C, SBCI"),
    ],
)
def test_flags_that_avr8js_has_wrong(call: Run, code: str, right: int, wrong: int) -> None:
    found = call(f"{code}\n{FLAGS}")
    assert (found.ours, found.other) == (right, wrong)


@pytest.mark.parametrize("flash", [0x8000, 0x40000])
def test_interrupt_entry_takes_four_cycles_or_five_avr8js_has_two(flash: int) -> None:
    script = f"""
        import {{ CPU, avrInterrupt }} from 'avr8js';
        const cpu = new CPU(new Uint16Array({flash // 2}));
        avrInterrupt(cpu, 4);
        console.log(cpu.cycles);
    """
    command = ["node", "--input-type=module", "-e", script]
    printed = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
    assert int(printed.stdout) == 2


def test_rampz_has_two_bits_simavr_has_more(call: Run) -> None:
    """Only behind the very last byte of flash, which is a boot loader's."""
    found = call(
        "ldi r30, 3\nout 0x3b, r30\nser r30\nser r31\nelpm r0, Z+\nin r18, 0x3b", target_name="mega"
    )
    assert (found.ours, found.other) == (4, 0)


@pytest.mark.parametrize(("target", "cycles"), [("uno", 3 + 4 + 2 + 4), ("mega", 4 + 5 + 2 + 5)])
def test_the_pc_s_width_decides_on_the_cycles_of_calls(call: Run, target: str, cycles: int) -> None:
    found = call("rcall 1f\nrjmp 2f\n1: ret\n2:", target).compared
    assert found.ours.cycles == found.other.cycles == cycles + 2
