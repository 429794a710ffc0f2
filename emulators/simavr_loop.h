/*
 * Runs routines on simavr's core and stops them exactly.
 *
 * simavr_build.py gives this very text to cffi, so it holds plain declarations only (cffi skips
 * the lines that start with #). Program counters are byte addresses, as in simavr.
 */
#ifndef TRUECYCLE_SIMAVR_LOOP_H
#define TRUECYCLE_SIMAVR_LOOP_H
#include <stdbool.h>
#include <stdint.h>

typedef struct machine machine;

enum stop {
    STOP_RETURNED,
    STOP_CYCLE_LIMIT,
    STOP_INVALID_OPCODE,
    STOP_OUTSIDE_CODE,
    STOP_BAD_ACCESS,
    STOP_STACK_OVERFLOW,
    STOP_STACK_UNBALANCED,
    STOP_BREAK,
    STOP_SLEEP,
    STOP_WATCHDOG,
    STOP_NO_MEMORY,
};

/* Sizes are in bytes. RAM is what lies above the I/O registers. */
struct device {
    uint32_t flash_size;
    uint16_t ram_start;
    uint16_t ram_end; /* inclusive */
    uint8_t return_address_size;
};

struct request {
    uint32_t address;
    uint16_t stack;       /* the topmost byte of the stack */
    uint16_t stack_floor; /* its lowest byte */
    uint64_t limit;
    bool profile;
};

struct mark {
    uint64_t cycle;
    uint64_t pc;
};

struct cost {
    uint64_t count;
    uint64_t cycles;
};

struct outcome {
    uint64_t cycles;
    uint32_t pc;
    uint16_t lowest_sp;
    uint32_t mark_count;
    const struct mark *marks; /* valid until the next call */
    const struct cost *costs; /* one per word of flash; stale without a profile */
};

/* NULL: the library does not know the MCU, or memory ran out. A machine lives as long as the
 * process: creating and terminating one leaks inside the library, so keep it for the next user. */
machine *machine_open(const char *mcu);
struct device machine_device(const machine *self);

/* To program: erase (gives a fresh part), load each segment, decode. */
void machine_erase(machine *self);
void machine_load(machine *self, uint32_t address, const uint8_t *bytes, uint32_t size);
void machine_decode(machine *self);

/* The data space; the caller checks the bounds. */
uint8_t *machine_data(machine *self);

/* `pc` is within flash. Only code may have a mark. */
bool machine_is_code(const machine *self, uint32_t pc);
void machine_set_mark(machine *self, uint32_t pc, bool wanted);

enum stop machine_call(machine *self, const struct request *request, struct outcome *outcome);

/* The yardstick: the barest loop that still ends, with no check and no record. Gives the cycles.
 * A routine that does not return hangs or kills the process. */
uint64_t machine_call_unchecked(machine *self, uint32_t address, uint16_t stack);

#endif
