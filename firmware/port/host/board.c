// The firmware as a POSIX process: stdin and stdout are its UART. Runs under ASan and UBSan.
#define _GNU_SOURCE // dl_iterate_phdr, memfd_create

#include "board.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// About as much as the chip has left beside its stack and its data.
#define ARENA_BYTES (116u * 1024u)

// Sectors 4 to 7 of the chip.
#define STORE_BYTES (448u * 1024u)
#define ERASED 0xFF

// Where a restarted program finds the store of the one before: a number of a file descriptor.
#define STORE_VARIABLE "LSTM_HIL_STORE"

// For tests: the number of a file descriptor. The line then has a baud, and each change of it is told there as two
// uint32: the baud, and how many bytes had been sent by then.
#define BAUD_VARIABLE "LSTM_HIL_BAUD_LOG"
#define UART_CLOCK_HZ 45000000u // that of the chip

static _Alignas(8) uint8_t arena[ARENA_BYTES];
static uint8_t *store;

static board_info_t info;
static board_uart_counters_t counters;

static int baud_log = -1;
static uint32_t sent_before; // bytes, by the programs before the last restarts

// As if the cable were pulled. Whoever started us sees the pipe close.
static _Noreturn void hang_up(void) {
    exit(EXIT_SUCCESS);
}

static void copy_build_id(const uint8_t *note, size_t size) {
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) header;
        memcpy(&header, note, sizeof header);
        const size_t name_size = (header.n_namesz + 3u) & ~(size_t)3u; // both parts are padded to 4 bytes
        const size_t body_size = (header.n_descsz + 3u) & ~(size_t)3u;
        const uint8_t *name = note + sizeof header;
        if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4u && memcmp(name, "GNU", 4) == 0 &&
            header.n_descsz == sizeof info.build_id) {
            memcpy(info.build_id, name + name_size, sizeof info.build_id);
            return;
        }
        const size_t whole = sizeof header + name_size + body_size;
        if (whole > size) {
            return;
        }
        note += whole;
        size -= whole;
    }
}

static int visit_program(struct dl_phdr_info *program, size_t size, void *context) {
    (void)size;
    (void)context;
    for (size_t i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &program->dlpi_phdr[i];
        if (segment->p_type == PT_NOTE) {
            copy_build_id((const uint8_t *)(uintptr_t)(program->dlpi_addr + segment->p_vaddr), segment->p_memsz);
        }
    }
    return 1; // the first one is the program itself, the others are libraries
}

// The flash of this process: memory that board_reset hands on, as flash keeps what it holds.
static void open_store(void) {
    const char *const kept = getenv(STORE_VARIABLE);
    const int file = kept != NULL ? atoi(kept) : memfd_create("store", 0);
    if (file < 0 || file > 99 || (kept == NULL && ftruncate(file, STORE_BYTES) != 0)) {
        return;
    }
    void *const start = mmap(NULL, STORE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (start == MAP_FAILED) {
        return;
    }
    store = start;
    if (kept == NULL) {
        memset(store, ERASED, STORE_BYTES);
        const char number[] = {(char)('0' + file / 10), (char)('0' + file % 10), '\0'};
        (void)setenv(STORE_VARIABLE, number, 1);
    }
    info.capabilities |= WIRE_CAP_STORE_WRITE;
}

static void tell_baud(uint32_t baud) {
    const uint32_t entry[2] = {baud, sent_before + counters.bytes_sent};
    info.baud = baud;
    if (baud_log < 0 || write(baud_log, entry, sizeof entry) != (ssize_t)sizeof entry) {
        baud_log = -1;
    }
}

// A restarted program goes on where the one before has told how many bytes it had sent.
static void open_baud_log(void) {
    const char *const number = getenv(BAUD_VARIABLE);
    if (number == NULL) {
        return;
    }
    uint32_t last[2];
    baud_log = atoi(number);
    const off_t end = lseek(baud_log, 0, SEEK_END);
    if (end >= (off_t)sizeof last && pread(baud_log, last, sizeof last, end - (off_t)sizeof last) == sizeof last) {
        sent_before = last[1];
    }
    info.uart_clock_hz = UART_CLOCK_HZ;
    tell_baud(WIRE_BOOT_BAUD);
}

void board_init(void) {
    (void)signal(SIGPIPE, SIG_IGN); // a reader that goes away is seen at the write
    info.runs_on = WIRE_RUNS_ON_NATIVE;
    info.clock_source = WIRE_CLOCK_NONE;
    info.tick_source = WIRE_TICKS_NONE;
#ifdef __SANITIZE_ADDRESS__
    info.capabilities = WIRE_CAP_SANITIZERS;
#endif
    open_store();
    open_baud_log();
    (void)dl_iterate_phdr(visit_program, NULL);
}

const board_info_t *board_info(void) {
    return &info;
}

// Waits up to `timeout_ms` (-1: for ever) for a byte or the end of the input.
static bool input_is_ready(int timeout_ms) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, timeout_ms) > 0;
}

// poll() and not O_NONBLOCK, which would change the descriptor for every process that shares it.
size_t board_uart_read(uint8_t *data, size_t size) {
    if (size == 0u || !input_is_ready(0)) {
        return 0;
    }
    const ssize_t count = read(STDIN_FILENO, data, size);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
        return 0;
    }
    if (count <= 0) {
        hang_up();
    }
    counters.bytes_received += (uint32_t)count;
    return (size_t)count;
}

void board_uart_write(const uint8_t *data, size_t size) {
    counters.bytes_sent += (uint32_t)size;
    while (size > 0u) {
        const ssize_t count = write(STDOUT_FILENO, data, size);
        if (count >= 0) {
            data += count;
            size -= (size_t)count;
        } else if (errno == EAGAIN) {
            struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
            (void)poll(&output, 1, -1);
        } else if (errno != EINTR) {
            hang_up();
        }
    }
}

// A pipe that is ready takes this much at once (POSIX: PIPE_BUF is atomic).
size_t board_uart_room(void) {
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) > 0 ? PIPE_BUF : 0u;
}

void board_uart_flush(void) {
    // board_uart_write leaves nothing queued.
}

void board_uart_set_baud(uint32_t baud) {
    tell_baud(baud);
}

board_uart_counters_t board_uart_counters(void) {
    return counters;
}

uint8_t *board_arena(size_t *size) {
    *size = sizeof arena;
    return arena;
}

const uint8_t *board_store(size_t *size) {
    *size = store == NULL ? 0u : STORE_BYTES;
    return store;
}

uint32_t board_store_erase_ms(size_t size) {
    (void)size;
    return 1; // less, but 0 would be no announcement
}

uint32_t board_store_erase(size_t size) {
    memset(store, ERASED, size);
    return 0;
}

uint32_t board_store_program(size_t offset, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        store[offset + i] &= data[i]; // programming only clears bits
    }
    return 0;
}

uint32_t board_ticks(void) {
    return 0;
}

uint32_t board_stack_bytes(void) {
    return 0;
}

uint32_t board_fpscr(void) {
    return 0;
}

// A fault ends this process: whoever started it sees how.
const wire_fault_t *board_fault(void) {
    return NULL;
}

void board_clear_fault(void) {
}

void board_feed_watchdog(void) {
}

void board_idle(void) {
    (void)input_is_ready(-1);
}

// A new program image, so that the memory is as after power-on.
_Noreturn void board_reset(void) {
    if (baud_log >= 0) {
        tell_baud(WIRE_BOOT_BAUD);
    }
    char name[] = "firmware";
    char *arguments[] = {name, NULL};
    (void)execv("/proc/self/exe", arguments);
    abort();
}
