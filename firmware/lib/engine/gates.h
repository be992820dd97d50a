// The gates of an LSTM in Keras' order (keras/src/layers/rnn/lstm.py), that of weights, sums and traces.
#ifndef GATES_H
#define GATES_H

enum { GATE_I, GATE_F, GATE_C, GATE_O, GATES };

#endif
