/* The machine that simavr_machine.c sets up and simavr_loop.c runs. */
#ifndef TRUECYCLE_SIMAVR_MACHINE_H
#define TRUECYCLE_SIMAVR_MACHINE_H

#include "simavr_loop.h"

#include "sim_avr.h"

/* What the loop must know of the instruction at a word of flash. PLAIN is set wherever code was
 * loaded, so an untouched (zero) byte means: not code. Any other bit takes the slow path. */
enum kind {
    PLAIN = 1 << 0,
    RETURN = 1 << 1,    /* the address that the routine returns to */
    MARK = 1 << 2,      /* log each arrival */
    BREAK = 1 << 3,     /* stop before it */
    LONG_SKIP = 1 << 4, /* a skip over ADIW or SBIW, which simavr may take for a long one */
    TORN_SP = 1 << 5,   /* after it, one half of SP is new and the other one old */
    SPM = 1 << 6,       /* may change code */
};

struct machine {
    avr_t *avr;
    void (*run)(avr_t *); /* simavr's own; it differs while a watchdog reset is pending */
    uint32_t return_pc;
    uint32_t flash_words;
    uint8_t *kinds; /* CODE_WORDS of enum kind */
    struct cost *costs;
    struct mark *marks;
    uint32_t mark_count;
    uint32_t mark_room;
    bool marks_lost;
};

/* Registers, clock and peripherals as after power-on; RAM and flash stay. */
void machine_reset(machine *self);

#endif
