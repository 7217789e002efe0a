"""ELAN's annotation documents (.eaf): tiers of annotations between time slots, or of annotations of annotations.

Ref: "EAF Annotation Format" of the MPI for Psycholinguistics, versions 2.7 to 3.0.
"""

import xml.etree.ElementTree as ElementTree

from ..errors import CorpusError
from .tiers import Interval, Tier

_Stretch = tuple[float, float]


def read_elan(raw: bytes) -> list[Tier]:
    """The tiers of a document. Annotations of another annotation have its times; those of one are joined.

    Raises:
        CorpusError: for a damaged document, one with entities of its own (which can grow without end), and for
            annotations without times.
    """
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise CorpusError("is XML with entities of its own, which no program for annotation writes")
    try:
        root = ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise CorpusError(f"is damaged XML: {error}") from None
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    stretches: dict[str | None, _Stretch] = {}
    parents: dict[str | None, str | None] = {}
    for item in root.iter("ALIGNABLE_ANNOTATION"):
        ends = [times.get(item.get(name)) for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
        if all(end is not None and end.isdecimal() for end in ends):
            stretches[item.get("ANNOTATION_ID")] = int(ends[0] or 0) / 1000, int(ends[1] or 0) / 1000
    for item in root.iter("REF_ANNOTATION"):
        parents[item.get("ANNOTATION_ID")] = item.get("ANNOTATION_REF")
    return [_tier(tier, stretches, parents) for tier in root.iter("TIER")]


def _tier(tier: ElementTree.Element, stretches: dict, parents: dict) -> Tier:
    name = tier.get("TIER_ID") or ""
    said: dict[_Stretch, list[str]] = {}
    for holder in tier.iter("ANNOTATION"):
        for item in holder:
            value = (item.findtext("ANNOTATION_VALUE") or "").strip()
            stretch = _stretch(item.get("ANNOTATION_ID"), stretches, parents)
            if stretch is None and value:
                raise CorpusError(f"annotation {value!r:.40} of tier {name!r} has no times; align it in ELAN")
            if stretch is not None:
                said.setdefault(stretch, []).append(value)
    intervals = [Interval(start, end, " ".join(texts)) for (start, end), texts in sorted(said.items())]
    return Tier(name, intervals, "_".join((tier.get("PARTICIPANT") or "").split()) or None)


def _stretch(name: str | None, stretches: dict, parents: dict) -> _Stretch | None:
    """The times of an annotation, or of the one that it annotates, whose chain may be long but not a circle."""
    for _ in range(len(parents) + 1):
        if name in stretches:
            return stretches[name]
        name = parents.get(name)
    return None
