"""A network as the device runs it: `spec` describes it, `pack` makes the image's bytes. NumPy only; knows no Keras."""
