"""A small full-text index over a catalogue: all words of a query, by prefix, best match first."""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence

from shared.samples.retail import Product

_WORDS = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    return _WORDS.findall(text.lower())


class Index:
    def __init__(self, products: Sequence[Product]) -> None:
        self.products = products
        self._having: dict[str, set[int]] = defaultdict(set)
        for number, product in enumerate(products):
            for word in words(f"{product.title} {product.sku}"):
                self._having[word].add(number)
        self._words = sorted(self._having)

    def search(self, query: str, most: int = 20) -> list[Product]:
        """Products that have every word of the query, or a longer one that starts like it; whole words count more."""
        scores: Counter[int] | None = None
        for asked in words(query):
            found = Counter({number: 1 for word in self._starting(asked) for number in self._having[word]})
            found.update(self._having.get(asked, ()))
            if scores is None:
                scores = found
            else:
                scores = Counter({number: scores[number] + found[number] for number in scores.keys() & found.keys()})
        ranked = sorted((scores or {}).items(), key=lambda hit: (-hit[1], len(self.products[hit[0]].title), hit[0]))
        return [self.products[number] for number, _ in ranked[:most]]

    def _starting(self, prefix: str) -> list[str]:
        first = bisect_left(self._words, prefix)
        last = bisect_left(self._words, prefix + "\U0010ffff")
        return self._words[first:last]
