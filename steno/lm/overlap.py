"""Whether an n-gram model was made of the very text that it is to be tried on."""

from collections.abc import Iterable, Sequence

from steno.lm.corpus import SPECIALS, UNKNOWN
from steno.lm.files import LanguageModelFile

LEAST_WORDS = 10
"""Of a text that is long enough to tell: of shorter ones all n-grams are met by chance."""
_LEAST_ORDER = 3
_LEAST_GAIN = 0.01
"""log10 by which an n-gram that a model holds is likelier than one that it does not; rounding makes less."""


def contained(model: LanguageModelFile, texts: Iterable[Sequence[str]]) -> tuple[int, int] | None:
    """How many texts a model of words holds n-gram for n-gram, all of its highest order, and of how many that is.

    Texts of fewer than :data:`LEAST_WORDS` words are not looked at. None of a model of characters or of an order below
    3, which tell nothing.

    A hash table does not list its n-grams. But where it holds one, the word is likelier than it would be by backing
    off, and how much that takes off is what the whole context takes off ``<unk>``, which follows nothing.

    Source: the back-off of Katz, "Estimation of probabilities from sparse data", 1987, as KenLM has it.

    Args:
        texts: normalised words of each.
    """
    from flashlight.lib.text.dictionary import Dictionary

    if model.units != "words" or model.order < _LEAST_ORDER:
        return None
    dictionary = Dictionary()
    for word in (SPECIALS[UNKNOWN], *model.vocabulary):
        dictionary.add_entry(word)
    kenlm = model.kenlm(dictionary)
    known, unknown = set(model.vocabulary), dictionary.get_index(SPECIALS[UNKNOWN])

    def scores(context: Sequence[int], word: int) -> tuple[float, float]:
        """log10 of the chance of a word after others, and of ``<unk>`` there."""
        state = kenlm.start(True)
        for one in context:
            state, _ = kenlm.score(state, one)
        return kenlm.score(state, word)[1], kenlm.score(state, unknown)[1]

    def holds(ngram: Sequence[int]) -> bool:
        whole, whole_unknown = scores(ngram[:-1], ngram[-1])
        shorter, shorter_unknown = scores(ngram[1:-1], ngram[-1])
        return (whole - shorter) - (whole_unknown - shorter_unknown) > _LEAST_GAIN

    found = looked_at = 0
    for words in texts:
        if len(words) < LEAST_WORDS:
            continue
        looked_at += 1
        if known.issuperset(words):
            numbers = [dictionary.get_index(word) for word in words]
            ngrams = (numbers[place : place + model.order] for place in range(len(words) - model.order + 1))
            found += all(map(holds, ngrams))
    return found, looked_at
