/* The machine that simavr_machine.c sets up and simavr_loop.c runs. */
#ifndef TRUECYCLE_SIMAVR_MACHINE_H
#define TRUECYCLE_SIMAVR_MACHINE_H

#include "simavr_loop.h"

#include <stddef.h>

#include "sim_avr.h"

/* What the loop must know of the instruction at a word of flash. PLAIN is set wherever there is
 * code, so an untouched (zero) byte means: not code. Any other bit takes a slower path. */
enum kind {
    PLAIN = 1 << 0,
    RETURN = 1 << 1,    /* the address that the routine returns to */
    MARK = 1 << 2,      /* log each arrival */
    HALT = 1 << 3,      /* stop before it: BREAK, or not to be executed */
    LONG_SKIP = 1 << 4, /* a skip over ADIW or SBIW, which simavr may take for a long one */
    TORN_SP = 1 << 5,   /* after it, one half of SP is new and the other one old */
    SPM = 1 << 6,       /* may change code */
    ACCESS = 1 << 7,    /* accesses SP, or an address that is allowed or known only when it runs */
};

/* Every address that a program can form stays inside these, so none reaches the host's heap. */
enum {
    DATA_SPACE = 64 << 10,
    DATA_BYTES = DATA_SPACE + 64,
    FLASH_BYTES = (16 << 20) + 512,
    CODE_WORDS = 32 << 20, /* what EICALL can name, and as many for branches to below 0 */
    PACKED_CYCLES = 1 << 29,
};

#define PACKED_COUNT ((uint64_t)1 << 34)

struct machine {
    avr_t *avr;
    void (*run)(avr_t *); /* simavr's own; it differs while a watchdog reset is pending */
    const struct operation *operations;
    uint32_t return_pc;
    uint32_t flash_words;
    uint8_t *kinds; /* CODE_WORDS of enum kind */
    bool guarded;
    uint8_t *declared;      /* DATA_SPACE of enum permission, without the stack */
    uint8_t *permissions;   /* data memory, with the stack; from DATA_SPACE on: flash */
    uint32_t guarded_flash; /* bytes of it; none above may be read */
    uint16_t stack, stack_floor;
    uint8_t *touched;   /* 2 * DATA_SPACE: as `permissions`, but what was needed */
    struct cost *costs; /* flash_words */
    /*
     * What was not added to `costs` yet, count and cycles in one word, so that an instruction of a
     * profile costs one addition. Emptied before either can overflow.
     */
    uint64_t *recent_costs; /* flash_words */
    struct mark *marks;
    uint32_t mark_count;
    uint32_t mark_room;
    bool marks_lost;
};

/* Registers, clock and peripherals as after power-on; RAM and flash stay. */
void machine_reset(machine *self);

/* Move `recent_costs` to `costs`. */
void machine_unpack_costs(machine *self);

static inline uint16_t machine_opcode(const machine *self, uint32_t word)
{
    const uint8_t *flash = self->avr->flash + 2 * (size_t)word;
    return (uint16_t)(flash[0] | flash[1] << 8);
}

static inline uint16_t machine_pair(const uint8_t *data, uint16_t address)
{
    return (uint16_t)(data[address] | data[address + 1] << 8);
}

static inline const struct operation *machine_operation(const machine *self, uint32_t word)
{
    return &self->operations[machine_opcode(self, word)];
}

/* The address that an instruction forms: in full unless it is FIXED or EXTENDED. */
static inline uint16_t machine_near_address(const machine *self, const struct operation *op)
{
    return (uint16_t)(machine_pair(self->avr->data, op->base) + op->offset);
}

/* Whether there is an instruction that the device has, with all its words. */
bool machine_is_whole(const machine *self, uint32_t word);

/* The address that a FIXED instruction accesses. */
uint16_t machine_fixed_address(const machine *self, uint32_t word);

/* Before SPM: what RAMPZ does not implement of itself reads as 0. */
void machine_trim_rampz(machine *self);

/* After SPM: decodes the page of flash that Z points into. */
void machine_decode_page(machine *self);

/* ---- simavr_guard.c ---------------------------------------------------------------------- */

/* Allows everything. */
void guard_lift(machine *self);

/* Permits what a call may touch, with this stack. */
void guard_stack(machine *self, uint16_t stack, uint16_t stack_floor);

/* Whether an instruction that names this address may access it, whatever the stack. */
bool guard_allows(const machine *self, uint16_t address);

/* These give GO_ON for an access that is allowed; otherwise the reason to stop, and at
 * `*address` the byte at fault. First: an instruction that failed its single look. */
enum stop guard_check(const machine *self, uint32_t pc, uint32_t *address);

/* A return address to be pushed. */
enum stop guard_check_call(const machine *self, uint16_t sp, uint32_t *address);

/* Why to stop before an instruction of kind HALT; for SPM, the address that it would write. */
enum stop guard_halt(const machine *self, uint32_t pc, uint32_t *address);

#endif
