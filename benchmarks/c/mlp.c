// A network of dense layers with uint8 activations and ReLU, and the index of the largest logit.
#include "layer.h"

static inline int32_t scaled(int32_t acc, uint16_t multiplier, uint8_t shift)
{
    return (acc * multiplier + (1L << (shift - 1))) >> shift;
}

#define DENSE(N, IN, OUT, from, to, LOW, HIGH)                                       \
    static void dense##N(void)                                                              \
    {                                                                                       \
        const __flash int8_t *w = weights##N;                                               \
        for (uint8_t o = 0; o < OUT; o++) {                                                 \
            int32_t acc = bias##N[o];                                                       \
            for (uint8_t i = 0; i < IN; i++)                                                \
                acc += *w++ * from[i]; /* a product fits int */                             \
            int32_t value = scaled(acc, multiplier##N[o], SHIFT##N);                        \
            to[o] = value < LOW ? LOW : value > HIGH ? HIGH : value;                        \
        }                                                                                   \
    }

static uint8_t hidden1[OUT1], hidden2[OUT2];
static int16_t logits[OUT3];
DENSE(1, IN1, OUT1, x, hidden1, 0, 255)
DENSE(2, OUT1, OUT2, hidden1, hidden2, 0, 255)
DENSE(3, OUT2, OUT3, hidden2, logits, -32768, 32767)

void layer(void)
{
    dense1();
    dense2();
    dense3();
    uint8_t best = 0;
    for (uint8_t o = 1; o < OUT3; o++)
        if (logits[o] > logits[best])
            best = o;
    y[0] = best;
}
