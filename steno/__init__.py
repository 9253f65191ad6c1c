"""Steno: train, track, register, evaluate and serve your own speech recogniser.

Importing this package is cheap on purpose: neither torch nor mlflow is loaded until something needs it.
"""

__version__ = "0.1.0"
