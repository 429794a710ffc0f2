// Four dense layers of 2-bit weights, four of an output to a byte, each w + 2, inputs shifted;
// sums wrap in 16 bits.
#include "layer.h"

#define DENSE(N, IN, OUT, from, to, LOW)                                                    \
    static void dense##N(void)                                                              \
    {                                                                                       \
        const __flash uint8_t *w = weights##N;                                              \
        for (uint16_t o = 0; o < OUT; o++) {                                                \
            uint16_t acc = 0;                                                               \
            for (uint16_t i = 0; i < IN; i += 4) {                                          \
                uint8_t four = *w++;                                                        \
                for (uint8_t k = 0; k < 4; k++, four >>= 2)                                 \
                    acc += (int8_t)((four & 3) - 2) * from[i + k];                          \
            }                                                                               \
            int16_t value = (int16_t)(bias##N[o] + (acc << IN_SHIFT##N)) >> SHIFT##N;       \
            to[o] = value < LOW ? LOW : value;                                              \
        }                                                                                   \
    }

static int16_t hidden1[OUT1], hidden2[OUT2], hidden3[OUT3];
DENSE(1, IN1, OUT1, x, hidden1, 0)
DENSE(2, OUT1, OUT2, hidden1, hidden2, 0)
DENSE(3, OUT2, OUT3, hidden2, hidden3, 0)
DENSE(4, OUT3, OUT4, hidden3, y, -32768)

void layer(void)
{
    dense1();
    dense2();
    dense3();
    dense4();
    uint8_t best = 0;
    for (uint8_t o = 1; o < OUT4; o++)
        if (y[o] > y[best])
            best = o;
    character = best;
}
