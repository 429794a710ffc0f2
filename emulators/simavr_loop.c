/* See simavr_loop.h. What is mended here, and why, is in docs/instruments.md. */

#include "simavr_loop.h"

#include <stdlib.h>
#include <string.h>

#include "avr_eeprom.h"
#include "avr_uart.h"
#include "sim_avr.h"
#include "sim_core.h"
#include "sim_cycle_timers.h"
#include "sim_interrupts.h"
#include "sim_io.h"

/* Every address that a program can form stays inside these, so none reaches the host's heap. */
enum {
    DATA_BYTES = (64 << 10) + 64,
    FLASH_BYTES = (16 << 20) + 512,
    CODE_WORDS = 16 << 20, /* as many as EICALL and a 3-byte return address can name */
};

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

/* ---- setting up -------------------------------------------------------------------------- */

/* The library reports an invalid opcode only as a line of its log, then treats it as a NOP. */
static void on_log(avr_t *avr, const int level, const char *format, va_list arguments)
{
    (void)arguments;
    if (avr && level == LOG_ERROR && strstr(format, "Invalid Opcode"))
        avr->state = cpu_Stopped;
}

/* Simulated sleep must not take the host's time. */
static void sleep_not_at_all(avr_t *avr, avr_cycle_count_t cycles)
{
    (void)avr;
    (void)cycles;
}

/* Otherwise what the program sends would be echoed to stdout, and polling would sleep. */
static void silence_uarts(avr_t *avr)
{
    for (char name = '0'; name <= '3'; name++) {
        uint32_t flags = 0;
        avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS(name), &flags);
    }
}

static bool enlarge_memory(avr_t *avr)
{
    uint8_t *data = calloc(DATA_BYTES, 1);
    uint8_t *flash = calloc(FLASH_BYTES, 1); /* untouched pages cost nothing */
    if (!data || !flash) {
        free(data);
        free(flash);
        return false;
    }
    memcpy(data, avr->data, avr->ramend + 1u);
    free(avr->data);
    free(avr->flash);
    avr->data = data;
    avr->flash = flash;
    return true;
}

machine *machine_open(const char *mcu)
{
    avr_global_logger_set(on_log);
    avr_t *avr = avr_make_mcu_by_name(mcu);
    machine *self = calloc(1, sizeof *self);
    if (!avr || !self) {
        free(avr);
        free(self);
        return NULL;
    }
    if (avr->ioend == 0)
        avr->ioend = 0x5f; /* missing for ATtiny13, whose reset would clear no register */
    avr_init(avr);
    self->avr = avr;
    self->run = avr->run;
    self->flash_words = (avr->flashend + 1) / 2;
    self->kinds = calloc(CODE_WORDS, 1);
    self->costs = calloc(self->flash_words, sizeof *self->costs);
    if (!self->kinds || !self->costs || !enlarge_memory(avr)) {
        avr_terminate(avr);
        free(avr);
        free(self->kinds);
        free(self->costs);
        free(self);
        return NULL;
    }
    avr->sleep = sleep_not_at_all;
    avr->frequency = 16000000;
    silence_uarts(avr);
    /* The highest return address there is: outside every flash but one of 128 KiB. */
    self->return_pc = avr->address_size == 3 ? 0x1fffffe : 0x1fffe;
    machine_erase(self);
    return self;
}

struct device machine_device(const machine *self)
{
    const avr_t *avr = self->avr;
    return (struct device){
        .flash_size = avr->flashend + 1,
        .ram_start = avr->ioend + 1,
        .ram_end = avr->ramend,
        .return_address_size = avr->address_size,
    };
}

uint8_t *machine_data(machine *self)
{
    return self->avr->data;
}

/* avr_reset by itself keeps r0-r31 and the cycle. A pending watchdog reset leaves the watchdog
 * running, as on hardware; the second reset stops it. */
static void reset_core(machine *self)
{
    avr_t *avr = self->avr;
    for (int pass = avr->run == self->run; pass < 2; pass++) {
        memset(avr->data, 0, 32);
        avr->cycle = 0;
        avr_reset(avr);
    }
}

void machine_erase(machine *self)
{
    avr_t *avr = self->avr;
    memset(avr->data, 0, DATA_BYTES);
    memset(avr->flash, 0xff, avr->flashend + 1);
    memset(self->kinds, 0, self->flash_words);
    self->kinds[self->return_pc / 2] = RETURN;
    uint8_t erased[avr->e2end + 1];
    memset(erased, 0xff, sizeof erased);
    avr_eeprom_desc_t eeprom = {.ee = erased, .offset = 0, .size = sizeof erased};
    avr_ioctl(avr, AVR_IOCTL_EEPROM_SET, &eeprom);
    reset_core(self);
}

/* ---- the image --------------------------------------------------------------------------- */

static uint16_t opcode_at(const machine *self, uint32_t word)
{
    const uint8_t *flash = self->avr->flash + 2 * (size_t)word;
    return (uint16_t)(flash[0] | flash[1] << 8);
}

