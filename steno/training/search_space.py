"""What a search may change: ranges and choices of a recipe's settings, as plain text has them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from steno.config import read_yaml
from steno.errors import RecipeError

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*")
_FORM = "Write key=LOW..HIGH, such as optimizer.lr=1e-4..1e-2, or key=A|B|C, such as model.layers=6|8|10."
DECADE = 10.0
"""A range of positive numbers that spans as much is searched by its logarithm."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float
    whole: bool

    @property
    def logarithmic(self) -> bool:
        """Whether equal ratios, not equal differences, are equally likely."""
        return self.low > 0 and self.high / self.low >= DECADE

    @property
    def values(self) -> tuple[str, str]:
        """Both ends, written as YAML."""
        form = ".0f" if self.whole else "g"
        return f"{self.low:{form}}", f"{self.high:{form}}"

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class Choice:
    """Some values, written as YAML."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return "|".join(self.values)


Space = dict[str, Range | Choice]


def split(settings: Iterable[str]) -> tuple[Space, list[str]]:
    """The ranges and choices among ``key=value`` settings, and the others, which every trial has.

    Raises:
        RecipeError: a range is empty, or a key has two of them.
    """
    space: Space = {}
    fixed: list[str] = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        found = _read(key.strip(), text) if equals else None
        if found is None:
            fixed.append(setting)
        else:
            _put(space, key.strip(), found)
    return space, fixed


def read_space(path: Path) -> Space:
    """A file of ranges and choices: ``optimizer.lr: 1e-4..1e-2``, ``model.layers: [6, 8, 10]``.

    Raises:
        RecipeError: the file cannot be read, or a value is neither; the key is named.
    """
    space: Space = {}
    for key, value in read_yaml(path, RecipeError).items():
        found = Choice(tuple(map(_plain, value))) if isinstance(value, list) else _read(str(key), str(value))
        if found is None or (isinstance(found, Choice) and len(found.values) < 2):
            raise RecipeError(
                f"{path}: `{key}`: {value!r} is neither a range nor choices",
                "Write `optimizer.lr: 1e-4..1e-2` or `model.layers: [6, 8, 10]`.",
            )
        _put(space, str(key), found)
    return space


def merged(first: Space, second: Space) -> Space:
    """Both together.

    Raises:
        RecipeError: a key is in both, or there is none at all.
    """
    space = dict(first)
    for key, found in second.items():
        _put(space, key, found)
    if not space:
        raise RecipeError("the search has nothing to change: no setting has a range or choices", _FORM)
    return space


def _put(space: Space, key: str, found: Range | Choice) -> None:
    if key in space:
        raise RecipeError(f"`{key}` is searched twice: {space[key]} and {found}", "Give one range or list of choices.")
    space[key] = found


def _read(key: str, text: str) -> Range | Choice | None:
    match = _RANGE.fullmatch(text)
    if match:
        whole = all(re.fullmatch(r"[+-]?\d+", part) for part in match.groups())
        low, high = map(float, match.groups())
        if low >= high:
            raise RecipeError(f"`{key}`: {text.strip()} is an empty range", "The first number is the lower one.")
        return Range(low, high, whole)
    if "|" in text:
        values = tuple(value.strip() for value in text.split("|"))
        if not all(values):
            raise RecipeError(f"`{key}`: {text.strip()} has an empty choice", _FORM)
        return Choice(values)
    return None


def _plain(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
