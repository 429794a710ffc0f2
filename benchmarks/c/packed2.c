// y = (bias + W x) >> SHIFT, four weights of an output to a byte, each w + 2, the first one low.
#include "layer.h"

void layer(void)
{
    const __flash uint8_t *w = weights;
    for (uint16_t o = 0; o < OUTPUTS; o++) {
        ACC acc = bias[o];
        for (uint16_t i = 0; i < INPUTS; i += 4) {
            uint8_t four = *w++;
            for (uint8_t k = 0; k < 4; k++, four >>= 2)
                acc += (int16_t)((int8_t)(four & 3) - 2) * x[i + k];
        }
        y[o] = acc >> SHIFT;
    }
}
