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
    GO_ON, /* no reason to stop */
    STOP_RETURNED,
    STOP_CYCLE_LIMIT,
    STOP_INVALID_OPCODE,
    STOP_OUTSIDE_CODE,
    STOP_BAD_ACCESS,
    STOP_WRITE_TO_CODE,
    STOP_BAD_READ,
    STOP_BAD_WRITE,
    STOP_STACK_OVERFLOW,
    STOP_STACK_UNBALANCED,
    STOP_BREAK,
    STOP_SLEEP,
    STOP_WATCHDOG,
    STOP_NO_MEMORY,
};

/* What an instruction needs at the address it forms. A byte of data memory that may be read and
 * written has the first two; machine_call derives the next three, so that an instruction that
 * touches several bytes is checked by a single look. */
enum permission {
    MAY_READ = 1 << 0,
    MAY_WRITE = 1 << 1,
    MAY_PUSH = 1 << 2,
    MAY_CALL = 1 << 3,   /* push a return address, from here down */
    MAY_RETURN = 1 << 4, /* pop one, from here up */
    ASK = 1 << 5,        /* never granted: the address takes more than a look to find out */
};

enum trait {
    IN_FLASH = 1 << 0, /* the address is of flash; otherwise of data memory */
    LEGAL = 1 << 1,    /* the device has this instruction */
    LONG = 1 << 2,     /* two words */
    FIXED = 1 << 3,    /* the address is `offset`, or the second word of a long instruction */
    EXTENDED = 1 << 4, /* RAMPZ gives the address's upper bits */
    REWRITES = 1 << 5, /* SPM */
};

/* What to know of an opcode: the address that it accesses is the pair of bytes at `base` of data
 * memory plus `offset`, modulo 64 KiB. */
struct operation {
    uint16_t base;
    uint16_t offset;
    uint8_t need; /* of enum permission; 0: accesses no memory */
    uint8_t traits;
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
    bool touched;
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
    uint32_t address; /* of the forbidden access; NO_ADDRESS without one */
    uint16_t lowest_sp;
    uint32_t mark_count;
    const struct mark *marks; /* valid until the next call */
    const struct cost *costs; /* one per word of flash; stale without a profile */
    const uint8_t *touched;   /* what was needed at each data address; likewise */
};

enum { NO_ADDRESS = 0x7fffffff };

/* NULL: the library does not know the MCU, or memory ran out. A machine lives as long as the
 * process: creating and terminating one leaks inside the library, so keep it for the next user.
 * `operations`, one for each opcode, must live as long. */
machine *machine_open(const char *mcu, const struct operation *operations);
struct device machine_device(const machine *self);

/* To program: erase (gives a fresh part), load each segment, tell what is code, and, to have the
 * program guarded, what it may read of flash and touch of data memory; decode. */
void machine_erase(machine *self);
void machine_load(machine *self, uint32_t address, const uint8_t *bytes, uint32_t size);
void machine_set_code(machine *self, uint32_t address, uint32_t size);
void machine_guard(machine *self);
void machine_set_constants(machine *self, uint32_t address, uint32_t size);
void machine_set_data(machine *self, uint32_t address, uint32_t size);
void machine_decode(machine *self);

/* The data space and flash; the caller checks the bounds. */
uint8_t *machine_data(machine *self);
const uint8_t *machine_flash(const machine *self);

/* `pc` is within flash. Only code may have a mark. */
bool machine_is_code(const machine *self, uint32_t pc);
void machine_set_mark(machine *self, uint32_t pc, bool wanted);

enum stop machine_call(machine *self, const struct request *request, struct outcome *outcome);

/* The yardstick: the barest loop that still ends, with no check and no record. Gives the cycles.
 * A routine that does not return hangs or kills the process. */
uint64_t machine_call_unchecked(machine *self, uint32_t address, uint16_t stack);

#endif
