#include "app.h"
#include "board.h"

static app_t app; // not on the stack: it holds a whole frame

int main(void) {
    board_init();
    app_init(&app);
    for (;;) {
        board_feed_watchdog();
        if (!app_poll(&app)) {
            board_idle();
        }
    }
}
