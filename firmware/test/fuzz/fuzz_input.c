#include "fuzz_input.h"

static const uint8_t *next;
static size_t left;

void input_begin(const uint8_t *data, size_t size) {
    next = data;
    left = size;
}

bool input_is_empty(void) {
    return left == 0;
}

uint8_t input_byte(void) {
    if (left == 0) {
        return 0;
    }
    left--;
    return *next++;
}

uint16_t input_half(void) {
    const uint8_t low = input_byte();
    return (uint16_t)(low | input_byte() << 8);
}

uint32_t input_word(void) {
    const uint16_t low = input_half();
    return low | (uint32_t)input_half() << 16;
}

uint32_t input_below(uint32_t limit) {
    return input_byte() % limit;
}

bool input_rarely(uint32_t times) {
    return input_below(times) == 1;
}

uint32_t input_edge(void) {
    static const uint32_t near[] = {0, 0x100, 0x4000, 0x10000, 0x40000000u, 0x80000000u};
    const uint32_t which = input_below(8);
    if (which < sizeof near / sizeof near[0]) {
        return near[which] + input_below(5) - 2u; // also 2^32 less 1 and 2
    }
    return which == 6 ? input_word() : input_half();
}
