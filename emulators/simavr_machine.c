/* Machines and their images; see simavr_loop.h. What is mended, and why: docs/instruments.md. */

#include "simavr_machine.h"

#include <stdlib.h>
#include <string.h>

#include "avr_eeprom.h"
#include "avr_uart.h"
#include "sim_io.h"

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

/* Where `touched` begins in a page. A processor takes a load for dependent on an earlier store at
 * the same place of another page, and waits; this is far from the others' (16, after calloc). */
enum { PAGE = 4096, TOUCHED_SKEW = 0x800 };

static bool allocate(machine *self)
{
    avr_t *avr = self->avr;
    uint8_t *data = calloc(DATA_BYTES, 1);
    uint8_t *flash = calloc(FLASH_BYTES, 1); /* untouched pages cost nothing */
    uint8_t *touched = calloc(2 * DATA_SPACE + PAGE, 1);
    self->kinds = calloc(CODE_WORDS, 1);
    self->costs = calloc(self->flash_words, sizeof *self->costs);
    self->recent_costs = calloc(self->flash_words, sizeof *self->recent_costs);
    self->declared = calloc(DATA_SPACE, 1);
    self->permissions = calloc(DATA_SPACE + self->guarded_flash, 1);
    if (!data || !flash || !touched || !self->kinds || !self->costs || !self->recent_costs || !self->declared ||
        !self->permissions)
        return false;
    self->touched = touched + ((TOUCHED_SKEW - (uintptr_t)touched) & (PAGE - 1));
    free(avr->data);
    free(avr->flash);
    avr->data = data;
    avr->flash = flash;
    return true;
}

machine *machine_open(const char *mcu, const struct operation *operations)
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
    self->operations = operations;
    self->flash_words = (avr->flashend + 1) / 2;
    const uint32_t flash = avr->flashend + 1;
    self->guarded_flash = flash < DATA_SPACE ? DATA_SPACE : flash; /* all that LPM can reach */
    if (!allocate(self)) {
        avr_terminate(avr);
        free(avr);
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

const uint8_t *machine_flash(const machine *self)
{
    return self->avr->flash;
}

/* avr_reset by itself keeps r0-r31 and the cycle. A pending watchdog reset leaves the watchdog
 * running, as on hardware; the second reset stops it. */
void machine_reset(machine *self)
{
    avr_t *avr = self->avr;
    for (int pass = avr->run == self->run; pass < 2; pass++) {
        memset(avr->data, 0, 32);
        avr->cycle = 0;
        avr_reset(avr);
    }
}

void machine_unpack_costs(machine *self)
{
    for (uint32_t word = 0; word < self->flash_words; word++) {
        const uint64_t packed = self->recent_costs[word];
        if (packed) {
            self->costs[word].count += packed / PACKED_COUNT;
            self->costs[word].cycles += packed % PACKED_COUNT;
            self->recent_costs[word] = 0;
        }
    }
}

void machine_erase(machine *self)
{
    avr_t *avr = self->avr;
    memset(avr->data, 0, DATA_BYTES);
    memset(avr->flash, 0xff, avr->flashend + 1);
    memset(avr->flash + avr->flashend + 1, 0, DATA_SPACE + 512); /* SPM wrote there, perhaps */
    memset(self->kinds, 0, self->flash_words);
    self->kinds[self->return_pc / 2] = RETURN;
    guard_lift(self);
    uint8_t erased[avr->e2end + 1];
    memset(erased, 0xff, sizeof erased);
    avr_eeprom_desc_t eeprom = {.ee = erased, .offset = 0, .size = sizeof erased};
    avr_ioctl(avr, AVR_IOCTL_EEPROM_SET, &eeprom);
    machine_reset(self);
}

/* ---- the image --------------------------------------------------------------------------- */

bool machine_is_whole(const machine *self, uint32_t word)
{
    const uint8_t traits = machine_operation(self, word)->traits;
    return traits & LEGAL && (!(traits & LONG) || self->kinds[word + 1] & PLAIN);
}

uint16_t machine_fixed_address(const machine *self, uint32_t word)
{
    const struct operation *op = machine_operation(self, word);
    return op->traits & LONG ? machine_opcode(self, word + 1) : op->offset;
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
    const uint16_t opcode = machine_opcode(self, word);
    const bool high = is_out_sp(opcode, OUT_SPH);
    if (!high && !is_out_sp(opcode, OUT_SPL))
        return 1;
    uint32_t torn = high;
    for (uint32_t ahead = 1; ahead <= 3; ahead++)
        if (is_out_sp(machine_opcode(self, word + ahead), high ? OUT_SPL : OUT_SPH)) {
            torn = ahead;
            break;
        }
    for (uint32_t i = 0; i < torn && word + i < self->flash_words; i++)
        self->kinds[word + i] |= TORN_SP;
    return torn + 1;
}

static bool is_access(const machine *self, uint32_t word)
{
    const struct operation *op = machine_operation(self, word);
    if (op->traits & FIXED) {
        const uint16_t address = machine_fixed_address(self, word);
        return !guard_allows(self, address) || address == R_SPL || address == R_SPH;
    }
    return op->need && (self->guarded || !(op->traits & IN_FLASH));
}

enum { BREAK = 0x9598 };

static uint8_t kind_of(const machine *self, uint32_t word)
{
    const uint16_t opcode = machine_opcode(self, word);
    if (opcode == BREAK || !machine_is_whole(self, word))
        return PLAIN | HALT;
    if (self->operations[opcode].traits & REWRITES)
        return PLAIN | (self->guarded ? HALT : SPM);
    uint8_t kind = PLAIN;
    if (is_skip(opcode) && is_adiw_sbiw(machine_opcode(self, word + 1)))
        kind |= LONG_SKIP;
    if (is_access(self, word))
        kind |= ACCESS;
    return kind;
}

static void decode_words(machine *self, uint32_t first, uint32_t end)
{
    for (uint32_t word = first; word < end; word++)
        if (self->kinds[word] & PLAIN)
            self->kinds[word] = kind_of(self, word) | (self->kinds[word] & (MARK | RETURN));
    for (uint32_t word = first; word < end;)
        word += self->kinds[word] & PLAIN ? flag_torn_sp(self, word) : 1;
}

void machine_decode(machine *self)
{
    decode_words(self, 0, self->flash_words);
}

void machine_trim_rampz(machine *self)
{
    avr_t *avr = self->avr;
    if (avr->rampz)
        avr->data[avr->rampz] &= (uint8_t)(avr->flashend >> 16);
}

void machine_decode_page(machine *self)
{
    enum { LARGEST_PAGE = 128 }; /* words */
    const avr_t *avr = self->avr;
    const uint32_t bank = avr->rampz ? (uint32_t)avr->data[avr->rampz] << 16 : 0;
    const uint32_t word = (bank | machine_pair(avr->data, R_ZL)) / 2;
    const uint32_t end = word + 2 * LARGEST_PAGE;
    const uint32_t first = word > LARGEST_PAGE ? word - LARGEST_PAGE : 0;
    decode_words(self, first, end < self->flash_words ? end : self->flash_words);
}

void machine_load(machine *self, uint32_t address, const uint8_t *bytes, uint32_t size)
{
    memcpy(self->avr->flash + address, bytes, size);
}

void machine_set_code(machine *self, uint32_t address, uint32_t size)
{
    for (uint32_t word = address / 2; word < (address + size + 1) / 2; word++)
        self->kinds[word] |= PLAIN;
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
