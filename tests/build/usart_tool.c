// Runs the chip's usart.c against simulated registers.
//
//   usart_tool baud HZ          prints the divider that is set
//   usart_tool set-baud HZ BAUD prints the divider, and CR1 as it is when the divider is written and afterwards
//   usart_tool receive SR:DR... an interrupt for each pair; prints what was received, in hex, and the counters
//   usart_tool burst N          one interrupt, with N bytes that come into DR as soon as the one before it is read
//   usart_tool flood N INDEX    N received bytes that nobody reads, into a ring whose indices begin at INDEX; prints
//                               the counters
//   usart_tool send TEXT SR...  an interrupt at each of these states; prints what was put into DR, and whether the
//                               interrupt is off at the end; with `at-once` behind TEXT on a line that is never busy
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile uint32_t *simulated(uint32_t address);
#define REG32(address) (*simulated(address))

#include "../../firmware/port/stm32f4/usart.c"

void watchdog_feed(void) {
}

enum { SR, DR, BRR, CR1, COUNT };
static volatile uint32_t now[COUNT];
static volatile uint32_t elsewhere;
static volatile uint32_t *last = &elsewhere;
static uint32_t to_come; // bytes that wait for DR
static bool watches_divider;

// Every use of a register comes by here, so that a use of DR is seen at the next one: what was received is gone then.
static volatile uint32_t *simulated(uint32_t address) {
    if (last == &now[DR]) {
        printf("dr %02x\n", now[DR]);
        now[SR] &= ~(USART_SR_RXNE | USART_SR_ORE | USART_SR_NF | USART_SR_FE | USART_SR_PE);
        if (to_come > 0u) {
            to_come--;
            now[DR]++;
            now[SR] |= USART_SR_RXNE;
        }
    }
    const uint32_t index = (address - 0x40004400u) / 4u;
    if (watches_divider && index == BRR) {
        printf("cr1_at_brr %u\n", now[CR1]);
    }
    last = index < COUNT ? &now[index] : &elsewhere;
    return last;
}

static void print_counters(void) {
    const board_uart_counters_t counters = board_uart_counters();
    printf("ring_overflows %u\nuart_overruns %u\nuart_noise %u\nbytes_received %u\nbytes_sent %u\n",
           counters.ring_overflows, counters.uart_overruns, counters.uart_noise, counters.bytes_received,
           counters.bytes_sent);
}

static void print_received(void) {
    uint8_t data[4096];
    const size_t size = board_uart_read(data, sizeof data);
    for (size_t i = 0; i < size; i++) {
        printf("received %02x\n", data[i]);
    }
    print_counters();
}

static void interrupt(uint32_t status, uint32_t data) {
    now[SR] = status;
    now[DR] = data;
    usart_interrupt();
}

int main(int argc, char **argv) {
    const char *const command = argc > 2 ? argv[1] : "";
    if (strcmp(command, "baud") == 0) {
        usart_start((uint32_t)strtoul(argv[2], NULL, 10), false);
        printf("brr %u\n", now[BRR]);
    } else if (strcmp(command, "set-baud") == 0) {
        usart_start((uint32_t)strtoul(argv[2], NULL, 10), false);
        now[SR] = USART_SR_TC | USART_SR_TXE;
        watches_divider = true;
        usart_set_baud((uint32_t)strtoul(argv[3], NULL, 10));
        printf("brr %u\ncr1 %u\n", now[BRR], now[CR1]);
    } else if (strcmp(command, "receive") == 0) {
        for (int i = 2; i < argc; i++) {
            unsigned status = 0;
            unsigned byte = 0;
            (void)sscanf(argv[i], "%x:%x", &status, &byte);
            interrupt(status, byte);
        }
        print_received();
    } else if (strcmp(command, "burst") == 0) {
        to_come = (uint32_t)strtoul(argv[2], NULL, 10) - 1u;
        interrupt(USART_SR_RXNE, 0);
        print_received();
    } else if (strcmp(command, "flood") == 0) {
        const uint32_t count = (uint32_t)strtoul(argv[2], NULL, 10);
        rx_ring.head = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0u;
        rx_ring.tail = rx_ring.head;
        for (uint32_t i = 0; i < count; i++) {
            interrupt(USART_SR_RXNE, i & 0xFFu);
        }
        print_received();
    } else if (strcmp(command, "send") == 0) {
        int next = 3;
        if (argc > next && strcmp(argv[next], "at-once") == 0) {
            usart_start(16000000u, true);
            next++;
        }
        board_uart_write((const uint8_t *)argv[2], strlen(argv[2]));
        for (; next < argc; next++) {
            now[SR] = (uint32_t)strtoul(argv[next], NULL, 16);
            usart_interrupt();
        }
        if ((now[SR] & USART_SR_TC) != 0u) {
            board_uart_flush();
        }
        printf("txeie %u\n", (now[CR1] & USART_CR1_TXEIE) != 0u);
        print_counters();
    }
    return 0;
}
