"""From settings and a caller's wishes to a decoder."""

import logging
from pathlib import Path as File
from typing import TYPE_CHECKING, Protocol

from steno.decoding.config import DecodingConfig
from steno.decoding.greedy import GreedyDecoder
from steno.decoding.hotwords import parse_hotwords
from steno.decoding.path import Emission, Hypothesis
from steno.errors import MissingExtraError
from steno.phonemes import Pronunciations
from steno.text import Tokenizer

if TYPE_CHECKING:
    from steno.decoding.beam import BeamDecoder
    from steno.decoding.second_pass import TextScorer

log = logging.getLogger(__name__)


class Decoder(Protocol):
    """Turns emissions into hypotheses."""

    def decode(self, emission_tv: Emission) -> list[Hypothesis]:
        """Hypotheses of an emission (T, V), best first, at least one."""


def build_decoder(
    tokenizer: Tokenizer,
    config: DecodingConfig,
    lm: File | None,
    hotwords: tuple[str, ...] = (),
    nbest: int = 1,
    pronunciations: Pronunciations | None = None,
    neural: "TextScorer | None" = None,
) -> "GreedyDecoder | BeamDecoder":
    """The decoder of these settings; ``lm`` is the file of ``config.lm``, and what a second pass rescores with follows.

    Raises:
        DecodingError: a hotword that the alphabet cannot spell.
        LanguageModelError: the language model cannot be read, or does not fit the alphabet.
        ModuleNotFoundError: beam search, without the extra ``lm``.
    """
    if config.method == "greedy":
        return GreedyDecoder(len(tokenizer))
    from steno.decoding.beam import BeamDecoder

    phrases = parse_hotwords(hotwords, tokenizer.alphabet)
    if phrases and pronunciations is not None:
        try:
            pronunciations.learn(word for hotword in phrases for word in hotword.phrase.split())
        except MissingExtraError as error:
            log.warning("hotwords that the model does not know are found by their letters alone: %s", error)
    return BeamDecoder(tokenizer, config, lm, phrases, nbest, pronunciations, neural)
