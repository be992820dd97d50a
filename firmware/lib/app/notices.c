#include "notices.h"

#include <string.h>

#include "board.h"

// The largest LOG on the line: COBS adds a byte, and three zeros are its borders.
#define LOG_LINE_BYTES (sizeof(wire_header_t) + sizeof(wire_log_t) + WIRE_CRC_BYTES + 4u)

#define LOGS_SINCE_MINOR 1u // older hosts take a LOG for a wrong reply

static void send_unasked(const notices_t *notices, uint8_t type, const void *payload, size_t size) {
    const wire_header_t header = {.type = type | WIRE_REPLY_BIT, .session = notices->session};
    link_send_short(&header, payload, size);
}

void notices_init(notices_t *notices) {
    const uint32_t cause = board_info()->reset_cause;
    const uint32_t bad = WIRE_RESET_FAULT | WIRE_RESET_WATCHDOG | WIRE_RESET_WINDOW_WATCHDOG;
    memset(notices, 0, sizeof *notices);
    notices_tell_fault(notices);
    notices_log(notices, (cause & bad) != 0u ? WIRE_LOG_LEVEL_WARNING : WIRE_LOG_LEVEL_INFO, WIRE_LOG_BOOTED, cause, 0,
                0);
}

void notices_tell_fault(const notices_t *notices) {
    const wire_fault_t *const fault = board_fault();
    const bool was_cause = (board_info()->reset_cause & WIRE_RESET_FAULT) != 0u;
    if (fault != NULL && was_cause && notices->session == WIRE_SESSION_NONE) {
        send_unasked(notices, WIRE_MSG_FAULT, fault, sizeof *fault);
    }
}

static uint32_t bytes_lost(void) {
    const board_uart_counters_t uart = board_uart_counters();
    return uart.ring_overflows + uart.uart_overruns;
}

static uint32_t drops(const link_t *link) {
    const link_counters_t *const counters = &link->counters;
    return counters->crc_errors + counters->framing_errors + counters->oversized_frames + bytes_lost();
}

void notices_greeted(notices_t *notices, const link_t *link, uint32_t session, uint16_t host_minor) {
    notices->session = session;
    notices->host_reads_logs = host_minor >= LOGS_SINCE_MINOR;
    notices->told_of_drops = false;
    notices->drops_before = drops(link);
}

void notices_log(notices_t *notices, uint8_t level, uint16_t event, uint32_t value, uint32_t value2, uint32_t value3) {
    notices->number++;
    if (notices->count == NOTICES_QUEUED) {
        notices->dropped++;
        return;
    }
    notices->queue[(notices->first + notices->count) % NOTICES_QUEUED] = (wire_log_t){
        .level = level,
        .event = event,
        .number = notices->number,
        .value = value,
        .value2 = value2,
        .value3 = value3,
    };
    notices->count++;
}

void notices_poll(notices_t *notices) {
    if (notices->count == 0u || !notices->host_reads_logs || board_uart_room() < LOG_LINE_BYTES) {
        return;
    }
    send_unasked(notices, WIRE_MSG_LOG, &notices->queue[notices->first], sizeof(wire_log_t));
    notices->first = (notices->first + 1u) % NOTICES_QUEUED;
    notices->count--;
}

void notices_watch_link(notices_t *notices, const link_t *link) {
    const link_counters_t *const counters = &link->counters;
    if (notices->told_of_drops || notices->session == WIRE_SESSION_NONE || drops(link) == notices->drops_before) {
        return;
    }
    notices->told_of_drops = true;
    notices_log(notices, WIRE_LOG_LEVEL_WARNING, WIRE_LOG_FRAMES_DROPPED, counters->crc_errors,
                counters->framing_errors + counters->oversized_frames, bytes_lost());
}
