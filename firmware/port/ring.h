// A byte queue between one producer and one consumer, of which one may be an interrupt handler on the same core.
//
// The indices run freely and wrap with 32 bits; a power of two as size makes that wrap invisible, and lets all of the
// bytes be used. Each index has one writer, so nothing is ever locked. The fences order the compiler only: one core
// sees its own memory accesses in program order.
#ifndef RING_H
#define RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint8_t *data;
    uint32_t size;          // a power of two
    volatile uint32_t head; // bytes put in so far; written by the producer only
    volatile uint32_t tail; // bytes taken out so far; written by the consumer only
} ring_t;

static inline bool ring_is_empty(const ring_t *ring) {
    return ring->head == ring->tail;
}

// Producer only. False when the ring is full.
static inline bool ring_put(ring_t *ring, uint8_t byte) {
    const uint32_t head = ring->head;
    if (head - ring->tail == ring->size) {
        return false;
    }
    ring->data[head & (ring->size - 1u)] = byte;
    atomic_signal_fence(memory_order_release); // the byte is in place before the consumer can see it
    ring->head = head + 1u;
    return true;
}

// Consumer only. False when the ring is empty.
static inline bool ring_take(ring_t *ring, uint8_t *byte) {
    const uint32_t tail = ring->tail;
    if (ring->head == tail) {
        return false;
    }
    atomic_signal_fence(memory_order_acquire);
    *byte = ring->data[tail & (ring->size - 1u)];
    atomic_signal_fence(memory_order_release); // the byte is out before the producer can overwrite it
    ring->tail = tail + 1u;
    return true;
}

#endif
