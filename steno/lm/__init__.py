"""N-gram language models: built from text, written for KenLM, measured, and opened for decoding."""

from steno.lm.files import LanguageModelFile, open_lm

__all__ = ["LanguageModelFile", "open_lm"]
