"""The embedded corpus: sentences of our own, spoken by espeak-ng, in LibriSpeech's layout."""

from steno.data.synth.corpus import CorpusSummary, synthesise

__all__ = ["CorpusSummary", "synthesise"]
