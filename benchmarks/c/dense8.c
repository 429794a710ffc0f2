// y = (bias + W x) >> SHIFT, a byte a weight; ACC and INPUT are the types of sum and input.
#include "layer.h"

void layer(void)
{
    const __flash int8_t *w = weights;
    for (uint16_t o = 0; o < OUTPUTS; o++) {
        ACC acc = bias[o];
        for (uint16_t i = 0; i < INPUTS; i++)
            acc += *w++ * x[i]; // a product fits int
        y[o] = acc >> SHIFT;
    }
}
