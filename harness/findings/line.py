"""Findings about what is at the other end of an open port."""

from __future__ import annotations

from harness.errors import LinkError, LinkTimeout, MismatchError
from harness.findings.kinds import Finding

LINE_FINDINGS = (
    Finding(
        "device_silent",
        "link",
        LinkTimeout,
        "nothing answers at the port",
        "{port} is silent: no byte came in {seconds} s, to greetings at {bauds} baud",
        "press the black reset button and run again; look at its power (LD3 is red) and its jumpers (CN2 both in, "
        "JP6 in, JP5 on U5V); flash it if nobody ever did: `hil flash`; another port than its own probe's is to "
        "be wired to PA2 and PA3, crossed, with ground",
        {
            "port": "/dev/ttyACM0",
            "seconds": "5.2",
            "bauds": "115200, 9600, 19200, 38400, 57600, 230400, 460800, 921600, 1000000, 2000000",
        },
    ),
    Finding(
        "wrong_baud",
        "link",
        LinkError,
        "our firmware answers, at another baud",
        "our firmware answers at {port} with {actual} baud, and not with the {asked} with which it should begin",
        "press the black reset button and run again; if it still answers with {actual}, it was built for that, or "
        "the board has another clock than its firmware thinks: `hil flash`",
        {
            "port": "/dev/ttyACM0",
            "asked": 115200,
            "actual": 57600,
        },
    ),
    Finding(
        "line_echoes",
        "link",
        LinkError,
        "the port gives back what is sent",
        "{port} gives back the very bytes that are sent, and nothing else answers",
        "take away the loop-back plug, or the jumper, that joins TX and RX (PA2 and PA3 on a Nucleo); a terminal "
        "or a shell with echo at the other end means that it is another port",
        {
            "port": "/dev/ttyUSB0",
        },
    ),
    Finding(
        "boot_loader",
        "link",
        MismatchError,
        "the chip's boot loader answers",
        "at {port} the boot loader in the chip's ROM answers ({shown}): no firmware was started",
        "BOOT0 is high: take the jumper off CN7 pins 5 and 7, press the black reset button, run again",
        {
            "port": "/dev/ttyUSB0",
            "shown": "79",
        },
    ),
    Finding(
        "not_our_firmware",
        "link",
        MismatchError,
        "other firmware answers",
        "at {port} something else than our firmware answers, at {baud} baud: {looks_like}; it sent {shown}",
        "look whether this is the right port: `hil list`; if it is the right board, `hil flash` puts our firmware "
        "there in place of what runs now",
        {
            "port": "/dev/ttyUSB0",
            "baud": 9600,
            "looks_like": "a modem or radio module, by its answer to AT",
            "shown": "b'AT\\r\\r\\nOK\\r\\n'",
        },
    ),
    Finding(
        "unreadable_bytes",
        "link",
        LinkError,
        "bytes come that are neither frames nor text",
        "{port} sends bytes that are neither our frames nor text at {bauds} baud: at {baud} {shown}",
        "look for a missing ground wire or RS-232 levels (3.3 V is right), and for firmware that talks at a baud "
        "that was not tried; `hil flash` puts ours there",
        {
            "port": "/dev/ttyUSB0",
            "bauds": "115200, 9600, 921600",
            "baud": 115200,
            "shown": "80 fe 00 e6 80 f8",
        },
    ),
    Finding(
        "line_noisy",
        "line",
        LinkError,
        "bytes are lost or damaged on the line",
        "of {exchanges} exchanges at {port} {repeats} had to be repeated: {bad_frames} damaged answers; the "
        "device counted {crc_errors} damaged frames, {overruns} overruns, {noise} bytes with noise",
        "take a shorter cable, no hub, a ground wire beside TX and RX, or a slower baud (--baud 115200); update "
        "old firmware of a probe with ST's STSW-LINK007. Until then results stay right, and runs become slow",
        {
            "port": "/dev/ttyACM0",
            "exchanges": 16,
            "repeats": 5,
            "bad_frames": 5,
            "crc_errors": 2,
            "overruns": 0,
            "noise": 7,
        },
    ),
)
