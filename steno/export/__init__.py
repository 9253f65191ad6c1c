"""A trained model brought to where it runs, with the proof that it is the same recogniser.

Needs what training does: ``onnx``, and torch where the weights themselves are wanted.
"""
