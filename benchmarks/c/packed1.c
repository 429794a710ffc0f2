// y = (bias + W x) >> SHIFT, weights of -1 and 1, eight of an output to a byte, the first one low.
#include "layer.h"

void layer(void)
{
    const __flash uint8_t *w = weights;
    for (uint16_t o = 0; o < OUTPUTS; o++) {
        ACC acc = bias[o];
        for (uint16_t i = 0; i < INPUTS; i += 8) {
            uint8_t eight = *w++;
            for (uint8_t k = 0; k < 8; k++, eight >>= 1) {
                if (eight & 1)
                    acc += x[i + k];
                else
                    acc -= x[i + k];
            }
        }
        y[o] = acc >> SHIFT;
    }
}
