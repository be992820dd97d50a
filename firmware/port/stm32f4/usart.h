// USART2 on PA2 and PA3, which the board wires to the ST-LINK's virtual serial port. The rest of its interface is
// board_uart_* in board.h.
#ifndef USART_H
#define USART_H

#include <stdbool.h>
#include <stdint.h>

// At WIRE_BOOT_BAUD.
//
// `dr_is_always_free`: bytes leave as soon as they are written, so TXE need not be asked. So it is on QEMU, never on a
// chip.
void usart_start(uint32_t clock_hz, bool dr_is_always_free);

// Waits until all is sent, then goes on at another baud.
void usart_set_baud(uint32_t baud);

// True while a received byte waits to be read.
bool usart_has_received(void);

void usart_interrupt(void);

#endif