static bool is_skip(uint16_t opcode)
{
    const bool cpse = (opcode & 0xfc00) == 0x1000;
    const bool sbrc_sbrs = (opcode & 0xfc08) == 0xfc00;
    const bool sbic_sbis = (opcode & 0xfd00) == 0x9900;
    return cpse || sbrc_sbrs || sbic_sbis;
}

static bool is_adiw_sbiw(uint16_t opcode)
{
    return (opcode & 0xfe00) == 0x9600;
}

enum { OUT_SPL = 0xbe0d, OUT_SPH = 0xbe0e };

static bool is_out_sp(uint16_t opcode, uint16_t half)
{
    return (opcode & 0xfe0f) == half;
}

/* Flags the samples of SP at which only one half is new: after the first of two OUTs that follow
 * within a few instructions (SREG is often restored in between), and after a lone OUT SPH.
 * Gives the number of words dealt with. */
static uint32_t flag_torn_sp(machine *self, uint32_t word)
{
    const uint16_t opcode = opcode_at(self, word);
    const bool high = is_out_sp(opcode, OUT_SPH);
    if (!high && !is_out_sp(opcode, OUT_SPL))
        return 1;
    uint32_t torn = high;
    for (uint32_t ahead = 1; ahead <= 3; ahead++)
        if (is_out_sp(opcode_at(self, word + ahead), high ? OUT_SPL : OUT_SPH)) {
            torn = ahead;
            break;
        }
    for (uint32_t i = 0; i < torn && word + i < self->flash_words; i++)
        self->kinds[word + i] |= TORN_SP;
    return torn + 1;
}

static uint8_t kind_of(const machine *self, uint32_t word)
{
    const uint16_t opcode = opcode_at(self, word);
    if (opcode == 0x9598)
        return PLAIN | BREAK;
    if (opcode == 0x95e8)
        return PLAIN | SPM;
    if (is_skip(opcode) && is_adiw_sbiw(opcode_at(self, word + 1)))
        return PLAIN | LONG_SKIP;
    return PLAIN;
}

void machine_load(machine *self, uint32_t address, const uint8_t *bytes, uint32_t size)
{
    memcpy(self->avr->flash + address, bytes, size);
    for (uint32_t word = address / 2; word < (address + size + 1) / 2; word++)
        self->kinds[word] |= PLAIN;
}

void machine_decode(machine *self)
{
    for (uint32_t word = 0; word < self->flash_words; word++)
        if (self->kinds[word] & PLAIN)
            self->kinds[word] = kind_of(self, word) | (self->kinds[word] & (MARK | RETURN));
    for (uint32_t word = 0; word < self->flash_words;)
        word += self->kinds[word] & PLAIN ? flag_torn_sp(self, word) : 1;
}

bool machine_is_code(const machine *self, uint32_t pc)
{
    return self->kinds[pc / 2] & PLAIN;
}

void machine_set_mark(machine *self, uint32_t pc, bool wanted)
{
    uint8_t *kind = &self->kinds[pc / 2];
    *kind = wanted ? *kind | MARK : *kind & ~MARK;
}

/* ---- running ----------------------------------------------------------------------------- */

#define RARELY(condition) __builtin_expect(!!(condition), 0)

static uint16_t read_sp(const uint8_t *data)
{
    return (uint16_t)(data[R_SPL] | data[R_SPH] << 8);
}

static void log_mark(machine *self, uint32_t pc, uint64_t cycle)
{
    if (self->mark_count == self->mark_room) {
        const uint32_t room = self->mark_room ? 2 * self->mark_room : 256;
        struct mark *marks = realloc(self->marks, room * sizeof *marks);
        if (!marks) {
            self->marks_lost = true;
            return;
        }
        self->marks = marks;
        self->mark_room = room;
    }
    self->marks[self->mark_count++] = (struct mark){.cycle = cycle, .pc = pc};
}

/* Nothing to do after nearly every instruction: running, no interrupt, no timer. */
static bool is_quiet(const avr_t *avr)
{
    return !((avr->state ^ cpu_Running) | avr->interrupt_state) && !avr->cycle_timers.timer;
}

/* Serves an interrupt that is due; `*pc`, the next instruction's, becomes its vector's. */
static void interrupt(avr_t *avr, uint32_t *pc)
{
    if (!avr->interrupt_state)
        return;
    avr->pc = *pc;
    avr_service_interrupts(avr);
    if (avr->pc != *pc)
        avr->cycle += 2u + avr->address_size; /* simavr takes none */
    *pc = avr->pc;
}

