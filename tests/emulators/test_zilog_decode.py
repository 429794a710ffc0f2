"""The decoder of traces against the library itself, called back on every access."""

import random

import numpy as np
import pytest
import z80

from emulators.z80_decode import STEP, Decoded, instruction_length, step_length

ROUNDS = 2
PREFIXES = {"": b"", "cb": b"\xcb", "ed": b"\xed", "dd": b"\xdd", "fd": b"\xfd"}


class Witness:
    """A machine that tells which addresses its steps read and wrote."""

    def __init__(self) -> None:
        self.machine = z80.Z80Machine()
        self.state = self.machine.get_state_view()
        self.memory = self.state[44:]
        self.reads: list[int] = []
        self.writes: list[int] = []
        self.machine.mark_addrs(0, 0x10000, self.machine.READ_MARK | self.machine.WRITE_MARK)
        self.machine.set_read_callback(self._read)
        self.machine.set_write_callback(lambda address, _: self.writes.append(address))

    def _read(self, address: int) -> int:
        self.reads.append(address)
        return self.memory[address]

    def step(self) -> bytes:
        """Give the CPU before the step."""
        head = bytes(self.state[:44])
        self.reads.clear()
        self.writes.clear()
        self.machine.step_over_breakpoint()
        return head


def addresses(accesses: list[list[int]]) -> list[int]:
    return sorted(address for pair in accesses for address in pair)


def check_step(witness: Witness) -> None:
    """One step: its bytes are what is fetched first, and its accesses are the others."""
    pc, indexed = witness.machine.pc, witness.state[43] != 0
    length = step_length(witness.memory, pc, indexed=indexed)
    before = witness.step()
    decoded = Decoded(np.frombuffer(before + bytes(witness.state[:44]), STEP), witness.memory)
    assert decoded.lengths().tolist() == [length]
    assert witness.reads[:length] == [(pc + i) % 0x10000 for i in range(length)]
    reads, writes = (
        [found.tolist() for _, found in accesses]
        for accesses in (decoded.reads(), decoded.writes())
    )
    assert addresses(reads) == sorted(witness.reads[length:])
    assert addresses(writes) == sorted(witness.writes)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_opcode_accesses_what_the_decoder_says(prefix: str) -> None:
    witness, rng = Witness(), random.Random(prefix)
    for opcode in range(256):
        for _ in range(ROUNDS):
            code = PREFIXES[prefix] + bytes([opcode]) + rng.randbytes(4)
            pc = rng.choice([0x8000, 0xFFFE, 0xFFFF, rng.randrange(0x10000)])
            witness.state[:44] = rng.randbytes(16) + bytes(8) + rng.randbytes(12) + bytes(8)
            witness.machine.pc = pc
            for offset, byte in enumerate(code):
                witness.memory[(pc + offset) % 0x10000] = byte
            check_step(witness)
            while witness.state[43]:
                check_step(witness)


@pytest.mark.parametrize(
    ("code", "length"),
    [
        ("00", 1),
        ("0600", 2),
        ("210000", 3),
        ("cb46", 2),
        ("ed44", 2),
        ("ed5b0000", 4),
        ("dd23", 2),
        ("dd7e00", 3),
        ("fd360001", 4),
        ("ddcb0046", 4),
        ("ddfd23", 1),
        ("dded430000", 5),
    ],
)
def test_length_of_an_instruction(code: str, length: int) -> None:
    memory = memoryview(bytearray(bytes.fromhex(code) + bytes(4)))
    assert instruction_length(memory, 0) == length
