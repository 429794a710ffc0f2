/* The run loop; see simavr_loop.h. What is mended, and why: docs/instruments.md. */

#include "simavr_machine.h"

#include <stdlib.h>
#include <string.h>

#include "sim_core.h"
#include "sim_cycle_timers.h"
#include "sim_interrupts.h"

#define RARELY(condition) __builtin_expect(!!(condition), 0)

static uint16_t read_sp(const uint8_t *data)
{
    return machine_pair(data, R_SPL);
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

/* Not zero if there is more to do after an instruction: not running, an interrupt, a timer. */
static uint32_t unrest(const avr_t *avr)
{
    return (uint32_t)(avr->state ^ cpu_Running) | (uint32_t)avr->interrupt_state |
           (avr->cycle_timers.timer != NULL);
}

/* Serves an interrupt that is due; `*pc`, the next instruction's, becomes its vector's. */
static enum stop interrupt(machine *self, uint32_t *pc, uint32_t *address)
{
    avr_t *avr = self->avr;
    if (!avr->interrupt_state)
        return GO_ON;
    const uint16_t sp = read_sp(avr->data);
    uint8_t *const pushed = avr->data + (uint16_t)(sp - avr->address_size + 1);
    uint8_t before[4];
    memcpy(before, pushed, sizeof before);
    avr->pc = *pc;
    avr_service_interrupts(avr);
    if (avr->pc == *pc)
        return GO_ON;
    const enum stop stop = guard_check_call(self, sp, address);
    if (stop != GO_ON) { /* undo it */
        memcpy(pushed, before, avr->address_size);
        avr->data[R_SPL] = (uint8_t)sp;
        avr->data[R_SPH] = (uint8_t)(sp >> 8);
        return stop;
    }
    self->touched[sp] |= MAY_CALL;
    avr->cycle += 2u + avr->address_size; /* simavr takes none */
    *pc = avr->pc;
    return GO_ON;
}

/* The rest of avr_callback_run_raw. GO_ON: go on at `*pc`. */
static enum stop housekeep(machine *self, uint32_t *pc, uint64_t limit, uint32_t *address)
{
    avr_t *avr = self->avr;
    enum stop stop = GO_ON;
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
        stop = interrupt(self, pc, address);
    } while (avr->state == cpu_Sleeping && avr->cycle < limit);
    if (avr->state == cpu_Sleeping)
        avr->cycle = limit; /* it would sleep on */
    return stop;
}

/* Before an instruction that is more than PLAIN or ACCESS. */
static enum stop
arrive(machine *self, const struct request *request, uint32_t pc, uint64_t now, uint32_t *address)
{
    const uint8_t kind = self->kinds[pc / 2 % CODE_WORDS];
    if (kind & RETURN && read_sp(self->avr->data) == request->stack)
        return STOP_RETURNED;
    if (!(kind & PLAIN))
        return kind & RETURN ? STOP_STACK_UNBALANCED : STOP_OUTSIDE_CODE;
    if (kind & HALT)
        return guard_halt(self, pc, address);
    if (kind & MARK && now < request->limit)
        log_mark(self, pc, now);
    if (kind & SPM)
        machine_trim_rampz(self);
    return GO_ON;
}

/* After a skip or SPM. Gives where to go on, if it was from `last` to `pc`. */
static uint32_t mend(machine *self, uint8_t kind, uint32_t last, uint32_t pc)
{
    if (kind & SPM)
        machine_decode_page(self);
    if (!(kind & LONG_SKIP) || pc != last + 6)
        return pc;
    self->avr->cycle--;
    return pc - 2;
}

