"""Which tensors of a Keras graph the mask of the run accompanies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.oracle.calls import class_name, is_operation
from harness.oracle.refusals import CONTAINERS, MASK_OPERATIONS, MERGES
from harness.oracle.runtime import KERAS_3, api_of

_DROPPED_BY = frozenset({"RepeatVector", "Reshape", "Flatten", "GlobalAveragePooling1D", "GlobalMaxPooling1D"})
"""Layers behind which there is no mask. Of most Keras 3 says so in a warning, and Keras 2 refuses to make the model."""


def travels_on(layer: Any, masked: Sequence[bool], place: int) -> bool:
    """Whether the mask comes with output `place` of a layer.

    Args:
        layer: a Keras layer, no model.
        masked: for each tensor that it reads, whether the mask comes with it.
        place: of the output.
    """
    kind = class_name(layer)
    if kind == "Masking":
        return True
    if kind == "LSTM":  # its last output and its states have no steps
        return any(masked[:1]) and place == 0 and bool(layer.return_sequences)
    if kind == "Bidirectional":
        outputs = 2 if layer.merge_mode is None else 1
        return any(masked[:1]) and place < outputs and bool(layer.return_sequences)
    if kind in MERGES:
        # One mask, beside tensors without: Keras 2 lets it pass, with Keras 3 every step counts.
        return all(masked) if api_of(layer).name == KERAS_3 else any(masked)
    return any(masked[:1]) and kind not in _DROPPED_BY


def makes_masks(operation: Any) -> bool:
    """Whether an operation of a graph is one of those that make masks of masks and of comparisons."""
    return is_operation(operation) and type(operation).__name__ in MASK_OPERATIONS | {"Concatenate"}


def makes_its_own(model: Any) -> bool:
    """Whether a model, or one inside it, has a Masking layer."""
    return any(
        makes_its_own(layer) if class_name(layer) in CONTAINERS else class_name(layer) == "Masking"
        for layer in model.layers
    )
