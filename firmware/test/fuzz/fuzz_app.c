// The whole firmware on a board in memory, under libFuzzer: `./hil test fuzz`. Right images are run as well, and must
// give the same numbers however their steps are cut into requests, and whatever lay in memory that they do not keep.
#include <stdlib.h>
#include <string.h>

#include "fuzz_board.h"
#include "fuzz_host.h"
#include "fuzz_image.h"
#include "fuzz_input.h"

#define ACTIONS 40u // of one input
#define STEPS 5u    // of a pass that is compared
#define TRACES                                                                                                         \
    (WIRE_TRACE_H | WIRE_TRACE_C | WIRE_TRACE_OUTPUT | WIRE_TRACE_FINAL_STATE | WIRE_TRACE_LAST_OUTPUT |               \
     WIRE_TRACE_GATES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static fuzz_image_t made;

typedef void (*send_t)(uint8_t type, const void *payload, size_t size);

static void send_right(uint8_t type, const void *payload, size_t size) {
    (void)host_request(type, payload, size);
}

static void write_region(uint8_t region, uint16_t node, uint32_t offset, const uint8_t *data, size_t size,
                         send_t send) {
    uint8_t payload[WIRE_MAX_PAYLOAD_BYTES];
    const wire_write_t write = {.region = region, .node = node, .offset = offset};
    memcpy(payload, &write, sizeof write);
    memcpy(payload + sizeof write, data, size);
    send(WIRE_MSG_WRITE, payload, sizeof write + size);
}

// `send` may lose some of it: then the checks of the image have work to do.
static void load_image(send_t send) {
    const size_t piece = WIRE_MAX_PAYLOAD_BYTES - sizeof(wire_write_t);
    wire_image_begin_t begin = {.image_bytes = (uint32_t)made.size, .work_bytes = made.work_bytes};
    begin.flags = input_byte() & (WIRE_BEGIN_DROP_OLD | WIRE_BEGIN_IN_STORE | WIRE_BEGIN_TO_STORE);
    send(WIRE_MSG_IMAGE_BEGIN, &begin, sizeof begin);
    for (size_t offset = 0; offset < made.size; offset += piece) {
        const size_t left = made.size - offset;
        write_region(WIRE_REGION_IMAGE, 0, (uint32_t)offset, made.bytes + offset, left < piece ? left : piece, send);
    }
    const wire_image_commit_t commit = {.crc32 = made.crc32};
    send(WIRE_MSG_IMAGE_COMMIT, &commit, sizeof commit);
}

// A number for each byte of an input that is long enough for most runs.
static void fill_input(uint8_t *to, size_t size) {
    uint32_t state = input_word();
    for (size_t i = 0; i + sizeof(float) <= size; i += sizeof(float)) {
        state = state * 1664525u + 1013904223u; // Numerical Recipes
        const float x = (float)(int32_t)state * 0x1p-30f;
        memcpy(to + i, &x, sizeof x);
    }
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t run_payload(uint8_t *payload, const wire_run_t *run, const uint8_t *mask, const uint8_t *x,
                          size_t x_size) {
    const size_t mask_size = (run->flags & WIRE_RUN_MASK) == 0 ? 0 : 4u * ((run->steps + 31u) / 32u);
    const size_t mask_sent = smaller(mask_size, 64);
    memcpy(payload, run, sizeof *run);
    memcpy(payload + sizeof *run, mask, mask_sent);
    const size_t x_sent = smaller(x_size, WIRE_MAX_PAYLOAD_BYTES - sizeof *run - mask_sent);
    memcpy(payload + sizeof *run + mask_sent, x, x_sent);
    return sizeof *run + mask_sent + x_sent;
}

static void run_anything(void) {
    uint8_t payload[WIRE_MAX_PAYLOAD_BYTES];
    uint8_t x[WIRE_MAX_PAYLOAD_BYTES];
    uint8_t mask[64];
    const image_t *const image = loader_image(&fuzz_app.loader);
    wire_run_t run = {.steps = (uint16_t)input_below(5), .flags = input_byte() & 7u, .trace = input_byte() & TRACES};
    run.pass_index = (uint8_t)input_below(4);
    run.flags |= input_rarely(8) ? WIRE_RUN_STAGED_INPUT : 0u;
    run.steps = input_rarely(32) ? (uint16_t)(input_half() % 2048u) : run.steps;
    run.flags = input_rarely(64) ? input_byte() : run.flags;
    run.trace = input_rarely(64) ? input_byte() : run.trace;
    const bool carries =
        (run.flags & WIRE_RUN_STAGED_INPUT) == 0 && image != NULL && image_reads_input(image, run.pass_index);
    memset(mask, input_byte(), sizeof mask);
    fill_input(x, sizeof x);
    const size_t x_size = carries ? (size_t)run.steps * image->header->input_size * sizeof(float) : 0;
    host_request_somehow(WIRE_MSG_RUN, payload, run_payload(payload, &run, mask, x, x_size));
}

// All that runs of all passes gave.
typedef struct {
    uint8_t bytes[1u << 15];
    size_t size;
    bool is_whole; // nothing was refused
} record_t;

static uint8_t x_of_passes[STEPS * 256u * sizeof(float)];
static uint8_t mask_of_passes[4];
static uint32_t trace_of_passes;

static void keep(record_t *record, const fuzz_reply_t *reply) {
    const size_t head = sizeof(wire_run_reply_t);
    record->is_whole = record->is_whole && reply->count == 1 && reply->payload_size >= head &&
                       reply->header.type == (WIRE_MSG_RUN | WIRE_REPLY_BIT) &&
                       record->size + reply->payload_size <= sizeof record->bytes;
    if (record->is_whole) {
        memcpy(record->bytes + record->size, reply->payload + head, reply->payload_size - head);
        record->size += reply->payload_size - head;
    }
}

static void run_part(record_t *record, uint32_t pass_index, uint32_t first, uint32_t count, uint32_t flags) {
    uint8_t payload[WIRE_MAX_PAYLOAD_BYTES];
    const image_t *const image = loader_image(&fuzz_app.loader);
    const size_t step_bytes = image_reads_input(image, pass_index) ? image->header->input_size * sizeof(float) : 0;
    const wire_run_t run = {.steps = (uint16_t)count,
                            .flags = (uint8_t)(flags | (count > 0 ? WIRE_RUN_MASK : 0u)),
                            .trace = (uint8_t)trace_of_passes,
                            .pass_index = (uint8_t)pass_index};
    const uint8_t mask[sizeof mask_of_passes] = {(uint8_t)(mask_of_passes[0] >> first)};
    const size_t size = run_payload(payload, &run, mask, x_of_passes + first * step_bytes, count * step_bytes);
    const fuzz_reply_t reply = host_request(WIRE_MSG_RUN, payload, size);
    keep(record, &reply);
}

// `at_once`: each pass as one request; else a request for each step, and one for the end.
static void run_passes(record_t *record, const uint32_t *steps, bool at_once) {
    const uint32_t pass_count = loader_image(&fuzz_app.loader)->pass_count;
    *record = (record_t){.is_whole = true};
    for (uint32_t pass = 0; pass < pass_count && record->is_whole; pass++) {
        const uint32_t resets = pass == 0 ? WIRE_RUN_RESET_STATE : 0u;
        if (at_once) {
            run_part(record, pass, 0, steps[pass], resets | WIRE_RUN_END);
            continue;
        }
        for (uint32_t step = 0; step < steps[pass]; step++) {
            run_part(record, pass, step, 1, step == 0 ? resets : 0u);
        }
        run_part(record, pass, 0, 0, WIRE_RUN_END | (steps[pass] == 0 ? resets : 0u));
    }
}

// What a new sequence must not see: the steps that were kept of the last one, and the scratch. All are NaN from here.
static void spoil_memory(void) {
    const image_t *const image = loader_image(&fuzz_app.loader);
    uint8_t *const work = fuzz_app.loader.current.work;
    memset(work + image->state_bytes, 0xFF, image->header->work_bytes - image->state_bytes);
}

static bool same_results(const record_t *one, const record_t *other) {
    return one->size == other->size && memcmp(one->bytes, other->bytes, one->size) == 0;
}

static void compare_runs(void) {
    static record_t first;
    static record_t second;
    uint32_t steps[WIRE_MAX_NODES];
    host_hello();
    if (loader_image(&fuzz_app.loader) == NULL || loader_image(&fuzz_app.loader)->header->input_size > 256u) {
        return;
    }
    for (uint32_t pass = 0; pass < WIRE_MAX_NODES; pass++) {
        steps[pass] = pass < 4 ? input_below(STEPS + 1u) : 1u;
    }
    fill_input(x_of_passes, sizeof x_of_passes);
    mask_of_passes[0] = (uint8_t)~(input_byte() & input_byte());
    trace_of_passes = input_byte() & TRACES;
    run_passes(&first, steps, true);
    if (first.is_whole) {
        spoil_memory();
        run_passes(&second, steps, false);
        if (!second.is_whole || !same_results(&first, &second)) {
            abort(); // the same steps one by one give something else
        }
    }
}

static void read_anything(void) {
    wire_read_t read = {.region = (uint8_t)input_below(WIRE_REGION_GATES + 2u), .node = (uint16_t)input_below(8)};
    read.offset = input_below(4) == 1 ? input_edge() : input_byte();
    read.length = input_below(4) == 1 ? input_edge() : input_byte();
    host_request_somehow(WIRE_MSG_READ, &read, sizeof read);
}

static void write_anything(void) {
    uint8_t data[64];
    memset(data, input_byte(), sizeof data); // 0xFF: NaN
    const uint8_t region = (uint8_t)input_below(WIRE_REGION_GATES + 2u);
    const uint32_t offset = input_below(4) == 1 ? input_edge() : input_byte();
    write_region(region, (uint16_t)input_below(8), offset, data, input_below(sizeof data + 1u), host_request_somehow);
}

static void begin_anything(void) {
    wire_image_begin_t begin = {.image_bytes = input_edge(), .work_bytes = input_edge(), .flags = input_byte() & 7u};
    begin.flags = input_rarely(32) ? input_word() : begin.flags;
    host_request_somehow(WIRE_MSG_IMAGE_BEGIN, &begin, sizeof begin);
}

static void send_short(void) {
    static const uint8_t types[] = {
        WIRE_MSG_HELLO, WIRE_MSG_STATE_RESET, WIRE_MSG_COUNTERS,
        WIRE_MSG_ECHO,  WIRE_MSG_RESET,       WIRE_MSG_SET_BAUD}; // 1 + 65536 x of baud, of which some are possible
    const wire_hello_t hello = {.protocol_major = WIRE_PROTOCOL_MAJOR, .protocol_minor = input_byte()};
    host_request_somehow(types[input_below(sizeof types)], &hello, sizeof hello);
}

static void send_anything(void) {
    uint8_t noise[64];
    const size_t size = input_below(sizeof noise + 1u);
    for (size_t i = 0; i < size; i++) {
        noise[i] = input_byte();
    }
    if (input_below(2) == 1) {
        fuzz_board_send(NULL, noise, size);
        host_wait();
    } else {
        host_request_somehow(input_byte(), noise, size);
    }
}

static void make_and_load(void) {
    host_hello();
    made = fuzz_image_make();
    load_image(send_right);
}

static void load_somehow(void) {
    load_image(host_request_somehow);
}

static void load_again(void) {
    load_image(send_right);
}

static void fail_store(void) {
    fuzz_board_fail_store(input_rarely(4) ? input_word() : 0u);
}

static void act(void) {
    static void (*const actions[])(void) = {
        compare_runs,  make_and_load,  compare_runs,  run_anything,   run_anything, run_anything,
        make_and_load, load_somehow,   load_again,    read_anything,  fail_store,   send_short,
        send_short,    write_anything, send_anything, begin_anything,
    };
    actions[input_below(sizeof actions / sizeof actions[0])]();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t arenas[] = {118784, 118784, 118784, 30000, 4100, 1000, 64, 4};
    static const size_t stores[] = {0, 4096, FUZZ_IMAGE_BYTES, 8};
    input_begin(data, size);
    fuzz_board_open(arenas[input_below(8)], stores[input_below(4)]);
    made = fuzz_image_make();
    if (input_below(2) == 1) {
        fuzz_board_set_store(made.bytes, made.size);
    }
    host_boot();
    host_hello();
    for (uint32_t i = 0; i < ACTIONS && !input_is_empty(); i++) {
        act();
        host_check_image();
    }
    host_hello(); // whatever came, it answers
    fuzz_board_close();
    return 0;
}
