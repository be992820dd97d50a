// The flash store, sectors 4 to 7: its part of board.h, and whether it can be written here.
#ifndef FLASH_H
#define FLASH_H

#include <stdbool.h>

// Whether there is a flash controller. QEMU has none.
bool flash_is_writable(void);

#endif
