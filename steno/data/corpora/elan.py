"""ELAN's annotations (.eaf).

Source: Max Planck Institute for Psycholinguistics, "EAF 3.0: Description of the ELAN Annotation Format".
"""

from collections import Counter
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from steno.data.corpora.base import Problem
from steno.data.corpora.tiers import AnnotationError, Interval, Tier
from steno.data.corpora.times import PartError

_ALIGNED = "ALIGNABLE_ANNOTATION"
_REFERENCE = "ANNOTATION_REF"


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuses what could define entities, which grow without bounds or name files."""
        raise AnnotationError("has a DOCTYPE, which ELAN does not write: take it out")


def read(data: bytes, path: str, recording: Path) -> list[Tier]:
    """The tiers; an annotation that refers to another has the times of that one.

    Args:
        data: of the file at ``path``.
        recording: what was annotated.

    Raises:
        AnnotationError: it is not a file of ELAN's, or not one that ELAN would write.
    """
    try:
        document = ElementTree.fromstring(data, ElementTree.XMLParser(target=_NoDoctype()))
    except AnnotationError:
        raise
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise AnnotationError(f"is not XML: {error}") from None
    if document.tag != "ANNOTATION_DOCUMENT":
        raise AnnotationError("is not ELAN's, whose XML is an ANNOTATION_DOCUMENT")
    header = document.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise AnnotationError(f"counts time in {units}: save it with milliseconds")
    times = _Times(document, _origin(document, recording))
    return [_tier(tier, times, path) for tier in document.iterfind("TIER")]


def _origin(document: Element, recording: Path) -> float:
    """Seconds of the recording at which the time of the annotations begins; ELAN shifts media against each other."""
    origins: dict[str, float] = {}
    for media in document.iterfind("HEADER/MEDIA_DESCRIPTOR"):
        path = Path(unquote(media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""))
        origin = _seconds(media.get("TIME_ORIGIN")) or 0.0
        origins[path.name] = origin
        origins.setdefault(path.stem, origin)  # the sound of a video, say
    return origins.get(recording.name, origins.get(recording.stem, 0.0))


def _seconds(milliseconds: str | None) -> float | None:
    try:
        return int(milliseconds or "") / 1000
    except ValueError:
        return None


class _Times:
    """When each annotation of a document is.

    Args:
        origin: the second of the recording at which the document's time begins.
    """

    def __init__(self, document: Element, origin: float) -> None:
        self._origin = origin
        slots = document.iterfind("TIME_ORDER/TIME_SLOT")
        self._slots = {slot.get("TIME_SLOT_ID"): _seconds(slot.get("TIME_VALUE")) for slot in slots}
        self._annotations: dict[str | None, Element] = {}
        self._shared: set[str | None] = set()  # those whose times are parted among several of one tier
        for tier in document.iterfind("TIER"):
            own = list(tier.iterfind("ANNOTATION/*"))
            self._annotations |= {annotation.get("ANNOTATION_ID"): annotation for annotation in own}
            referred = Counter(annotation.get(_REFERENCE) for annotation in own if annotation.tag != _ALIGNED)
            self._shared |= {reference for reference, times in referred.items() if times > 1}

    def of(self, annotation: Element) -> tuple[float, float]:
        """The seconds at which it begins and ends.

        Raises:
            PartError: it has no times of its own.
        """
        followed: set[str | None] = set()
        while annotation.tag != _ALIGNED:
            reference = annotation.get(_REFERENCE)
            if reference in self._shared:
                raise PartError("shares its times with others: take the tier above")
            if reference in followed or reference not in self._annotations:
                raise PartError(f"refers to {reference}, which leads to no annotation with times")
            followed.add(reference)
            annotation = self._annotations[reference]
        start, end = (self._slots.get(annotation.get(f"TIME_SLOT_REF{number}")) for number in (1, 2))
        if start is None or end is None:
            raise PartError("has no times: align it in ELAN")
        return start + self._origin, end + self._origin


def _tier(tier: Element, times: _Times, path: str) -> Tier:
    name = tier.get("TIER_ID", "")
    items: list[Interval | Problem] = []
    for annotation in tier.iterfind("ANNOTATION/*"):
        where = f"{path}, tier {name!r}, annotation {annotation.get('ANNOTATION_ID')}"
        try:
            start, end = times.of(annotation)
        except PartError as error:
            items.append(Problem(where, str(error)))
        else:
            items.append(Interval(start, end, annotation.findtext("ANNOTATION_VALUE") or "", where))
    return Tier(name, items, tier.get("PARTICIPANT") or None, tier.get("PARENT_REF") is None)
