"""Lattices whose arcs are words, each with the labels of its frames: Kaldi's CompactLattice."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..display.brief import many
from ..errors import GraphError
from ..graph.const_fst import ranges
from .lattice import ARC as LABEL_ARC
from .lattice import Lattice, _only_start
from .words import _GRID, _ROUNDING, ARC, Ways, WordLattice

_LABEL_BYTES = 4
_Elements = tuple[tuple[int, float, bytes], ...]
"""Places of `Ways`, by how much their costs exceed the best one's, and the labels that no arc has had yet."""


@dataclass(frozen=True, eq=False)
class CompactLattice:
    """Words on arcs, with the labels that are heard on them. Costs are negated natural logarithms.

    State 0 is the start. States need be in no order, words may be 0 (none), and several paths may have the same words.

    Attributes:
        arcs: ARC of asr.lattice.words (n_arcs,), ascending by source.
        finals: float64 (n_states, 2): graph and acoustic cost of ending, inf where no path ends.
        labels: int32 (n_labels,): of all arcs one after the other, then of all states' ends.
        begins: int64 (n_arcs + n_states + 1,): where in `labels` those of each arc begin, then of each state's end.
        reached_final: as of `Lattice`; files do not tell, and are taken to be whole.
    """

    arcs: np.ndarray
    finals: np.ndarray
    labels: np.ndarray
    begins: np.ndarray
    reached_final: bool = True

    def __repr__(self) -> str:
        sizes = many(len(self.finals), "state"), many(len(self.arcs), "arc"), many(len(self.labels), "label")
        return f"<CompactLattice: {', '.join(sizes)}>"

    @classmethod
    def of(cls, lattice: WordLattice) -> "CompactLattice":
        """The same word sequences and costs, with the labels of each sequence's best path.

        Each sequence is still on exactly one path. An arc has the labels that all ways which may still be the best one
        have in common, so that a label may stand some arcs after its word, as in Kaldi.

        Ref: Povey et al., Generating exact lattices in the WFST framework, 2012, section 5.
        """
        return _labelled(lattice)

    def expanded(self) -> Lattice:
        """The same paths with an arc for each label; words and costs are on the first of a word's arcs.

        Raises:
            GraphError: where no path ends, or a path returns to where it was.

        Same as Kaldi's ConvertLattice.
        """
        n_arcs, n_states = len(self.arcs), len(self.finals)
        lengths = np.diff(self.begins)
        is_end = np.isfinite(self.finals).all(axis=1)
        chained = np.flatnonzero(is_end & ((lengths[n_arcs:] > 0) | (self.finals[:, 1] != 0)))
        items = np.concatenate([np.arange(n_arcs), n_arcs + chained])
        source = np.concatenate([self.arcs["source"], chained])
        target = np.concatenate([self.arcs["next"], n_states + np.arange(len(chained))])
        word = np.concatenate([self.arcs["word"], np.zeros(len(chained), np.int64)])
        graph = np.concatenate([self.arcs["graph"], self.finals[chained, 0]])
        acoustic = np.concatenate([self.arcs["acoustic"], self.finals[chained, 1]])
        finals = np.concatenate([np.where(is_end, self.finals[:, 0], np.inf), np.zeros(len(chained))])
        finals[chained] = np.inf

        n_labels = lengths[items]
        size = np.maximum(n_labels, 1)
        item = np.repeat(np.arange(len(items)), size)
        place = ranges(np.zeros(len(items), np.int64), size)  # of an arc among those of its item
        inside = len(finals) + np.cumsum(size - 1) - (size - 1)  # the first state between an item's arcs
        is_first, is_last = place == 0, place == size[item] - 1
        arcs = np.zeros(len(item), LABEL_ARC)
        arcs["source"] = np.where(is_first, source[item], inside[item] + place - 1)
        arcs["next"] = np.where(is_last, target[item], inside[item] + place)
        arcs["ilabel"][n_labels[item] > 0] = self.labels[ranges(self.begins[:-1][items], n_labels)]
        for name, values in (("olabel", word), ("graph", graph), ("acoustic", acoustic)):
            arcs[name][is_first] = values
        finals = np.concatenate([finals, np.full(int((size - 1).sum()), np.inf)])
        return in_order(arcs, finals, reached_final=self.reached_final)


def in_order(arcs: np.ndarray, finals: np.ndarray, *, reached_final: bool = True) -> Lattice:
    """The lattice of some arcs, without those in no path from state 0 to an end, its states in topological order.

    Args:
        arcs: ARC of asr.lattice.lattice (n_arcs,), in any order.
        finals: float64 (n_states,), inf where no path ends.

    Raises:
        GraphError: where no path ends, or a path returns to where it was.
    """
    from .kernels import best_costs
    from .order_kernels import longest_paths, topological_order

    n = len(finals)
    arcs = arcs[np.argsort(arcs["source"], kind="stable")]
    if (arcs["source"] >= arcs["next"]).any():
        first = np.searchsorted(arcs["source"], np.arange(n + 1))
        place = np.full(n, -1, np.int32)
        n_ordered, n_reached = topological_order(first, arcs["next"], place)
        if n_ordered < n_reached:
            raise GraphError("a path returns to a state where it was, so that paths have no end")
        arcs = arcs[place[arcs["source"]] >= 0]
        arcs["source"], arcs["next"] = place[arcs["source"]], place[arcs["next"]]
        arcs = arcs[np.argsort(arcs["source"], kind="stable")]
        moved = np.full(n, np.inf)
        moved[place[place >= 0]] = finals[place >= 0]
        finals = moved
    hops = np.zeros(len(arcs))
    ahead = best_costs(arcs["source"], arcs["next"], hops, _only_start(n), True)
    behind = best_costs(arcs["source"], arcs["next"], hops, np.where(np.isfinite(finals), 0.0, np.inf), False)
    alive = np.isfinite(ahead + behind)
    if not alive.any():
        raise GraphError("a lattice without a path from its start to an end")
    arcs = arcs[alive[arcs["source"]] & alive[arcs["next"]]]
    number = np.cumsum(alive) - 1
    arcs["source"], arcs["next"] = number[arcs["source"]], number[arcs["next"]]
    frames = longest_paths(arcs["source"], arcs["next"], (arcs["ilabel"] != 0).astype(np.int32), int(alive.sum()))
    return Lattice(frames, arcs, finals[alive], reached_final)


