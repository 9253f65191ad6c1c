"""Interpolated modified Kneser-Ney as Chen and Goodman (1998) define it: dictionaries, recursion, no speed."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

Gram = tuple[str, ...]


class Oracle:
    """A model of sentences; ``prune[n - 1]`` is the count up to which n-grams are left out."""

    def __init__(self, sentences: Sequence[Sequence[str]], order: int, prune: Sequence[int] = (0,)) -> None:
        padded = [("<s>", *sentence, "</s>") for sentence in sentences]
        self.order = order
        self.counts = {
            n: Counter(words[i : i + n] for words in padded for i in range(len(words) - n + 1))
            for n in range(1, order + 1)
        }
        self.adjusted = {n: self._adjusted(n) for n in self.counts}
        self.discounts = {n: self._discounts(n) for n in self.counts}
        self.kept = {
            n: {g for g in counts if counts[g] > prune[min(n, len(prune)) - 1]} for n, counts in self.counts.items()
        }
        self.size = len(self.counts[1])  # words and </s>, and <unk> in the place of <s>
        self.after: dict[Gram, list[Gram]] = defaultdict(list)
        for adjusted in self.adjusted.values():
            for gram in adjusted:
                self.after[gram[:-1]].append(gram)

    def _adjusted(self, n: int) -> dict[Gram, int]:
        counts = self.counts[n]
        if n < self.order:
            preceding: dict[Gram, set[str]] = defaultdict(set)
            for gram in self.counts[n + 1]:
                preceding[gram[1:]].add(gram[0])
            adjusted = {g: count if g[0] == "<s>" else len(preceding[g]) for g, count in counts.items()}
        else:
            adjusted = dict(counts)
        if n == 1:
            del adjusted[("<s>",)]
        return adjusted

    def _discounts(self, n: int) -> list[float]:
        n1, n2, n3, n4 = (sum(count == k for count in self.adjusted[n].values()) for k in range(1, 5))
        if not (n1 and n2 and n3 and n4):
            return [0, 0.5, 1, 1.5]
        y = n1 / (n1 + 2 * n2)
        found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        if any(not 0 < discount <= k for k, discount in enumerate(found, start=1)):
            return [0, 0.5, 1, 1.5]
        return [0, *found]

    def _taken(self, gram: Gram) -> float:
        n, count = len(gram), self.adjusted[len(gram)][gram]
        return self.discounts[n][min(count, 3)] if gram in self.kept[n] else count

    def backoff(self, context: Gram) -> float:
        """The weight of the order below after a context."""
        after = self.after.get(context, [])
        total = sum(self.adjusted[len(gram)][gram] for gram in after)
        return sum(map(self._taken, after)) / total if total else 1.0

    def probability(self, gram: Gram) -> float:
        """Of the last word after the others."""
        lower = self.probability(gram[1:]) if len(gram) > 1 else 1 / self.size
        after = self.after.get(gram[:-1], [])
        total = sum(self.adjusted[len(other)][other] for other in after)
        if gram not in self.adjusted[len(gram)]:
            return self.backoff(gram[:-1]) * lower
        share = (self.adjusted[len(gram)][gram] - self._taken(gram)) / total
        return share + self.backoff(gram[:-1]) * lower

    def arpa(self) -> dict[Gram, tuple[float, float]]:
        """Every n-gram of the model, with both logarithms to base 10."""
        found = {("<unk>",): (math.log10(self.probability(("<unk>",))), 0.0)}
        for n, kept in self.kept.items():
            for gram in kept:
                probability = 1.0 if gram == ("<s>",) else self.probability(gram)
                backoff = self.backoff(gram) if n < self.order else 1.0
                found[gram] = (math.log10(probability), math.log10(backoff))
        return found
