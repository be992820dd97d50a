"""How a model is refused: by the name of the layer, what about it, and what its owner can do."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import ModelRefused
from harness.protocol.wire import Operation

CONTAINERS = frozenset({"Sequential", "Functional"})
"""Models, also inside a model, where they are flattened."""

MERGES = {
    "Concatenate": Operation.CONCATENATE,
    "Add": Operation.ADD,
    "Subtract": Operation.SUBTRACT,
    "Multiply": Operation.MULTIPLY,
    "Average": Operation.AVERAGE,
    "Maximum": Operation.MAXIMUM,
    "Minimum": Operation.MINIMUM,
}
"""Layers that make one tensor of several, by their Keras class names."""

SAME_AT_INFERENCE = frozenset(
    {
        *("Dropout", "SpatialDropout1D", "GaussianDropout", "AlphaDropout", "GaussianNoise"),
        *("ActivityRegularization", "Identity"),
    }
)
"""Layers that give at inference what they are given."""

LAYERS = SAME_AT_INFERENCE | frozenset(
    {
        *("InputLayer", "LSTM", "Bidirectional", "Dense", "Activation", "Softmax", "TimeDistributed"),
        *("ReLU", "LeakyReLU", "ELU"),
        *("BatchNormalization", "GlobalAveragePooling1D", "GlobalMaxPooling1D"),
        *("Masking", "RepeatVector", "Reshape", "Flatten", *MERGES),
    }
)
"""Layers that this version runs, by their Keras class names."""

MASK_OPERATIONS = frozenset({"NotEqual", "Any", "LogicalOr", "OnesLike", "ZerosLike", "ExpandDims"})
"""What Keras 3 writes into a model's file for the masks that its layers hand on. It is never run by itself."""

NEVER = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
"""Keras' own layers that run code from elsewhere, or from a file that they name: never loaded, not even beside an LSTM
that is validated alone."""

_SUPPORTED = (
    "This version runs LSTM, Bidirectional, Dense, Activation, Softmax, ReLU, LeakyReLU, ELU, TimeDistributed, "
    "Masking, RepeatVector, "
    "Reshape, Flatten, Concatenate, Add and their like, and Dropout layers."
)

_REMEDIES = {
    "Lambda": "A Lambda holds arbitrary Python code and is never run. Put what it computes into the inputs, or use "
    "layers that this version runs.",
    "Embedding": "Remove the Embedding layer, and put the embedded vectors into the inputs file.",
    "CuDNNLSTM": "Make the same model in tf_keras with LSTM(..., recurrent_activation='sigmoid'), load_weights from "
    "this file into it, which converts them, and save it.",
}


def refused_layer(name: str, class_name: str) -> ModelRefused:
    """The refusal of a layer whose class this version does not run."""
    return ModelRefused(
        f"Layer '{name}' is a {class_name}, which this version does not run.",
        code="layer_not_supported",
        remedy=_REMEDIES.get(class_name, _SUPPORTED),
    )


def offering(refused: ModelRefused, lstms: Sequence[str]) -> ModelRefused:
    """The same refusal with the offer to validate an LSTM of the model alone, if it has any of these names."""
    if lstms and refused.code in ("layer_not_supported", "option_not_supported", "structure_not_supported"):
        options = " or ".join(f"--layer {name}" for name in lstms)
        return ModelRefused(
            refused.message,
            code=refused.code,
            remedy=f"{refused.remedy} Or validate an LSTM alone, on what Keras itself gives it: "
            f"`hil validate MODEL` with {options}",
        )
    return refused


def refused_option(name: str, option: str, remedy: str) -> ModelRefused:
    """The refusal of one option of a layer, e.g. "go_backwards=True"."""
    return ModelRefused(
        f"Layer '{name}' has {option}, which this version does not run.", code="option_not_supported", remedy=remedy
    )


def refused_structure(message: str, remedy: str = "") -> ModelRefused:
    """The refusal of what a model's layers read, or of what it reads and returns itself."""
    return ModelRefused(message, code="structure_not_supported", remedy=remedy or _SUPPORTED)


def refused_custom_code(name: str, what: str) -> ModelRefused:
    """The refusal of something that only its author's Python code could compute."""
    return ModelRefused(
        f"'{name}' needs {what}, which is custom Python code. It is never run.",
        code="custom_object",
        remedy=f"Use what Keras itself has. {_SUPPORTED}",
    )
