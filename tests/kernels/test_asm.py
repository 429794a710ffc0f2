"""The checked writer: what it refuses and why, and the text that it writes."""

import time

import pytest
from test_isa_samples import DEVICES

from kernels.asm import AsmError, Assembly
from kernels.avr.isa import AVR
from kernels.isa import Isa
from kernels.z80.isa import Z80

MEGA = DEVICES["atmega328p"]


def avr(source: str, device: str = "atmega328p") -> Assembly:
    out = Assembly(AVR, DEVICES[device])
    out.emit(source)
    return out


def z80(source: str) -> Assembly:
    out = Assembly(Z80)
    out.emit(source)
    return out


LOOP = """
; Dot product.
; In: X inputs, Z weights. Out: r2.
fc1_mac:                     ; acc += w * x
    lpm r0,Z+ ; w
    ld  r24 , X+

    ; a step of the sum
    mul   r0, r24
    add r2, r0
    sbrs r2, 7
    call done + 2
    brne fc1_mac
    subi r30, lo8( -(tab + 3) )
tab: .byte 1, -2, 0xff, lo8(tab)
.balign 16
.Lend: end: .word pm(fc1_mac)
"""

TEXT = """\
; Dot product.
; In: X inputs, Z weights. Out: r2.
fc1_mac:                        ; acc += w * x
        lpm     r0, Z+          ; w
        ld      r24, X+

        ; a step of the sum
        mul     r0, r24
        add     r2, r0
        sbrs    r2, 7
        call    done+2
        brne    fc1_mac
        subi    r30, lo8(-(tab+3))
tab:
        .byte   1, -2, 0xff, lo8(tab)
        .balign 16
.Lend:
end:
        .word   pm(fc1_mac)
"""

LISTING = """\
                  ; Dot product.
                  ; In: X inputs, Z weights. Out: r2.
                  fc1_mac:                        ; acc += w * x
0000     2     3          lpm     r0, Z+          ; w
0002     2     2          ld      r24, X+

                          ; a step of the sum
0004     2     2          mul     r0, r24
0006     2     1          add     r2, r0
0008     2   1/3          sbrs    r2, 7
000a     4     4          call    done+2
000e     2   1/2          brne    fc1_mac
0010     2     1          subi    r30, lo8(-(tab+3))
                  tab:
0012     4                .byte   1, -2, 0xff, lo8(tab)
0016    10                .balign 16
                  .Lend:
                  end:
0020     2                .word   pm(fc1_mac)
"""


def test_text_and_listing() -> None:
    out = avr(LOOP)
    assert out.text() == TEXT
    assert out.listing() == LISTING
    assert out.size == 0x22
    assert out.labels == {"fc1_mac", "tab", ".Lend", "end"}


def test_text_is_its_own_normal_form() -> None:
    assert avr(TEXT).text() == TEXT


def test_block_knows_cost_and_effects() -> None:
    out = Assembly(AVR, MEGA)
    out.emit("clr r2")
    block = out.emit("lpm r0, Z+\nmul r0, r24\nadd r2, r0\nbrne .+2")
    assert (block.size, block.cycles) == (8, 3 + 2 + 1 + 1)
    assert block.reads == {"r0", "r2", "r24", "r30", "r31", "Z"}
    assert block.writes == {"r0", "r1", "r2", "r30", "r31", *"HSVNZC"}
    assert out.size == 10


def test_z80_listing() -> None:
    out = z80("loop: ld a, (ix + 3) ; it's x\n ex af, af'\n djnz loop\n ldir\n ret nz")
    assert out.listing() == (
        "                  loop:\n"
        "0000     3    19          ld      a,(ix+3)        ; it's x\n"
        "0003     1     4          ex      af,af'\n"
        "0004     2  8/13          djnz    loop\n"
        "0006     2 16/21          ldir\n"
        "0008     1  5/11          ret     nz\n"
    )


