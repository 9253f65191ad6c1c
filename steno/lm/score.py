"""How well a model predicts text."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from steno.errors import LanguageModelError
from steno.lm.corpus import SPECIALS, UNKNOWN, file_name, located, read_lines, tokenize
from steno.lm.files import LanguageModelFile
from steno.text import ENGLISH, normalize


@dataclass(frozen=True)
class SentenceScore:
    """One sentence.

    Args:
        file, line: where it is.
        text: its tokens, normalised, with spaces between them.
        tokens, unknown: how many it has, without ``</s>``, and how many of them the model does not know.
        log10: log10 of its probability, ``</s>`` included by n-grams; a neural language model has none.
        log10_unknown: the part of it that unknown tokens have.
    """

    file: str
    line: int
    text: str
    tokens: int
    unknown: int
    log10: float
    log10_unknown: float


@dataclass(frozen=True)
class TextScore:
    """A whole text."""

    sentences: int
    tokens: int
    unknown: int
    log10: float
    log10_unknown: float
    ends: int
    """Of sentences, that are predicted too."""

    @property
    def perplexity(self) -> float:
        """Of tokens and ends of sentences, with ``<unk>`` for what the model does not know; infinite without that."""
        if self.unknown and not self.log10_unknown:
            return math.inf
        return _perplexity(self.log10, self.tokens + self.ends)

    @property
    def perplexity_of_known(self) -> float:
        """The same, without the tokens that the model does not know."""
        return _perplexity(self.log10 - self.log10_unknown, self.tokens - self.unknown + self.ends)

    @property
    def unknown_rate(self) -> float:
        """The part of the tokens that the model does not know."""
        return self.unknown / self.tokens


def score_text(model: LanguageModelFile, texts: Sequence[Path], alphabet: str = ENGLISH) -> Iterator[SentenceScore]:
    """Score sentences, one a line, normalised for an alphabet as :func:`steno.lm.build.build` does.

    Raises:
        LanguageModelError: a text cannot be used, or the alphabet cannot spell the model.
    """
    from flashlight.lib.text.dictionary import Dictionary

    model.check_fits(alphabet)
    dictionary = Dictionary()
    for token in (SPECIALS[UNKNOWN], *model.vocabulary):
        dictionary.add_entry(token)
    kenlm = model.kenlm(dictionary)
    known = set(model.vocabulary)
    for path in texts:
        empty = True
        for number, line in read_lines(path):
            with located(path, number):
                tokens = tokenize(line, model.units, alphabet)
            if not tokens:
                continue
            empty = False
            state, total, lost, unknown = kenlm.start(False), 0.0, 0.0, 0
            for token in tokens:
                is_known = token in known
                state, value = kenlm.score(state, dictionary.get_index(token if is_known else SPECIALS[UNKNOWN]))
                total += value
                if not is_known:
                    lost, unknown = lost + value, unknown + 1
            total += kenlm.finish(state)[1]
            yield SentenceScore(file_name(path), number, " ".join(tokens), len(tokens), unknown, total, lost)
        if empty:
            raise LanguageModelError(f"{file_name(path)}: has no words", "Give text, one sentence a line.")


def score_texts(
    log_likelihoods: Callable[[Sequence[str]], Iterable[float]], texts: Sequence[Path], alphabet: str = ENGLISH
) -> Iterator[SentenceScore]:
    """The same by a neural language model: ``log_likelihoods`` gives ln of texts' chances.

    Words that the alphabet cannot spell are unknown, and the others are scored as if they were not there.

    Raises:
        LanguageModelError: a text cannot be used.
    """
    letters = set(alphabet)
    for path in texts:
        lines = ((number, normalize(line, alphabet).split()) for number, line in read_lines(path))
        sentences = [(number, words) for number, words in lines if words]
        if not sentences:
            raise LanguageModelError(f"{file_name(path)}: has no words", "Give text, one sentence a line.")
        for first in range(0, len(sentences), _GROUP):
            group = sentences[first : first + _GROUP]
            known = [[word for word in words if letters.issuperset(word)] for _, words in group]
            scores = log_likelihoods([" ".join(words) for words in known])
            for (number, words), spelled, ln in zip(group, known, scores, strict=True):
                unknown = len(words) - len(spelled)
                log10 = float(ln) / math.log(10)
                yield SentenceScore(file_name(path), number, " ".join(words), len(words), unknown, log10, 0.0)


_GROUP = 256
"""Sentences that are scored at once."""


def summed(scores: Iterable[SentenceScore], with_ends: bool = True) -> TextScore:
    """The text that sentences make up; ``with_ends`` if their ends are predicted."""
    sentences = tokens = unknown = 0
    log10 = log10_unknown = 0.0
    for score in scores:
        sentences, tokens, unknown = sentences + 1, tokens + score.tokens, unknown + score.unknown
        log10, log10_unknown = log10 + score.log10, log10_unknown + score.log10_unknown
    return TextScore(sentences, tokens, unknown, log10, log10_unknown, sentences if with_ends else 0)


def _perplexity(log10: float, tokens: int) -> float:
    return float(10 ** (-log10 / tokens))
