// What a fault leaves for the next boot, and what makes sure that there is one: the MPU's guard below the stack.
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire_defs.h"

// Arms the guard and the traps. From here on a stack overflow and a division by zero are faults.
void fault_guard(void);

// Where every fault handler ends, on a stack of its own: keeps a record and restarts. `sp` and `exc_return` are what
// the exception found, `exception` is its number.
_Noreturn void fault_taken(uint32_t sp, uint32_t exc_return, uint32_t exception);

// Once, at boot: why the chip was reset, as bits of enum wire_reset. A watchdog that bit becomes a record too.
uint32_t fault_reset_cause(uint8_t runs_on);

// To be called before a reset that the program asks for itself.
void fault_reset_is_ours(void);

#endif