def test_skip_of_unknown_instruction_shows_all_cases() -> None:
    assert "1/2/3" in avr("sbrc r0, 1").listing()
    assert " 1/2 " in avr("sbrc r0, 1\nnop").listing()


def test_data_writes_rows() -> None:
    out = Assembly(AVR)
    out.data(".byte", range(-1, 4), per_line=3)
    assert out.text() == "        .byte   -1, 0, 1\n        .byte   2, 3\n"


def test_empty_interpolations_leave_no_line() -> None:
    out = Assembly(AVR)
    out.emit(f"""
        nop
        {""}

        ret
    """)
    assert out.text() == "        nop\n\n        ret\n"


ACCEPTED = [
    (AVR, "ldi r16, lo8(sym)"),
    (AVR, "ldi r16, hi8(-(sym + 3))"),
    (AVR, "ldi r31, hh8(sym)"),
    (AVR, "ldi r16, pm_hi8(sym)"),
    (AVR, "ldi r16, lo8(gs(sym))"),
    (AVR, "ldi r16, lo8(70000)"),
    (AVR, "ldi r16, 1 << 7 | 1"),
    (AVR, "subi r16, end - start"),
    (AVR, "lds r0, sym + 3"),
    (AVR, "ldd r0, Y+offset"),
    (AVR, "out 0x3f, r0"),
    (AVR, "movw ZL, r24"),
    (AVR, "rjmp ."),
    (AVR, "brne . - 128"),
    (AVR, ".space 0x10"),
    (Z80, "ld a, sym & 0xff"),
    (Z80, "ld a, sym >> 8"),
    (Z80, "ld hl, sym + 3"),
    (Z80, "ld a, (sym)"),
    (Z80, "ld (ix), 3"),
    (Z80, "ld (ix - 128), ~0"),
    (Z80, "ld hl, $ + 3"),
    (Z80, "ld a, 1 + 2 & 3"),
    (Z80, "jr nz, $ - 126"),
    (Z80, "rst 8 * 2"),
    (Z80, ".2byte sym, -1"),
]


@pytest.mark.parametrize(("isa", "line"), ACCEPTED, ids=[line for _, line in ACCEPTED])
def test_accepted(isa: Isa, line: str) -> None:
    Assembly(isa).emit(line) if isa is Z80 else Assembly(isa, MEGA).emit(line)


REFUSED = [
    (AVR, "ldi r12, 3", "r12 is not r16..r31"),
    (AVR, "adiw r25, 1", "r25 is not r24|r26|r28|r30"),
    (AVR, "ldi r16, 256", "256 is not in -128..255"),
    (AVR, "ldi r16, 200 + 100", "200+100 = 300 is not in -128..255"),
    (AVR, "ldi r16, r17", "r17 is a register's or a condition's name"),
    (AVR, "ldi r16", "ldi does not take 1 operands"),
    (AVR, "ldi r16, lo8(3) + 1", "lo8(3)+1 is not an expression"),
    (AVR, "ldi r16, (3", "a parenthesis is not closed"),
    (AVR, "ldi r16, 3 +", "an operand is missing before the end"),
    (AVR, "ldi r16, 010", "010 is not an expression"),
    (AVR, "ldi r16, -1 >> 8", "shift of -1 by 8"),
    (AVR, "ldi r16, $", "an operand is missing before $"),
    (AVR, "ldi 16, 3", "16 is not r16..r31"),
    (AVR, "ld r26, X+", "r26 is both changed as an address and used"),
    (AVR, "ld r0, Z+3", "no form of ld takes r0, Z+3"),
    (AVR, "lds r0, -1", "-1 is not in 0..65535"),
    (AVR, "sbrc r0, bit", "bit must be a literal number, 0..7"),
    (AVR, "brne .+3", ".+3 = 3 is not in label|even .-128..+126"),
    (AVR, "brne 4", "4 is not a label or a distance such as .+4"),
    (AVR, "call 3", "3 is not in even 0..0x7ffffe"),
    (AVR, "addi r16, 3", "unknown instruction addi"),
    (AVR, "nop nop", "nop does not take 1 operands"),
    (AVR, "X: nop", "X is a register's or a condition's name, not a label"),
    (AVR, "one: nop\none: nop", "the label one is already defined"),
    (AVR, ".byte 256", "256 is not in -128..255"),
    (AVR, ".byte", ".byte does not take 0 operands"),
    (AVR, ".word 65536", "65536 is not in -32768..65535"),
    (AVR, ".balign 3", "3 is not a power of two up to 256"),
    (AVR, ".ascii 3", "unknown directive .ascii"),
    (Z80, "ld a, 300", "300 is not in -128..255"),
    (Z80, "ld a, (ix + 128)", "(ix+128) = 128 is not in (ix-128)..(ix+127)|"),
    (Z80, "ld de, hl", "no form of ld takes de,hl"),
    (Z80, "ld ixh, iyl", "no form of ld takes ixh,iyl"),
    (Z80, "sub a, b", "sub does not take 2 operands"),
    (Z80, "jr m, there", "m is not nz|z|nc|c"),
    (Z80, "jr $+130", "$+130 = 130 is not in label|$-126..$+129"),
    (Z80, "bit 8, a", "8 is not in 0..7"),
    (Z80, "rst 7", "7 is not in 0|8|..0x38"),
    (Z80, "ld a, lo8(sym)", "no form of ld takes a,lo8(sym)"),
    (Z80, "M: nop", "M is a register's or a condition's name, not a label"),
]


