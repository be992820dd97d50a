#include "usart.h"

#include "board.h"
#include "registers.h"
#include "ring.h"
#include "watchdog.h"
#include "wire_defs.h"
#include "wire_framing.h"

#define TX_PIN 2u
#define RX_PIN 3u
#define USART2_FUNCTION 7u // AF7: datasheets DS10693, DS10314, DS10086, alternate functions

// What comes in while the main loop computes a time step or waits for room to send: 27 ms of a line of 1.5 Mbaud. The
// latter takes 14 ms at most, for one reply goes out in each turn. It takes the largest frame whole, since Renode
// delivers a burst at once, without the time of the line in between.
static uint8_t rx_bytes[4096];
// What goes out while the next steps are computed: 14 ms of a line of 1.5 Mbaud, 350 steps of one unit or 4 of 128.
static uint8_t tx_bytes[2048];

_Static_assert(sizeof rx_bytes > WIRE_MAX_FRAME_BYTES + WIRE_MAX_FRAME_BYTES / 254 + 8, "a frame as it is on the line");

static ring_t rx_ring = {.data = rx_bytes, .size = sizeof rx_bytes};
static ring_t tx_ring = {.data = tx_bytes, .size = sizeof tx_bytes};

static volatile uint32_t ring_overflows; // these three are written by the interrupt handler only
static volatile uint32_t uart_overruns;
static volatile uint32_t uart_noise;
static uint32_t bytes_received; // these two by the main loop only
static uint32_t bytes_sent;

static bool sends_at_once;
static uint32_t usart_clock_hz;

// RM0390 25.4.4: with oversampling by 16, BRR is the clock's cycles per bit. Rounded, 45 MHz misses 115200 baud by 0.1
// % and 16 MHz by as much; a UART takes about 3 %.
static uint32_t cycles_per_bit(uint32_t baud) {
    return (usart_clock_hz + baud / 2u) / baud;
}

void usart_start(uint32_t clock_hz, bool dr_is_always_free) {
    sends_at_once = dr_is_always_free;
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOAEN;
    RCC_APB1ENR |= RCC_APB1ENR_USART2EN;
    (void)RCC_APB1ENR; // RM0390 6.2: a peripheral answers two bus cycles after its clock is enabled

    usart_clock_hz = clock_hz;
    USART2_BRR = cycles_per_bit(WIRE_BOOT_BAUD);

    // The transmitter drives its line high before the pin shows it, and the receiver starts after its pin is connected:
    // otherwise either side could see a start bit that is none. 8N1 is what the other bits' reset value says.
    USART2_CR1 = USART_CR1_UE | USART_CR1_TE;
    GPIOA_PUPDR = (GPIOA_PUPDR & ~GPIO_PUPDR_MASK(RX_PIN)) | GPIO_PUPDR_UP(RX_PIN); // an open line idles
    GPIOA_AFRL = (GPIOA_AFRL & ~(GPIO_AFRL_MASK(TX_PIN) | GPIO_AFRL_MASK(RX_PIN))) |
                 GPIO_AFRL_AF(TX_PIN, USART2_FUNCTION) | GPIO_AFRL_AF(RX_PIN, USART2_FUNCTION);
    GPIOA_MODER = (GPIOA_MODER & ~(GPIO_MODER_MASK(TX_PIN) | GPIO_MODER_MASK(RX_PIN))) | GPIO_MODER_ALTERNATE(TX_PIN) |
                  GPIO_MODER_ALTERNATE(RX_PIN);
    USART2_CR1 |= USART_CR1_RE | USART_CR1_RXNEIE;
    NVIC_ISER(USART2_IRQ) = NVIC_BIT(USART2_IRQ);
}

