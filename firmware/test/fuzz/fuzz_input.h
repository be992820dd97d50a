// What the fuzzer chose: a supply of bytes that gives zeros when it is used up.
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void input_begin(const uint8_t *data, size_t size);
bool input_is_empty(void);

uint8_t input_byte(void);
uint16_t input_half(void);
uint32_t input_word(void);

// A number below `limit`, which is 1 to 256.
uint32_t input_below(uint32_t limit);

// True once in `times`, 2 to 256. An input of zeros has none of it: the plain way is the one that zeros take.
bool input_rarely(uint32_t times);

// Where errors sit: around 0, 2^16, 2^31 and 2^32, or anything.
uint32_t input_edge(void);

#endif
