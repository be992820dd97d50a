"""Weights as C: the compiler must read back what Keras has."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.export import c_source, stack_gates
from harness.model.array_types import Float32Array
from harness.model.spec import ModelSpec

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def compiled(source: str, array: str, count: int, folder: Path) -> Float32Array:
    program = f"""{source}
#include <stdio.h>
int main(void) {{ return fwrite({array}, sizeof(float), {count}, stdout) == {count} ? 0 : 1; }}
"""
    path = folder / "weights.c"
    path.write_text(f"#include <math.h>\n{program}")
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Werror", "-Wno-unused", path, "-o", folder / "weights"], check=True)
    return np.frombuffer(subprocess.run([folder / "weights"], capture_output=True, check=True).stdout, np.float32)


def test_gates_are_stacked_as_by_hand() -> None:
    weights = np.arange(16 * 128, dtype=np.float32).reshape(16, 128)
    by_hand = np.concatenate([weights[:, :32], weights[:, 32:64], weights[:, 64:96], weights[:, 96:]], axis=0)
    np.testing.assert_array_equal(stack_gates(weights).reshape(2048), by_hand.reshape(2048))


@needs_gcc
@pytest.mark.parametrize("decimals", [None, 4])
def test_the_compiler_reads_back_every_value(tmp_path: Path, decimals: int | None) -> None:
    node = seeds.random_lstm_node(16, 32)
    spec = ModelSpec("m", "x", 16, None, (node,), (0,))
    got = compiled(c_source(spec, decimals), "lstm_kernel", 2048, tmp_path)
    want = stack_gates(node.kernel).reshape(-1)
    if decimals is not None:
        want = np.around(want.astype(np.float64), decimals).astype(np.float32)
    np.testing.assert_array_equal(got, want)


def test_rounded_values_have_no_more_digits_than_asked_for() -> None:
    text = c_source(ModelSpec("m", "x", 16, None, (seeds.random_lstm_node(16, 32),), (0,)), 4)
    values = re.findall(r"-?[0-9][^,; ]*f(?=,)", text)
    assert len(values) > 2048
    assert not [value for value in values if len(value.rstrip("f").partition(".")[2]) > 4 and "e" not in value]


@needs_gcc
def test_odd_names_and_values_still_compile(tmp_path: Path) -> None:
    kernel = np.array([[np.nan, np.inf, -np.inf, 1, -0.0, 1e-45, 3.4e38, 2]], np.float32)
    first = seeds.random_lstm_node(1, 2, name="2nd/größe */ \\\n", kernel=kernel)
    spec = ModelSpec("a\nb", "x", 1, None, (first, replace(first, source=0)), (1,))
    got = compiled(c_source(spec), "layer_2nd_gr__e_______kernel", 8, tmp_path)
    np.testing.assert_array_equal(np.isnan(got), [True] + [False] * 7)


def test_order_is_in_a_comment() -> None:
    text = c_source(seeds.rows_of_an_image())
    assert "Gates in the order i, f, c, o" in text
    assert "[4][28][75]: gate, input, unit" in text
    assert "static const float lstm_kernel[8400]" in text
    assert "static const float dense_kernel[750]" in text
