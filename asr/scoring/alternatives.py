"""References with alternatives, in NIST's notation, and the reading that fits the hypothesis best.

`{ um / uh / @ }`     one of these, `@` being nothing; they may hold others, and stand without blanks: `{um/uh}`
`(uh)`, `%hesitation` a word that may be missing, and counts as right then (as with sclite's -D)

Alternatives are the arcs of a small network, through which the cheapest way is found at once for all places where the
words of the hypothesis may be parted. Only a group with a slash is alternatives: `{laughs}` is a word as it stands.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

_NOTHING, _HESITATION = "@", "%hesitation"
_OPTIONAL = re.compile(r"\(([^()\s]+)\)")
_WORD = re.compile(r"\S+")

Unit = Literal["word", "char"]


class Missing(NamedTuple):
    """A word that may be missing, and the ways it can be written where it is there."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """Alternatives, of which one is spoken."""

    ways: tuple["Sequence[Item]", ...]


Item = str | Missing | Choice


class Reading(NamedTuple):
    """One reading of a reference: its words, or characters, and how many more are missing as they may be."""

    tokens: tuple[str, ...]
    n_missing: int


class _Arc(NamedTuple):
    """Tokens between two nodes, or words that are missing."""

    source: int
    target: int
    tokens: Sequence[str]
    n_missing: int = 0


def has_notation(text: str) -> bool:
    """Whether a reference has alternatives."""
    return any(not isinstance(item, str) for item in _items(text)) if _may_have(text) else False


def wrong_notation(text: str) -> str | None:
    """What is wrong with a reference that begins alternatives, or ends them, without the other half; or None."""
    if _may_have(text) and any(word.count("{") != word.count("}") for word in _all_words(_items(text))):
        return "'{' or '}' without the other, or without a slash; alternatives are { one / another }"
    return None


def best_reading(text: str, hypothesis: Sequence[str], unit: Unit) -> Reading:
    """The reading of a reference with the fewest errors against a hypothesis; of several the one written first.

    Args:
        hypothesis: words, or characters with blanks between words.
    """
    network, cost = _Network(unit), _Costs(hypothesis)
    network.end(network.add(_items(text), {unit == "word": 0}))
    rows = _rows(network, cost)
    incoming: dict[int, list[_Arc]] = {}
    for arc in network.arcs:
        incoming.setdefault(arc.target, []).append(arc)
    node, at, way = network.n_nodes - 1, len(hypothesis), list[_Arc]()
    while node:
        for arc in incoming[node]:
            inside = cost.along(rows[arc.source], arc.tokens)
            if inside[-1][at] == rows[node][at]:
                way.append(arc)
                node, at = arc.source, cost.start(inside, at, arc.tokens)
                break
    tokens = tuple(token for arc in reversed(way) for token in arc.tokens)
    return Reading(tokens, sum(arc.n_missing for arc in way))


def _may_have(text: str) -> bool:
    return "{" in text or "}" in text or "(" in text or "%" in text


def _items(text: str) -> list[Item]:
    """The words of a text, those that may be missing, and alternatives."""
    items: list[Item] = []
    at = 0
    while match := _WORD.search(text, at):
        at, word = match.end(), match[0]
        ways, end = _group(text, match.start()) if word[0] == "{" else ([], 0)
        if ways:
            at = end
            items.append(Choice(tuple(_items("" if way.strip() == _NOTHING else way) for way in ways)))
        elif optional := _OPTIONAL.fullmatch(word):
            items.append(Missing((optional[1], word)))
        else:
            items.append(Missing((word,)) if word.lower() == _HESITATION else word)
    return items


def _group(text: str, begin: int) -> tuple[list[str], int]:
    """The alternatives in the braces that open at a place, and where they end; none where they are no group."""
    depth, slashes = 0, list[int]()
    for i in range(begin, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if text[i] == "/" and depth == 1:
            slashes.append(i)
        if depth == 0:
            break
    if depth or not slashes or text[i + 1 : i + 2].strip():  # not closed, or within a word
        return [], 0
    # With blanks around some, the others are in words: `{ and/or / or }`.
    apart = [k for k in slashes if text[k - 1].isspace() and text[k + 1].isspace()]
    cuts = [begin, *(apart or slashes), i]
    return [text[a + 1 : b] for a, b in pairwise(cuts)], i + 1


def _all_words(items: Sequence[Item]) -> list[str]:
    """The plain words, those in alternatives included."""
    words: list[str] = []
    for item in items:
        if isinstance(item, str):
            words.append(item)
        elif isinstance(item, Choice):
            words += [word for way in item.ways for word in _all_words(way)]
    return words


class _Network:
    """Arcs, sorted by the node they come from; the last node is the end.

    A place among the items is a node, or two for characters: a blank comes before a word that is not the first. So
    places are given as {whether a word came before: node}.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.arcs: list[_Arc] = []
        self.n_nodes = 1

    def add(self, items: Sequence[Item], place: dict[bool, int]) -> dict[bool, int]:
        """The place behind some items."""
        for item in items:
            if isinstance(item, str):
                place = self._words((item,), place)
            elif isinstance(item, Missing):
                place = self._joined([self._words(item.words, place), self._without(item.words[0], place)])
            else:
                place = self._joined([self.add(way, place) for way in item.ways])
        return place

    def end(self, place: dict[bool, int]) -> None:
        """Add the last node."""
        self._node([_Arc(node, 0, ()) for node in place.values()])

    def _words(self, spellings: Sequence[str], place: dict[bool, int]) -> dict[bool, int]:
        """A word that can be written in several ways."""
        arcs = []
        for spelling in spellings:
            for any_before, node in place.items():
                text = (" " if any_before else "") + spelling
                arcs.append(_Arc(node, 0, (spelling,) if self._unit == "word" else text))
        return {True: self._node(arcs)}

    def _without(self, word: str, place: dict[bool, int]) -> dict[bool, int]:
        n = 1 if self._unit == "word" else len(word)
        return {key: self._node([_Arc(node, 0, (), n)]) for key, node in place.items()}

    def _joined(self, places: Sequence[dict[bool, int]]) -> dict[bool, int]:
        keys = dict.fromkeys(key for place in places for key in place)
        return {key: self._node([_Arc(p[key], 0, ()) for p in places if key in p]) for key in keys}

    def _node(self, arcs: Sequence[_Arc]) -> int:
        node = self.n_nodes
        self.arcs += [arc._replace(target=node) for arc in arcs]
        self.n_nodes += 1
        return node


