"""A manifest's utterances in parts that share no speaker and no sentence."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from steno.data.manifest import Manifest, Utterance
from steno.errors import ManifestError
from steno.fragments import part_of
from steno.text import normalize

Apart = Literal["speaker", "sentence"]

_MOST_OVER = 1.5
"""Of a part's wanted hours, that one group may make it have."""


@dataclass(frozen=True)
class Group:
    """Utterances that have to stay together: their places in the manifest, and their seconds."""

    places: tuple[int, ...]
    seconds: float


def groups(manifest: Manifest, apart: Iterable[Apart]) -> list[Group]:
    """The utterances that hang together by what no two parts may share, in the order of their first ones.

    An utterance without a speaker or text shares none. Parts of one recording share its voices.
    """
    wanted = set(apart)
    parent: dict[object, object] = {}

    def root(key: object) -> object:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for place, utterance in enumerate(manifest):
        for key in _keys(utterance, wanted):
            parent[root(place)] = root(key)
    members: dict[object, list[int]] = {}
    for place in range(len(manifest)):
        members.setdefault(root(place), []).append(place)
    return [Group(tuple(places), float(manifest.durations[places].sum())) for places in members.values()]


def _keys(utterance: Utterance, apart: set[Apart]) -> Iterable[tuple[str, str]]:
    if "speaker" in apart and utterance.speaker is not None:
        yield "speaker", utterance.speaker
    if "speaker" in apart and not (part := part_of(utterance.audio)).is_whole:
        yield "recording", str(part.recording)
    if "sentence" in apart and (text := normalize(utterance.text or "")):
        yield "sentence", text


def split(manifest: Manifest, shares: Mapping[str, float], apart: Iterable[Apart], seed: int) -> dict[str, list[int]]:
    """Places of utterances by part: those of ``shares`` get about that share of the hours, ``train`` the rest.

    Args:
        shares: of each part but ``train``, more than 0; their sum is less than 1.
        apart: what no two parts may share.
        seed: of the choice.

    Raises:
        ManifestError: the utterances hang together in fewer groups than there are parts.
    """
    apart = tuple(apart)
    found = groups(manifest, apart)
    if len(found) <= len(shares):
        what = " and ".join(apart)
        raise ManifestError(
            f"{manifest.path}: no two utterances are apart enough for {len(shares) + 1} parts: by {what} they hang "
            f"together in {len(found)} group{'' if len(found) == 1 else 's'}",
            f"Let parts share one of them (--apart {' or '.join(apart)}), or ask for fewer parts."
            if len(apart) > 1
            else "Record more, or ask for fewer parts.",
        )
    total = sum(group.seconds for group in found)
    left = random.Random(seed).sample(found, len(found))
    parts: dict[str, list[int]] = {}
    for number, (name, share) in enumerate(shares.items(), start=1):
        chosen = _chosen(left, share * total, len(shares) - number + 1)
        left = [group for group in left if group not in chosen]
        parts[name] = sorted(place for group in chosen for place in group.places)
    return {"train": sorted(place for group in left for place in group.places), **parts}


def _chosen(groups: list[Group], wanted: float, others: int) -> list[Group]:
    """Groups of about so many seconds, the first ones that fit; at least one, and at least one is left to each other
    part."""
    chosen: list[Group] = []
    seconds = 0.0
    for group in groups:
        fits = seconds + group.seconds <= _MOST_OVER * wanted
        if seconds < wanted and fits and len(groups) - len(chosen) > others:
            chosen.append(group)
            seconds += group.seconds
    return chosen or [min(groups, key=lambda group: group.seconds)]