@pytest.mark.parametrize(("isa", "line", "reason"), REFUSED, ids=[row[1] for row in REFUSED])
def test_refused(isa: Isa, line: str, reason: str) -> None:
    out = Assembly(isa, MEGA & isa.features)
    with pytest.raises(AsmError) as caught:
        out.emit(line)
    assert reason in caught.value.reason
    assert out.size == 0
    assert not out.labels


def test_message_names_line_reason_and_legal_forms() -> None:
    with pytest.raises(AsmError) as caught:
        avr("nop\n\n  ldi r12, 3 ; bias\n")
    assert str(caught.value) == (
        "line 3: ldi r12, 3 ; bias\n    r12 is not r16..r31\n    legal: ldi r16..r31, -128..255"
    )


def test_message_suggests_mnemonics() -> None:
    with pytest.raises(AsmError) as caught:
        avr("addi r16, 3")
    assert "add r0..r31, r0..r31" in caught.value.legal


@pytest.mark.parametrize(
    ("line", "feature", "without", "has"),
    [
        ("mul r0, r1", "MUL", "attiny85", "atmega328p"),
        ("call there", "JMP", "attiny85", "atmega328p"),
        ("elpm r0, Z+", "ELPM", "atmega328p", "atmega1284p"),
        ("eicall", "EIJMP", "atmega1284p", "atmega2560"),
        ("movw r0, r2", "MOVW", "at90s8515", "attiny85"),
    ],
)
def test_features_gate_instructions(line: str, feature: str, without: str, has: str) -> None:
    avr(line, has)
    with pytest.raises(AsmError, match=f"needs {feature}, which the device lacks"):
        avr(line, without)


def test_22_bit_program_counter_costs_a_cycle() -> None:
    source = "call there\nrcall there\nicall\nret"
    assert avr(source, "atmega2560").block.cycles == avr(source).block.cycles + 4


def test_unknown_features_are_refused() -> None:
    with pytest.raises(ValueError, match="AVR has no features"):
        Assembly(AVR, {"FPU"})


def test_stack_and_flags_are_followed_through_ports() -> None:
    assert avr("out 0x3f, r0").block.writes == set("CZNVSHTI")
    assert avr("in r0, 0x3d").block.reads == {"sp"}


def test_ten_thousand_lines_parse_within_a_second() -> None:
    rows = "\n".join(f"l{n}: ld hl, table + {n} ; c\n ld a, (ix + {n % 99})" for n in range(5000))
    start = time.process_time()
    z80(rows)
    assert time.process_time() - start < 1
