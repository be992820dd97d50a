// Applies one activation (enum wire_act, or "exp") to float32 values from standard input, for the test-suite.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activation.h"

int main(int argc, char **argv) {
    float value;
    if (argc != 2) {
        return EXIT_FAILURE;
    }
    const int is_exp = strcmp(argv[1], "exp") == 0;
    const uint8_t kind = (uint8_t)atoi(argv[1]);
    while (fread(&value, sizeof value, 1, stdin) == 1) {
        if (is_exp) {
            value = activation_exp(value);
        } else {
            activation_apply(kind, &value, 1);
        }
        fwrite(&value, sizeof value, 1, stdout);
    }
    return EXIT_SUCCESS;
}
