"""Measures how far correct programs are from float64, and writes docs/ACCURACY.md: `python -m harness.accuracy`.

The document is its template, filled in: constants come from the modules that use them, figures from measuring. Its
check fills in everything but the figures, which another processor may change in their last digits.

    __main__     the command
    document     the template ACCURACY.md.j2 with its figures, or with blanks in place of them
    figures      all that the template asks for, measured
    models       what is measured: models of several shapes, and the digits example
    float32      Keras and NumPy in float32 against float64, and against the default tolerances
    twins        whether Keras' model, layer and cell agree bit for bit
    kernels      the firmware's kernels against float64
    activations  the firmware's activation functions, and the table of tanh, against float64
"""