/* The rest of avr_callback_run_raw. STOP_RETURNED: go on at `*pc`. */
static enum stop housekeep(machine *self, uint32_t *pc, uint64_t limit)
{
    avr_t *avr = self->avr;
    if (avr->state == cpu_Stopped)
        return STOP_INVALID_OPCODE;
    if (avr->state == cpu_Crashed)
        return STOP_BAD_ACCESS;
    do {
        const avr_cycle_timer_slot_t *timer = avr->cycle_timers.timer;
        if (avr->state == cpu_Sleeping) {
            if (!avr->sreg[S_I])
                return STOP_SLEEP;
            avr->cycle += 1 + avr_cycle_timer_process(avr);
        } else if (timer && timer->when <= avr->cycle)
            avr_cycle_timer_process(avr);
        if (avr->run != self->run)
            return STOP_WATCHDOG;
        interrupt(avr, pc);
    } while (avr->state == cpu_Sleeping && avr->cycle < limit);
    if (avr->state == cpu_Sleeping)
        avr->cycle = limit; /* it would sleep on */
    return STOP_RETURNED;
}

/* Inlined twice, so that a run without a profile does not pay for one. */
static inline __attribute__((always_inline)) enum stop
run(machine *self, const struct request *request, struct outcome *outcome, bool profile)
{
    avr_t *const avr = self->avr;
    const uint8_t *const kinds = self->kinds;
    const uint8_t *const data = avr->data;
    struct cost *const costs = self->costs;
    const uint64_t limit = request->limit;
    uint32_t pc = request->address, last = pc;
    uint64_t now = 0;
    uint16_t lowest = read_sp(data);
    enum stop stop;

    for (;;) {
        const uint8_t kind = kinds[pc / 2];
        if (RARELY(kind != PLAIN)) {
            if (kind & RETURN && read_sp(data) == request->stack) {
                stop = STOP_RETURNED;
                break;
            }
            if (!(kind & PLAIN)) {
                stop = kind & RETURN ? STOP_STACK_UNBALANCED : STOP_OUTSIDE_CODE;
                pc = last;
                break;
            }
            if (kind & BREAK) {
                stop = STOP_BREAK;
                break;
            }
            if (kind & MARK && now < limit)
                log_mark(self, pc, now);
        }
        if (RARELY(now >= limit)) {
            stop = STOP_CYCLE_LIMIT;
            break;
        }
        last = pc;
        avr->pc = pc;
        pc = avr_run_one(avr);

        stop = STOP_RETURNED;
        if (RARELY(kind & (LONG_SKIP | SPM))) {
            if (kind & SPM)
                machine_decode(self);
            else if (pc == last + 6) {
                pc -= 2;
                avr->cycle--;
            }
        }
        if (RARELY(!is_quiet(avr))) {
            uint32_t next = pc; /* pc itself stays in a register */
            stop = housekeep(self, &next, limit);
            pc = next;
            if (stop == STOP_INVALID_OPCODE) {
                pc = last;
                break; /* not executed, so not counted */
            }
        }
        if (profile) {
            costs[last / 2].count++;
            costs[last / 2].cycles += avr->cycle - now;
        }
        now = avr->cycle;
        const uint16_t sp = read_sp(data);
        if (RARELY(sp < lowest) && !(kind & TORN_SP)) {
            lowest = sp;
            if (sp + 1 < request->stack_floor)
                stop = STOP_STACK_OVERFLOW;
        }
        if (RARELY(stop != STOP_RETURNED)) {
            pc = last;
            break;
        }
    }
    outcome->cycles = now;
    outcome->pc = pc;
    outcome->lowest_sp = lowest;
    return stop;
}

/* Not part of run(), so that the compiler optimizes each alone. */
static __attribute__((noinline)) enum stop
run_plain(machine *self, const struct request *request, struct outcome *outcome)
{
    return run(self, request, outcome, false);
}

static __attribute__((noinline)) enum stop
run_profiled(machine *self, const struct request *request, struct outcome *outcome)
{
    return run(self, request, outcome, true);
}

/* A reset CPU, about to execute `address`, with the return address on its stack. */
static void enter(machine *self, uint32_t address, uint16_t stack)
{
    avr_t *avr = self->avr;
    reset_core(self);
    const uint16_t sp = stack - avr->address_size;
    for (uint32_t byte = 0, word = self->return_pc / 2; byte < avr->address_size; byte++)
        avr->data[stack - byte] = (uint8_t)(word >> 8 * byte);
    avr->data[R_SPL] = (uint8_t)sp;
    avr->data[R_SPH] = (uint8_t)(sp >> 8);
    avr->pc = address;
}

enum stop machine_call(machine *self, const struct request *request, struct outcome *outcome)
{
    enter(self, request->address, request->stack);
    self->mark_count = 0;
    self->marks_lost = false;
    if (request->profile)
        memset(self->costs, 0, self->flash_words * sizeof *self->costs);
    const enum stop stop = (request->profile ? run_profiled : run_plain)(self, request, outcome);
    outcome->marks = self->marks;
    outcome->mark_count = self->mark_count;
    outcome->costs = self->costs;
    return self->marks_lost ? STOP_NO_MEMORY : stop;
}

uint64_t machine_call_unchecked(machine *self, uint32_t address, uint16_t stack)
{
    avr_t *const avr = self->avr;
    const uint32_t end = self->return_pc;
    enter(self, address, stack);
    while (avr->pc != end)
        avr->pc = avr_run_one(avr);
    return avr->cycle;
}