/* Inlined for each kind of run, so that none pays for what it was not asked. */
static inline __attribute__((always_inline)) enum stop
run(machine *self, const struct request *request, struct outcome *outcome, bool profile, bool touch)
{
    avr_t *const avr = self->avr;
    const uint8_t *const kinds = self->kinds;
    const uint8_t *const data = avr->data;
    const uint8_t *const permissions = self->permissions;
    uint8_t *const touched = self->touched;
    uint64_t *const recent = self->recent_costs;
    const uint64_t limit = request->limit;
    uint64_t pause = profile && limit > PACKED_CYCLES ? PACKED_CYCLES : limit;
    uint32_t pc = request->address, last = pc;
    uint32_t address = NO_ADDRESS;
    uint64_t now = 0;
    uint16_t lowest = read_sp(data);
    enum stop stop;

    for (;;) {
        const uint8_t kind = kinds[pc / 2 % CODE_WORDS];
        if (RARELY((kind & ~ACCESS) != PLAIN)) {
            stop = arrive(self, request, pc, now, &address);
            if (stop != GO_ON) {
                pc = stop == STOP_OUTSIDE_CODE || stop == STOP_STACK_UNBALANCED ? last : pc;
                break;
            }
        }
        if (RARELY(now >= pause)) {
            if (now >= limit) {
                stop = STOP_CYCLE_LIMIT;
                break;
            }
            machine_unpack_costs(self);
            pause = limit - now > PACKED_CYCLES ? now + PACKED_CYCLES : limit;
        }
        if (kind & ACCESS) {
            const struct operation *op = machine_operation(self, pc / 2);
            const uint32_t space = (op->traits & IN_FLASH) * DATA_SPACE;
            const uint32_t place = machine_near_address(self, op) + space;
            if (RARELY(op->need & ~permissions[place])) {
                stop = guard_check(self, pc, &address);
                if (stop != GO_ON)
                    break;
            } else if (touch && RARELY(op->need & ~touched[place]))
                touched[place] |= op->need; /* seldom new: a load is cheaper than a store */
        }
        last = pc;
        avr->pc = pc;
        pc = avr_run_one(avr);

        stop = GO_ON;
        if (RARELY((kind & (LONG_SKIP | SPM)) | unrest(avr))) {
            uint32_t next = mend(self, kind, last, pc); /* pc itself stays in a register */
            if (unrest(avr))
                stop = housekeep(self, &next, limit, &address);
            pc = next;
            if (stop == STOP_INVALID_OPCODE) {
                pc = last;
                break; /* not executed, so not counted */
            }
            if (profile) { /* time that a sleep skips may be more than a packed cost holds */
                self->costs[last / 2].cycles += avr->cycle - now;
                now = avr->cycle;
            }
        }
        if (profile)
            recent[last / 2] += PACKED_COUNT + (avr->cycle - now);
        now = avr->cycle;
        const uint16_t sp = read_sp(data);
        if (RARELY(sp < lowest) && !(kind & TORN_SP)) {
            lowest = sp;
            if (sp + 1 < request->stack_floor)
                stop = STOP_STACK_OVERFLOW;
        }
        if (RARELY(stop != GO_ON)) {
            pc = last;
            break;
        }
    }
    outcome->cycles = now;
    outcome->pc = pc;
    outcome->address = address;
    outcome->lowest_sp = lowest;
    return stop;
}

/* Not part of run(), so that the compiler optimizes each alone. */
static __attribute__((noinline)) enum stop
run_plain(machine *self, const struct request *request, struct outcome *outcome)
{
    return run(self, request, outcome, false, false);
}

static __attribute__((noinline)) enum stop
run_profiled(machine *self, const struct request *request, struct outcome *outcome)
{
    return run(self, request, outcome, true, false);
}

static __attribute__((noinline)) enum stop
run_touching(machine *self, const struct request *request, struct outcome *outcome)
{
    return run(self, request, outcome, true, true);
}

/* A reset CPU, about to execute `address`, with the return address on its stack. */
static void enter(machine *self, uint32_t address, uint16_t stack)
{
    avr_t *avr = self->avr;
    machine_reset(self);
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
    guard_stack(self, request->stack, request->stack_floor);
    const bool profile = request->profile || request->touched;
    if (profile)
        memset(self->costs, 0, self->flash_words * sizeof *self->costs);
    if (request->touched)
        memset(self->touched, 0, DATA_SPACE);
    const enum stop stop =
        (request->touched ? run_touching : profile ? run_profiled : run_plain)(
            self, request, outcome);
    if (profile)
        machine_unpack_costs(self);
    outcome->marks = self->marks;
    outcome->mark_count = self->mark_count;
    outcome->costs = self->costs;
    outcome->touched = self->touched;
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
