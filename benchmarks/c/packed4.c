// y = (bias + W x) >> SHIFT, two weights of an output to a byte, each w + 8, the first one low.
#include "layer.h"

void layer(void)
{
    const __flash uint8_t *w = weights;
    for (uint16_t o = 0; o < OUTPUTS; o++) {
        ACC acc = bias[o];
        for (uint16_t i = 0; i < INPUTS; i += 2) {
            uint8_t two = *w++;
            acc += (int16_t)((int8_t)(two & 15) - 8) * x[i];
            acc += (int16_t)((int8_t)(two >> 4) - 8) * x[i + 1];
        }
        y[o] = acc >> SHIFT;
    }
}
