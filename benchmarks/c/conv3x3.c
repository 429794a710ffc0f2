// A convolution of 3x3 over SIZE x SIZE pixels of CHANNELS, as many out; zeros around the image.
#include "layer.h"

void layer(void)
{
    OUTPUT *to = y;
    for (uint8_t row = 0; row < SIZE; row++)
        for (uint8_t column = 0; column < SIZE; column++) {
            const __flash int8_t *w = weights;
            for (uint8_t o = 0; o < CHANNELS; o++) {
                ACC acc = bias[o];
                for (int8_t down = row - 1; down <= row + 1; down++)
                    for (int8_t right = column - 1; right <= column + 1; right++) {
                        if (down < 0 || down >= SIZE || right < 0 || right >= SIZE) {
                            w += CHANNELS;
                            continue;
                        }
                        const INPUT *from = x + (down * SIZE + right) * CHANNELS;
                        for (uint8_t c = 0; c < CHANNELS; c++)
                            acc += *w++ * from[c];
                    }
                int32_t value = (SIGNED(acc) * (int32_t)multiplier[o] + (1L << (SHIFT - 1))) >> SHIFT;
                *to++ = value < LOW ? LOW : value > HIGH ? HIGH : value;
            }
        }
}
