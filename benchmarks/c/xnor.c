// Bits y = sign(bias + W s), weights and inputs s of -1 and 1 as bits, by a table of bit counts.
#include "layer.h"

#define ROW_2(n) n, n + 1, n + 1, n + 2
#define ROW_4(n) ROW_2(n), ROW_2(n + 1), ROW_2(n + 1), ROW_2(n + 2)
#define ROW_6(n) ROW_4(n), ROW_4(n + 1), ROW_4(n + 1), ROW_4(n + 2)
static const __flash uint8_t counts[256] = { ROW_6(0), ROW_6(1), ROW_6(1), ROW_6(2) };

void layer(void)
{
    const __flash uint8_t *w = weights;
    for (uint16_t o = 0; o < OUTPUTS; o++) {
        uint16_t different = 0;
        for (uint16_t i = 0; i < INPUTS / 8; i++)
            different += counts[*w++ ^ x[i]];
        int16_t acc = bias[o] + INPUTS - 2 * different;
        uint8_t mask = 1 << (o & 7);
        if (acc >= 0)
            y[o / 8] |= mask;
        else
            y[o / 8] &= ~mask;
    }
}
