"""From text to the file of an n-gram model."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from steno.errors import LanguageModelError
from steno.lm.corpus import SPECIALS, UNKNOWN, Progress, Units, check_spelling, file_name, read_corpus
from steno.lm.counts import count_grams
from steno.lm.files import write_model
from steno.lm.kneser_ney import Discounts, estimate
from steno.text import ENGLISH


@dataclass(frozen=True)
class Built:
    """What was built.

    Args:
        sentences, tokens: of the text, without ``<s>`` and ``</s>``.
        unknown: how many of the tokens are outside the vocabulary.
        vocabulary: words or characters that the model knows.
        counted, kept: n-grams of each order, before and after pruning.
        discounts: of each order.
    """

    sentences: int
    tokens: int
    unknown: int
    vocabulary: int
    counted: list[int]
    kept: list[int]
    discounts: list[Discounts]


def build(
    texts: Sequence[Path],
    outputs: Sequence[Path],
    order: int = 4,
    prune: Sequence[int] = (),
    vocabulary: int | None = None,
    units: Units = "words",
    alphabet: str = ENGLISH,
    compact: bool = False,
    progress: Progress = lambda what, part: None,
) -> Built:
    """Build an interpolated modified Kneser-Ney model and write it, to each output in the form that its suffix says.

    A 4-gram model takes some 130 bytes of memory for each word of the text, a 6-gram model 16 for each character.

    Args:
        texts: see :func:`steno.lm.corpus.read_corpus`, as for ``vocabulary`` and ``alphabet``.
        outputs: ``.bin`` for KenLM's binary form, ``.arpa`` or ``.arpa.gz`` for ARPA.
        prune: see :func:`steno.lm.kneser_ney.estimate`.
        compact: write ``.bin`` as a trie with quantised numbers, not as hash tables.

    Raises:
        LanguageModelError: settings that contradict, or a text that cannot be used.
    """
    _check(outputs, order, prune, vocabulary, compact)
    corpus = read_corpus(texts, units, alphabet, vocabulary, progress)
    check_spelling(", ".join(map(file_name, texts)), corpus.vocabulary[len(SPECIALS) :], units, alphabet)
    tables = list(count_grams(corpus, order, progress))
    model, discounts = estimate(corpus.vocabulary, tables, prune, progress)
    built = Built(
        sentences=corpus.sentences,
        tokens=corpus.words,
        unknown=int(tables[0].count[UNKNOWN]),
        vocabulary=len(corpus.vocabulary) - len(SPECIALS),
        counted=[len(table) for table in tables],
        kept=model.counts,
        discounts=discounts,
    )
    del corpus, tables
    for output in outputs:
        progress(f"writing {output}", 0)
        write_model(model, output, compact)
    return built


def _check(outputs: Sequence[Path], order: int, prune: Sequence[int], vocabulary: int | None, compact: bool) -> None:
    if not 1 <= order <= 255:
        raise LanguageModelError(f"order {order}: is not a length of n-grams", "Give 1 to 255; 3 or 4 is usual.")
    if vocabulary is not None and vocabulary < 1:
        raise LanguageModelError(f"vocabulary {vocabulary}: leaves no word", "Give at least 1.")
    given = ",".join(map(str, prune))
    if len(prune) > order:
        raise LanguageModelError(f"prune {given}: has more thresholds than the order, {order}")
    if any(low > high for low, high in pairwise(prune)):
        raise LanguageModelError(
            f"prune {given}: falls", "An n-gram cannot stay where a shorter one in it goes: let the thresholds rise."
        )
    if prune and prune[0] != 0:
        raise LanguageModelError(
            f"prune {given}: does not start with 0", "Single words are not pruned; leave rare ones out with --vocab."
        )
    if compact and not any(output.suffix == ".bin" for output in outputs):
        raise LanguageModelError("compact: there is no compact ARPA file", "Name an output .bin.")
    for output in outputs:
        if not output.name.endswith((".bin", ".arpa", ".arpa.gz")):
            raise LanguageModelError(
                f"{output}: does not say which form it is to have", "Name it .bin (KenLM), .arpa or .arpa.gz."
            )
        if output.suffix == ".bin" and order < 2:
            raise LanguageModelError(f"{output}: KenLM's binary form starts at order 2", "Write .arpa instead.")
        if not output.parent.is_dir():
            raise LanguageModelError(f"{output.parent}: no such folder", "Make it first.")
