/* Calls a routine in z80ex: 64 KiB of RAM, no devices, no interrupts, all registers zero. */
#include <stdint.h>
#include <z80ex/z80ex.h>

enum reason { RETURNED, CYCLE_LIMIT, HALT, UNBALANCED, NO_MEMORY };

struct bus {
    uint8_t *memory;
    uint64_t m1_cycles;
};

static Z80EX_BYTE read_memory(Z80EX_CONTEXT *cpu, Z80EX_WORD address, int m1, void *bus)
{
    (void)cpu;
    ((struct bus *)bus)->m1_cycles += m1 != 0;
    return ((struct bus *)bus)->memory[address];
}

static void write_memory(Z80EX_CONTEXT *cpu, Z80EX_WORD address, Z80EX_BYTE value, void *bus)
{
    (void)cpu;
    ((struct bus *)bus)->memory[address] = value;
}

static Z80EX_BYTE read_port(Z80EX_CONTEXT *cpu, Z80EX_WORD port, void *unused)
{
    (void)cpu, (void)port, (void)unused;
    return 0xff;
}

static void write_port(Z80EX_CONTEXT *cpu, Z80EX_WORD port, Z80EX_BYTE value, void *unused)
{
    (void)cpu, (void)port, (void)value, (void)unused;
}

static Z80EX_BYTE read_vector(Z80EX_CONTEXT *cpu, void *unused)
{
    (void)cpu, (void)unused;
    return 0xff;
}

/*
 * The return address lies in memory already, at sp. *cycles: T-states, the final RET's included, and
 * m1_wait more for each M1 cycle; the limit is in T-states alone.
 */
int call(uint8_t *memory, uint16_t entry, uint16_t sp, uint64_t limit, int m1_wait,
         uint64_t *cycles)
{
    struct bus bus = {memory, 0};
    const uint16_t end = (uint16_t)(memory[sp] | memory[(uint16_t)(sp + 1)] << 8);
    Z80EX_CONTEXT *cpu = z80ex_create(read_memory, &bus, write_memory, &bus, read_port, 0,
                                      write_port, 0, read_vector, 0);
    enum reason reason = CYCLE_LIMIT;

    *cycles = 0;
    if (!cpu)
        return NO_MEMORY;
    for (int reg = regAF; reg <= regIFF2; reg++)
        z80ex_set_reg(cpu, (Z80_REG_T)reg, 0);
    z80ex_set_reg(cpu, regPC, entry);
    z80ex_set_reg(cpu, regSP, sp);
    while (reason == CYCLE_LIMIT && *cycles < limit) {
        do
            *cycles += (uint64_t)z80ex_step(cpu); /* an instruction, or a prefix of one */
        while (z80ex_last_op_type(cpu));
        if (z80ex_doing_halt(cpu))
            reason = HALT;
        else if (z80ex_get_reg(cpu, regPC) == end)
            reason = z80ex_get_reg(cpu, regSP) == (uint16_t)(sp + 2) ? RETURNED : UNBALANCED;
    }
    *cycles += bus.m1_cycles * (uint64_t)m1_wait;
    z80ex_destroy(cpu);
    return reason;
}
