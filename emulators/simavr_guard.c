/* What a program may touch; see simavr_loop.h. Checks come before the access, so a forbidden one
 * has no effect. */

#include "simavr_machine.h"

#include <string.h>

enum { ANYTHING = (uint8_t)~ASK };

void guard_lift(machine *self)
{
    self->guarded = false;
    memset(self->permissions, ANYTHING, DATA_SPACE + self->guarded_flash);
}

void machine_guard(machine *self)
{
    self->guarded = true;
    self->stack = self->stack_floor = 0; /* no stack can be there: derive anew */
    memset(self->declared, 0, DATA_SPACE);
    memset(self->permissions, 0, DATA_SPACE + self->guarded_flash);
}

void machine_set_constants(machine *self, uint32_t address, uint32_t size)
{
    memset(self->permissions + DATA_SPACE + address, MAY_READ, size);
}

void machine_set_data(machine *self, uint32_t address, uint32_t size)
{
    memset(self->declared + address, MAY_READ | MAY_WRITE, size);
}

void guard_stack(machine *self, uint16_t stack, uint16_t stack_floor)
{
    const bool is_set = self->stack == stack && self->stack_floor == stack_floor;
    self->stack = stack;
    self->stack_floor = stack_floor;
    if (!self->guarded || is_set)
        return;
    uint8_t *const may = self->permissions;
    const int end = self->avr->ramend + 1, deep = self->avr->address_size - 1;
    memcpy(may, self->declared, end);
    memset(may + stack_floor, MAY_READ | MAY_WRITE, stack - stack_floor + 1u);
    for (int at = stack_floor, run = 0; at < end; at++) {
        run = may[at] & MAY_WRITE ? run + 1 : 0;
        may[at] |= (run > 0 ? MAY_PUSH : 0) | (run > deep ? MAY_CALL : 0);
    }
    for (int at = end - 1, run = 0; at >= 0; at--) {
        run = may[at] & MAY_READ ? run + 1 : 0;
        may[at] |= run > deep ? MAY_RETURN : 0;
    }
}

/* SREG and SP, and RAMPZ and EIND of the devices that have them. */
static bool is_cpus_own(const avr_t *avr, uint16_t address)
{
    const bool bank = address && (address == avr->rampz || address == avr->eind);
    return address == R_SREG || address == R_SPL || address == R_SPH || bank;
}

bool guard_allows(const machine *self, uint16_t address)
{
    return !self->guarded || self->declared[address] || is_cpus_own(self->avr, address);
}

static enum stop forbid(enum stop reason, uint32_t at, uint32_t *address)
{
    *address = at;
    return reason;
}

static enum stop forbid_push(const machine *self, uint16_t at, uint32_t *address)
{
    return forbid(at < self->stack_floor ? STOP_STACK_OVERFLOW : STOP_BAD_WRITE, at, address);
}

enum stop guard_check_call(const machine *self, uint16_t sp, uint32_t *address)
{
    for (int byte = 0; byte < self->avr->address_size; byte++) {
        const uint16_t at = (uint16_t)(sp - byte);
        if (!(self->permissions[at] & MAY_PUSH))
            return forbid_push(self, at, address);
    }
    return GO_ON;
}

static enum stop check_return(const machine *self, uint16_t lowest, uint32_t *address)
{
    for (int byte = 0; byte < self->avr->address_size; byte++) {
        const uint16_t at = (uint16_t)(lowest + byte);
        if (!(self->permissions[at] & MAY_READ))
            return forbid(STOP_BAD_READ, at, address);
    }
    return GO_ON;
}

/* Z, below what RAMPZ adds to it where the device has one. */
static uint32_t far_z(const avr_t *avr)
{
    const uint32_t bank = avr->rampz ? avr->data[avr->rampz] : 0;
    return bank << 16 | machine_pair(avr->data, R_ZL);
}

static enum stop check_flash(const machine *self, uint32_t at, uint32_t *address)
{
    const bool exists = at < self->guarded_flash;
    if (exists && self->permissions[DATA_SPACE + at] & MAY_READ)
        return GO_ON;
    return forbid(STOP_BAD_READ, at, address);
}

enum stop guard_check(const machine *self, uint32_t pc, uint32_t *address)
{
    const struct operation *op = machine_operation(self, pc / 2);
    const uint8_t need = op->need & ~ASK;
    const bool is_fixed = op->traits & FIXED;
    const uint16_t at =
        is_fixed ? machine_fixed_address(self, pc / 2) : machine_near_address(self, op);
    if (is_fixed && guard_allows(self, at))
        return GO_ON;
    if (op->traits & IN_FLASH)
        return check_flash(self, op->traits & EXTENDED ? far_z(self->avr) : at, address);
    if (need == MAY_CALL)
        return guard_check_call(self, at, address);
    if (need == MAY_RETURN)
        return check_return(self, at, address);
    if (self->permissions[at] & need)
        return GO_ON;
    if (need == MAY_PUSH)
        return forbid_push(self, at, address);
    return forbid(need == MAY_READ ? STOP_BAD_READ : STOP_BAD_WRITE, at, address);
}

enum stop guard_halt(const machine *self, uint32_t pc, uint32_t *address)
{
    if (!machine_is_whole(self, pc / 2))
        return STOP_INVALID_OPCODE;
    if (machine_operation(self, pc / 2)->traits & REWRITES)
        return forbid(STOP_WRITE_TO_CODE, far_z(self->avr), address);
    return STOP_BREAK;
}
