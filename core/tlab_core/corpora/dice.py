"""Seeded choices that come out the same on every machine and in every version of Python."""

import random
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Dice made from `random.Random.random`, the one method whose sequence Python promises never to change."""

    def __init__(self, seed: int):
        self.share = random.Random(seed).random  # a number from 0 up to and without 1

    def below(self, limit: int) -> int:
        """Return a whole number from 0 up to and without `limit`."""
        return int(self.share() * limit)

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both possible."""
        return low + self.below(high - low + 1)

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[int(self.share() * len(options))]

    def favour(self, options: Sequence[T]) -> T:
        """Return one of the options, the first most often: each of four gets 50, 21, 16 and 13 percent."""
        return options[int(self.share() ** 2 * len(options))]

    def favour_different(self, options: Sequence[T], count: int) -> list[T]:
        """Return `count` different options, chosen as by `favour`."""
        chosen: dict[T, None] = {}
        while len(chosen) < count:
            chosen[self.favour(options)] = None
        return list(chosen)

    def shuffle(self, items: MutableSequence[T]) -> MutableSequence[T]:
        """Put the items into a random order (Fisher and Yates), in place, and return them."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
        return items

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """Return `count` different items in random order."""
        return self.shuffle(list(items))[:count]
