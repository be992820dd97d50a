"""What the numbers should be: Keras in float32, and an independent NumPy implementation in float64.

Keras and TensorFlow are imported nowhere else, and only inside functions: `runtime.import_keras` is the one door.
Knows no device and no protocol beyond the enumerations that `model.nodes` uses.

    runtime       imports Keras 3 or Keras 2 quietly, with TensorFlow behind it
    model_file    reads and checks a model's file before Keras sees it
    config_check  its part for the description of the model: known layers only, no large sizes
    hdf5_file     its part for HDF5, with hdf5_reader in a process of its own
    npz_model     LSTM layers from an .npz file of their weights
    weights_file  weights from a file of their own, put into a model
    calls         the calls of a Keras graph, as either Keras records them
    graph         a Keras model -> its layers' calls in topological order, with what each one reads
    masks         which tensors of the graph the mask of the run accompanies
    model_inputs  which of a model's inputs are sequences or vectors, which the mask, which are initial states
    lowering      the graph -> a ModelSpec, call by call; refuses by name what the device cannot run
    network       its nodes in the making, and the tensors between them
    layers        its part for layers that compute, one node each
    reshapes      its part for layers that cut, repeat and join
    activation_choice  its part for activation functions
    refusals      how it refuses: by name, with what can be done
    one_layer     one LSTM of any model: what Keras gives it, and what it returns
    load          a file -> LoadedModel
    cache         what the oracle has said before, so that a second run needs no TensorFlow
    keras_oracle  LoadedModel and inputs -> every tensor that the device is judged by
    gates         its part for the gates of a step
    reference     ModelSpec and inputs -> the same tensors in float64, without Keras
    activations   its part for activation functions
"""
