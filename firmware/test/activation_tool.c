// Applies a function to rows of float32 values from standard input, for the test-suite.
// usage: activation_tool ENUM_WIRE_ACT VALUES_PER_ROW
#include <stdio.h>
#include <stdlib.h>

#include "activation.h"

int main(int argc, char **argv) {
    static float row[1024];
    const size_t length = argc == 3 ? (size_t)atoi(argv[2]) : 0;
    if (length < 1 || length > sizeof row / sizeof row[0]) {
        return EXIT_FAILURE;
    }
    while (fread(row, sizeof row[0], length, stdin) == length) {
        activation_apply((uint8_t)atoi(argv[1]), row, (uint32_t)length);
        fwrite(row, sizeof row[0], length, stdout);
    }
    return EXIT_SUCCESS;
}