// 87 us a byte at 115200 baud, and the USART holds one byte beside the one that is coming in.
void usart_interrupt(void) {
    // Reading SR and then DR is what clears ORE, NF, FE and PE (RM0390 25.6.1). An overrun that comes between the two
    // reads stays set, and is taken in the next turn with ORE alone, DR holding nothing new.
    //
    // On the chip one turn takes what there is: the next byte is 87 us away. An emulator may have the next one in DR as
    // soon as this one is read, and QEMU 7.2 lowers the interrupt by that read all the same: it must be taken here.
    for (uint32_t status = USART2_SR; (status & (USART_SR_RXNE | USART_SR_ORE)) != 0u; status = USART2_SR) {
        const uint8_t byte = (uint8_t)USART2_DR;
        if ((status & USART_SR_ORE) != 0u) {
            uart_overruns++;
        }
        if ((status & (USART_SR_NF | USART_SR_FE | USART_SR_PE)) != 0u) {
            uart_noise++; // handed on: the frame's CRC judges it
        }
        if ((status & USART_SR_RXNE) != 0u && !ring_put(&rx_ring, byte)) {
            ring_overflows++;
        }
    }
    // On the chip one byte fills DR and ends the loop. An emulator that sends at once empties the ring here, which it
    // has to: see start_sending. On QEMU each read of SR wakes its main loop, which costs more than the byte.
    while ((USART2_CR1 & USART_CR1_TXEIE) != 0u && (sends_at_once || (USART2_SR & USART_SR_TXE) != 0u)) {
        uint8_t byte;
        if (ring_take(&tx_ring, &byte)) {
            USART2_DR = byte;
        } else {
            USART2_CR1 &= ~USART_CR1_TXEIE;
        }
    }
}

static void start_sending(void) {
    // The handler may run between this read and this write, and clear TXEIE. Then it is set again for an empty ring,
    // and the handler clears it once more. No other bit of CR1 changes while there is anything to send.
    USART2_CR1 |= USART_CR1_TXEIE;
    // QEMU 7.2 raises no interrupt for TXE. On the chip this is one that TXEIE has pended anyway.
    NVIC_ISPR(USART2_IRQ) = NVIC_BIT(USART2_IRQ);
}

size_t board_uart_read(uint8_t *data, size_t size) {
    size_t count = 0;
    while (count < size && ring_take(&rx_ring, &data[count])) {
        count++;
    }
    bytes_received += (uint32_t)count;
    return count;
}

void board_uart_write(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!ring_put(&tx_ring, data[i])) {
            start_sending();
            while (!ring_put(&tx_ring, data[i])) {
                // No WFI: the handler may have made room just before it, and nothing need be on its way any more.
            }
            watchdog_feed(); // a byte has left: a slow line is no program that hangs
        }
    }
    start_sending();
    bytes_sent += (uint32_t)size;
}

size_t board_uart_room(void) {
    return tx_ring.size - (tx_ring.head - tx_ring.tail);
}

void board_uart_flush(void) {
    // TC falls with the write to DR, so it cannot be seen set between the ring's last byte and its way onto the line.
    uint32_t tail = tx_ring.tail;
    while (!ring_is_empty(&tx_ring) || (USART2_SR & USART_SR_TC) == 0u) {
        if (tx_ring.tail != tail) {
            tail = tx_ring.tail;
            watchdog_feed(); // likewise
        }
    }
}

void usart_set_baud(uint32_t baud) {
    board_uart_flush();
    // The line is idle and TXEIE off, so the handler writes nothing to CR1 here. Only the receiver is stopped: without
    // UE the pin would be let go, which the other side could take for a start bit.
    USART2_CR1 &= ~USART_CR1_RE;
    USART2_BRR = cycles_per_bit(baud);
    USART2_CR1 |= USART_CR1_RE;
}

board_uart_counters_t board_uart_counters(void) {
    return (board_uart_counters_t){
        .ring_overflows = ring_overflows,
        .uart_overruns = uart_overruns,
        .uart_noise = uart_noise,
        .bytes_received = bytes_received,
        .bytes_sent = bytes_sent,
    };
}

bool usart_has_received(void) {
    return !ring_is_empty(&rx_ring);
}
