"""Fuzzes the firmware for half a minute: `./hil test fuzz`. For longer: `python tests/firmware/fuzz.py 600`.

What libFuzzer finds worth keeping stays in .hil/fuzz, where the next run begins; an input that breaks something stays
there too, and its file is named. To see it again: the program that is named, with that file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.build.native import compile_fuzzer
from harness.build.paths import project_root, work_dir

SECONDS = 30

SEED = 1
"""Of the half minute only, so that a commit's verdict does not depend on luck. Longer runs draw their own."""

DRAWN_SEED = 0
"""libFuzzer's own word for: draw one."""


@dataclass(frozen=True)
class Fuzzer:
    """One program, its sources under firmware/test, and its share of the time."""

    name: str
    sources: str
    share: float
    longest_bytes: int


FUZZERS = (
    Fuzzer("fuzz_frames", "fuzz_frames.c", 0.2, 2200),  # a frame and a little more
    Fuzzer("fuzz_app", "fuzz/*.c", 0.8, 1024),  # some 40 requests
)


def run(fuzzer: Fuzzer, seconds: float, seed: int) -> bool:
    """Run one of them; true if it found nothing."""
    program = compile_fuzzer(fuzzer.name, sorted((project_root() / "firmware" / "test").glob(fuzzer.sources)))
    folder = work_dir() / "fuzz" / fuzzer.name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    options = [f"-seed={seed}", f"-max_total_time={round(seconds)}", f"-max_len={fuzzer.longest_bytes}", "-timeout=20"]
    # Without -len_control=0 it would spend half a minute on inputs too short for an image.
    options += ["-len_control=0", "-print_final_stats=1", f"-artifact_prefix={folder}/"]
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # nothing allocates but the harness
    done = subprocess.run(
        [program, *options, corpus], env=environment, stderr=subprocess.PIPE, text=True, errors="replace", check=False
    )
    return report(fuzzer, program, done)


def report(fuzzer: Fuzzer, program: Path, done: subprocess.CompletedProcess[str]) -> bool:
    """Say what came of a run."""
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode == 0 and executed is not None:
        sys.stdout.write(f"{fuzzer.name}: {executed.group(1)} inputs, nothing found\n")
        return True
    last_words = "\n".join(done.stderr.splitlines()[-60:])
    sys.stdout.write(f"{last_words}\n{fuzzer.name}: see above; to see it again: {program} FILE\n")
    return False


def main() -> int:
    """Run all of them."""
    seconds, seed = (float(sys.argv[1]), DRAWN_SEED) if len(sys.argv) > 1 else (SECONDS, SEED)
    found_nothing = [run(fuzzer, fuzzer.share * seconds, seed) for fuzzer in FUZZERS]
    return int(not all(found_nothing))


if __name__ == "__main__":
    sys.exit(main())
