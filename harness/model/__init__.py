"""A network as the device runs it, what it is given, and the bytes of its image. NumPy only; knows no Keras.

nodes, spec      the network: nodes with weights and what they read; what goes in and comes out
store            the same as plain arrays, for files
plan             what runs in which pass
pack             the image; packed and tanh_table for the packed kernels, samples for measurements
memory, fit      what an image takes of a device, and whether a model fits a chip
trace, replies   which tensors are fetched, and what each reply holds of them
inputs           what a network is given; inputs_file, expected_file read it, whole is that of a whole Keras model
arrays, npz      the arrays of such files, checked; array_types: what an array is here
calls            several calls of a stateful model
views            arrays as nodes read them, for the oracle
"""
