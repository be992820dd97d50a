"""lstm-hil: proves that an LSTM trained in Keras gives the right numbers on an STM32."""

__version__ = "0.1.0"