def _labelled(lattice: WordLattice) -> CompactLattice:
    """See `CompactLattice.of`: states are those of the lattice, parted where the labels that are due differ."""
    steps, first = _Steps(lattice.ways), lattice.first
    begin: tuple[int, _Elements] = (0, ((0, 0.0, b""),))
    numbers, waiting = {_key(*begin): 0}, [begin]
    arcs, heard, ends, last = list[tuple[int, int, int, float, float]](), list[bytes](), [], list[bytes]()
    for source, (state, elements) in enumerate(waiting):  # grows while it is read
        for _, target, word, graph, acoustic in lattice.arcs[first[state] : first[state + 1]].tolist():
            labels, after = steps.after(elements, word)
            key = _key(target, after)
            number = numbers.setdefault(key, len(numbers))
            if number == len(waiting):
                waiting.append((target, after))
            arcs.append((source, number, word, graph, acoustic))
            heard.append(labels)
        ends.append(lattice.finals[state])
        last.append(steps.end(elements) if np.isfinite(lattice.finals[state]).all() else b"")
    # Arcs lead to higher states of the lattice, so that its order is one of the new states too.
    order = np.argsort([state for state, _ in waiting], kind="stable")
    number_of = np.empty(len(order), np.int64)
    number_of[order] = np.arange(len(order))
    found = np.array(arcs, ARC)
    found["source"], found["next"] = number_of[found["source"]], number_of[found["next"]]
    by_source = np.lexsort((found["word"], found["source"]))
    strings = [heard[i] for i in by_source] + [last[i] for i in order]
    begins = np.cumsum([0, *(len(string) // _LABEL_BYTES for string in strings)])
    flat = np.frombuffer(b"".join(strings), np.int32)
    return CompactLattice(found[by_source], np.array(ends)[order], flat, begins, lattice.reached_final)


def _key(state: int, elements: _Elements) -> tuple:
    return state, tuple((place, round(cost * _GRID), due) for place, cost, due in elements)


def _common(strings: list[bytes]) -> bytes:
    """The labels that all begin with."""
    least, greatest = min(strings), max(strings)
    most = min(len(least), len(greatest))
    n = next((i for i in range(most) if least[i] != greatest[i]), most)
    return least[: n // _LABEL_BYTES * _LABEL_BYTES]


class _Steps:
    """Where words lead in `Ways`, with labels."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._backward = ways.backward.tolist()
        self._known: dict[int, dict[int, list[tuple[int, float, bytes]]]] = {}

    def after(self, elements: _Elements, word: int) -> tuple[bytes, _Elements]:
        """The labels that are certain after a word, and the places after it."""
        found: dict[int, tuple[float, bytes]] = {}
        for to, cost, labels in self._taken(elements, word):
            if to not in found or cost < found[to][0]:
                found[to] = cost, labels
        rests = {place: cost + self._backward[place] for place, (cost, _) in found.items()}
        if not rests:
            raise GraphError("the lattice's words are not those of its ways")
        worst = min(rests.values()) + self._ways.beam + _ROUNDING  # what is worse is the best way of no sequence
        kept = sorted(place for place in found if rests[place] <= worst)
        common = _common([found[place][1] for place in kept])
        least = min(found[place][0] for place in kept)
        after = tuple((place, found[place][0] - least, found[place][1][len(common) :]) for place in kept)
        return common, after

    def end(self, elements: _Elements) -> bytes:
        """The labels that are due where a sequence ends."""
        _, labels = min((cost, labels) for to, cost, labels in self._taken(elements, 0) if to < 0)
        return labels

    def _taken(self, elements: _Elements, word: int) -> Iterator[tuple[int, float, bytes]]:
        for place, cost, due in elements:
            for to, more, labels in self._of(place).get(word, ()):
                yield to, cost + more, due + labels

    def _of(self, place: int) -> dict[int, list[tuple[int, float, bytes]]]:
        """Word -> target, cost and labels of the ways from a place."""
        if place not in self._known:
            ways, begin, stop = self._ways, int(self._ways.first[place]), int(self._ways.first[place + 1])
            found: dict[int, list[tuple[int, float, bytes]]] = {}
            for k in range(begin, stop):
                labels = ways.labels[ways.begins[k] : ways.ends[k]].tobytes()
                cost = float(ways.graph[k] + ways.acoustic[k])
                found.setdefault(int(ways.word[k]), []).append((int(ways.target[k]), cost, labels))
            self._known[place] = found
        return self._known[place]
