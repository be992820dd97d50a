"""Bugs to plant in the firmware's own C: each is a text of a source and what stands there instead.

A new kernel adds a list of its own to MUTANTS. Gate orders come by themselves: every source of the engine has the order
from gates.h, and a mutant has another one in its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.paths import project_root

LIB = project_root() / "firmware" / "lib"
GATES_H = '#include "gates.h"'


@dataclass(frozen=True)
class Mutant:
    """One bug.

    Attributes:
        name: what is wrong.
        source: of firmware/lib.
        before: a text that stands in it once.
        after: what the mutant has in its place.
    """

    name: str
    source: str
    before: str
    after: str

    def planted(self) -> dict[Path, str]:
        """The source, and its text with the bug."""
        path = LIB / self.source
        text = path.read_text(encoding="utf-8")
        assert text.count(self.before) == 1, f"{self.source} has changed: bring the mutant '{self.name}' up to date"
        return {path: text.replace(self.before, self.after)}


def gate_orders(source: str) -> Iterator[Mutant]:
    """Every wrong order of the four gates."""
    gates = ("I", "F", "C", "O")
    for order in itertools.permutations(gates):
        if order != gates:
            yield gate_order(f"gates {''.join(order)}", source, order)


def gate_order(name: str, source: str, order: Sequence[str]) -> Mutant:
    """One source whose gates have an order of their own, in an enumeration where gates.h had been included."""
    gates = ", ".join(f"GATE_{gate}" for gate in order)
    return Mutant(name, source, GATES_H, f"enum {{ {gates}, GATES }};")


MUTANTS: dict[str, tuple[Mutant, ...]] = {
    "arm_math": (
        *gate_orders("engine/engine.c"),
        Mutant(
            "recurrent kernel transposed",
            "engine/engine.c",
            "matrix_vector(lstm->weights, GATES * units, lstm->input_size + units, hx, scratch);",
            """const uint32_t n = lstm->input_size;
    for (uint32_t r = 0; r < GATES * units; r++) {
        scratch[r] = 0.0f;
        for (uint32_t k = 0; k < units; k++) {
            scratch[r] += lstm->weights[(r / units * units + k) * (n + units) + r % units] * hx[k];
        }
        for (uint32_t k = units; k < units + n; k++) {
            scratch[r] += lstm->weights[r * (n + units) + k] * hx[k];
        }
    }""",
        ),
        Mutant("x before h", "engine/engine.c", "float *const h = hx;", "float *const h = hx + lstm->input_size;"),
        Mutant("bias dropped", "engine/engine.c", "if (lstm->bias != NULL)", "if (lstm->bias == hx)"),
        Mutant(
            "forget bias twice",
            "engine/engine.c",
            "arm_add_f32(scratch, lstm->bias, scratch, GATES * units);",
            "arm_add_f32(scratch, lstm->bias, scratch, GATES * units);"
            " arm_add_f32(f_gate, lstm->bias + GATE_F * units, f_gate, units);",
        ),
        Mutant(
            "activation of the gates on the candidate",
            "engine/engine.c",
            "activation_apply(lstm->activation, candidate, units);\n    activation_apply(lstm->recurrent_activation, o",
            "activation_apply(lstm->recurrent_activation, candidate, units);\n"
            "    activation_apply(lstm->recurrent_activation, o",
        ),
        Mutant(
            "no activation of c",
            "engine/engine.c",
            "activation_apply(lstm->activation, candidate, units);\n    arm_mult_f32(o_gate",
            "arm_mult_f32(o_gate",
        ),
        Mutant(
            "c forgotten", "engine/engine.c", "arm_mult_f32(f_gate, c, c, units);", "arm_copy_f32(f_gate, c, units);"
        ),
    ),
    # The first LSTM of the test's model goes through the table of tanh, the second one through packed.c.
    "packed": (
        *gate_orders("engine/packed_table.c"),
        *gate_orders("engine/packed.c"),
        Mutant(
            "bias dropped",
            "engine/packed_twin.c",
            "        z[row] += stream[row];",
            "        z[row] += 0.0f * stream[row];",
        ),
        Mutant("column 0 dropped", "engine/packed_twin.c", "stream[row] * lstm->hx[0]", "stream[row] * 0.0f"),
        Mutant("x before h", "engine/packed.c", ".x_place = hx + shape->units,", ".x_place = hx,"),
        Mutant("o added", "engine/packed_table.c", "packed_multiply_add(fused, o, t, t)", "(o + t)"),
        Mutant("c forgotten", "engine/packed_table.c", "packed_multiply_add(fused, f, c[unit], c[unit])", "f"),
        Mutant(
            "h not taken over",
            "engine/packed_twin.c",
            "memcpy(lstm->hx, lstm->h, lstm->units",
            "memcpy(lstm->hx, lstm->h, 0u",
        ),
        Mutant(
            "table of another step",
            "engine/packed_table.c",
            "float_of(TANH_TABLE_MAGIC);",
            "float_of(TANH_TABLE_MAGIC) * 2.0f;",
        ),
    ),
    "packed_fma": (
        Mutant("sum forgotten", "engine/packed_twin.c", "lstm->hx[column], z[row]);", "lstm->hx[column], 0.0f);"),
    ),
    "all": (
        Mutant("mask ignored", "image/image.c", "runs = !masked || (", "runs = !masked || masked || ("),
        Mutant(
            "zeros at masked steps",
            "image/image.c",
            "if ((record->flags & WIRE_NODE_FLAG_ZERO_OUTPUT_FOR_MASK) != 0) {",
            "if (record->units != 0) {",
        ),
        Mutant(
            "state not reset",
            "image/image.c",
            "memset((uint8_t *)image->work + input_bytes, 0, image->state_bytes - input_bytes);",
            "(void)input_bytes;",
        ),
        Mutant(
            "hard_sigmoid of Keras 2",
            "engine/activation.c",
            "[WIRE_ACT_HARD_SIGMOID] = piecewise_hard_sigmoid,",
            "[WIRE_ACT_HARD_SIGMOID] = piecewise_hard_sigmoid_keras2,",
        ),
        Mutant("bias of Dense dropped", "engine/engine.c", "if (dense->bias != NULL)", "if (dense->bias == x)"),
    ),
}
"""By kernel; "all": bugs outside of the kernels."""

PASS_MUTANTS = (
    Mutant("reversed steps read forward", "image/image_sources.c", "input->stride = -input->stride;", ""),
    Mutant(
        "reversed steps from the first row",
        "image/image_sources.c",
        "(ptrdiff_t)(rows - 1u) * input->stride;",
        "(ptrdiff_t)0;",
    ),
    Mutant(
        "offset of a source ignored",
        "image/image_sources.c",
        "start_of(image, source) + source->offset;",
        "start_of(image, source);",
    ),
    Mutant(
        "the last output for all steps",
        "image/image.c",
        "memcpy(node->kept + (size_t)step * record->units,",
        "memcpy(node->kept + (size_t)(step - step) * record->units,",
    ),
    Mutant("h begun with c", "image/image.c", "memcpy(node->h, node->inputs[1]", "memcpy(node->h, node->inputs[2]"),
    Mutant("c not begun", "image/image.c", "memcpy(node->c, node->inputs[2].first, state_bytes);", ""),
    Mutant("average not divided", "image/image.c", "(float)record->source_count", "1.0f"),
    Mutant("masked steps counted", "image/image.c", "node->pooled += counts ? 1u : 0u;", "node->pooled += 1u;"),
    Mutant("offset not added", "engine/engine.c", "scale[i] + offset[i];", "scale[i] + 0.0f * offset[i];"),
    Mutant("difference turned round", "engine/engine.c", "output[i] = a - b;", "output[i] = b - a;"),
    Mutant("sum for product", "engine/engine.c", "output[i] = a * b;", "output[i] = a + b;"),
    Mutant("minimum for maximum", "engine/engine.c", "output[i] = a > b ||", "output[i] = a < b ||"),
    Mutant("maximum for minimum", "engine/engine.c", "output[i] = a < b ||", "output[i] = a > b ||"),
)
"""Bugs of passes, sources and merges, which a network of one pass does not have."""

GATE_MUTANTS: dict[str, tuple[Mutant, ...]] = {
    "arm_math": (
        Mutant(
            "nothing behind the activations",
            "engine/engine.c",
            "arm_copy_f32(scratch, lstm->gates + GATES * units,",
            "arm_copy_f32(scratch, lstm->gates,",
        ),
    ),
    "packed": (
        gate_order("f and c swapped", "engine/packed_gates.c", "ICFO"),
        Mutant("halved", "engine/packed_gates.c", "is_halved ? 2.0f", "is_halved ? 1.0f"),
        Mutant("by the table always", "engine/packed_gates.c", "by_table = lstm->z == NULL;", "by_table = true;"),
        Mutant("not a sigmoid", "engine/packed_gates.c", "y : 0.5f + 0.5f * y;", "y : y;"),
    ),
    "all": (
        Mutant(
            "those of the step before at masked steps",
            "image/image.c",
            "memset(node->gates, 0, ",
            "memset(node->gates, 0, 0u * ",
        ),
    ),
}
"""Bugs of the gates' values alone, which leave h and c right."""