def _rows(network: _Network, cost: "_Costs") -> "list[np.ndarray]":
    """int32 (n_hypothesis + 1,) for each node: the fewest errors of a way there against the first hypothesis tokens."""
    import numpy as np

    rows = [cost.places] + [np.full_like(cost.places, np.iinfo(np.int32).max) for _ in range(1, network.n_nodes)]
    for arc in network.arcs:
        np.minimum(rows[arc.target], cost.along(rows[arc.source], arc.tokens)[-1], out=rows[arc.target])
    return rows


class _Costs:
    """Fewest errors against every beginning of a hypothesis, one token of the reference after another."""

    def __init__(self, hypothesis: Sequence[str]) -> None:
        import numpy as np

        self._hypothesis = hypothesis
        self._differs: dict[str, np.ndarray] = {}
        self.places = np.arange(len(hypothesis) + 1, dtype=np.int32)

    def along(self, row: "np.ndarray", tokens: Sequence[str]) -> "list[np.ndarray]":
        """The costs before some tokens, and those behind each of them."""
        import numpy as np

        found = [row]
        for token in tokens:
            behind = found[-1] + 1  # the token is missing
            behind[1:] = np.minimum(behind[1:], found[-1][:-1] + self._differing(token))
            found.append(np.minimum.accumulate(behind - self.places) + self.places)  # tokens that are too many
        return found

    def _differing(self, token: str) -> "np.ndarray":
        import numpy as np

        if token not in self._differs:
            self._differs[token] = np.array([token != other for other in self._hypothesis], np.int32)
        return self._differs[token]

    def start(self, inside: "list[np.ndarray]", at: int, tokens: Sequence[str]) -> int:
        """Where in the hypothesis the tokens begin whose costs are given, if they end at a place."""
        k = len(tokens)
        while k:
            if at and inside[k][at] == inside[k - 1][at - 1] + (tokens[k - 1] != self._hypothesis[at - 1]):
                k, at = k - 1, at - 1
            elif inside[k][at] == inside[k - 1][at] + 1:
                k -= 1
            else:
                at -= 1
        return at
