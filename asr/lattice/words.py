"""The words of a lattice: every sequence of words once, with its best cost; and the best ones with their labels."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..decoding.viterbi import BestPath
from ..display.brief import many
from ..errors import GraphError
from .lattice import Lattice, _only_start, check_scales

if TYPE_CHECKING:
    from ..lang.symbols import SymbolTable
    from .drawing import Svg
    from .oracle import Oracle

ARC = np.dtype([("source", "<i4"), ("next", "<i4"), ("word", "<i4"), ("graph", "<f8"), ("acoustic", "<f8")])

_GRID = 1e5  # costs are told apart to a part of a nat: two ways to one place that differ by rounding are the same
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class WordLattice:
    """Word sequences of an utterance, each as exactly one path. Costs are negated natural logarithms, scaled.

    State 0 is the start, and arcs lead to states with higher numbers alone.

    Attributes:
        frames: int32 (n_states,): where the best path to a state has its latest word's label; the label stands where
            the graph has it, which need not be the word's begin or end.
        arcs: ARC (n_arcs,), ascending by source.
        finals: float64 (n_states, 2): graph and acoustic cost of ending, inf where no path ends.
        ways: what the lattice was made of, which knows the labels of paths.
        reached_final: as of `Lattice`.
        acoustic_scale: what the acoustic costs were multiplied with since the ways were found.
        beam: nats: all of its lattice's sequences that are not worse than the best by more are there, and some others.
            0 where costs were changed since.

    Same as Kaldi's CompactLattice after lattice-determinize-pruned, but for strings, which `BestPath`s get.
    """

    frames: np.ndarray
    arcs: np.ndarray
    finals: np.ndarray
    ways: "Ways"
    reached_final: bool = True
    acoustic_scale: float = 1.0
    beam: float = np.inf

    def __repr__(self) -> str:
        return f"<WordLattice: {many(len(self.frames), 'state')}, {many(len(self.arcs), 'arc')}>"

    def _repr_html_(self) -> str:
        return self.draw()._repr_html_()

    @classmethod
    def of(cls, lattice: Lattice, beam: float | None = None, *, max_states: int = 20_000) -> "WordLattice":
        """The word sequences of a lattice, those within a beam of the best one.

        Args:
            beam: nats; None: all that there are.
            max_states: where the lattice would get more states, the beam is made smaller until it has not.
        """
        limit = np.inf if beam is None else beam
        found = _determinised(Ways.of(lattice, limit), limit, max_states)
        return replace(found, reached_final=lattice.reached_final)

    @cached_property
    def costs(self) -> np.ndarray:
        """float64 (n_arcs,): graph and acoustic cost together."""
        return np.asarray(self.arcs["graph"] + self.arcs["acoustic"])

    @cached_property
    def backward(self) -> np.ndarray:
        """float64 (n_states,): the cost of the best path from each state to an end."""
        from .kernels import best_costs

        return best_costs(self.arcs["source"], self.arcs["next"], self.costs, self.finals.sum(axis=1), False)

    @cached_property
    def first(self) -> np.ndarray:
        """int64 (n_states + 1,): of each state's arcs."""
        return np.searchsorted(self.arcs["source"], np.arange(len(self.frames) + 1))

    def prune(self, beam: float) -> "WordLattice":
        """The word sequences that are worse than the best one by no more than `beam` nats.

        Arcs that such sequences share may make others, worse ones, that stay.

        Raises:
            ValueError: for a negative beam.
        """
        if not beam >= 0:
            raise ValueError(f"beam={beam}; need 0 nats or more")
        from .kernels import best_costs

        arcs, ends = self.arcs, self.finals.sum(axis=1)
        forward = best_costs(arcs["source"], arcs["next"], self.costs, _only_start(len(self.frames)), True)
        limit = self.backward[0] + beam + _ROUNDING
        kept = arcs[forward[arcs["source"]] + self.costs + self.backward[arcs["next"]] <= limit]
        alive = forward + self.backward <= limit
        number = np.cumsum(alive) - 1
        kept["source"], kept["next"] = number[kept["source"]], number[kept["next"]]
        finals = np.where((forward + ends <= limit)[:, None], self.finals, np.inf)[alive]
        return replace(self, frames=self.frames[alive], arcs=kept, finals=finals, beam=min(self.beam, beam))

    def rescale(self, *, graph: float = 1.0, acoustic: float = 1.0) -> "WordLattice":
        """The same word sequences and labels with costs multiplied.

        Each sequence keeps the path that was its best one. Where another may be better with the new scales, as of
        Kaldi's lattice-scale, rescale the `Lattice`, and make words of that.

        Raises:
            ValueError: for a scale that is negative or infinite.
        """
        check_scales(graph, acoustic)
        arcs, finals = self.arcs.copy(), self.finals.copy()
        arcs["graph"] *= graph
        arcs["acoustic"] *= acoustic
        ends = np.isfinite(finals)
        finals[ends] *= np.broadcast_to((graph, acoustic), finals.shape)[ends]
        return replace(self, arcs=arcs, finals=finals, acoustic_scale=self.acoustic_scale * acoustic, beam=0.0)

    def oracle(self, reference: Sequence[int]) -> "Oracle":
        """The word sequence with the fewest errors; of several the most probable one.

        Args:
            reference: the words that were said; any number that no word has stands for one that the lattice lacks.

        Same as Kaldi's lattice-oracle.
        """
        from .oracle import closest

        return closest(self, reference)

    def draw(
        self,
        words: "SymbolTable | Sequence[str] | None" = None,
        *,
        frame_shift: float = 0.01,
        most: int = 60,
    ) -> "Svg":
        """A picture of the lattice as SVG: time from left to right, the more probable an arc the thicker.

        The best sequence is blue, in a straight line; ends have two circles. An arc has its word and its cost, graph
        and acoustic together; pointing at it shows both, and the posterior. Colours suit light and dark pages.

        Args:
            words: their names; None: numbers.
            frame_shift: s; times below the states.
            most: arcs; of a larger lattice the part in the best paths is drawn.
        """
        from .drawing import drawn

        return drawn(self, words, frame_shift, most)

    def posteriors(self) -> np.ndarray:
        """float64 (n_arcs,): the probability of the paths through each arc among all paths of the lattice."""
        from .kernels import summed_costs

        source, target = self.arcs["source"], self.arcs["next"]
        forward = summed_costs(source, target, self.costs, _only_start(len(self.frames)), True)
        backward = summed_costs(source, target, self.costs, self.finals.sum(axis=1), False)
        return np.asarray(np.exp(backward[0] - forward[source] - self.costs - backward[target]))

    def sequences(self) -> Iterator[tuple[list[int], float]]:
        """All word sequences and their costs, the best first.   Ref: A* with the exact rest, so that none is lost."""
        arcs, first, total = self.arcs, self.first, self.finals.sum(axis=1)
        words, target = arcs["word"].tolist(), arcs["next"].tolist()
        queue: list[tuple[float, int, float, int, tuple | None]] = [(float(self.backward[0]), 0, 0.0, 0, None)]
        number = 0
        while queue:
            cost, _, so_far, state, path = heapq.heappop(queue)
            if state < 0:
                yield _listed(path), cost
                continue
            number += 1
            if np.isfinite(total[state]):
                heapq.heappush(queue, (so_far + float(total[state]), number, 0.0, -1, path))
            for k in range(first[state], first[state + 1]):
                number += 1
                after = so_far + float(self.costs[k])
                rest = float(self.backward[target[k]])
                heapq.heappush(queue, (after + rest, number, after, target[k], (words[k], path)))

    def nbest(self, n: int) -> list[BestPath]:
        """The best n word sequences with the labels and scores of their best paths, the best first; fewer if there are.

        Raises:
            ValueError: for less than one.
        """
        if n < 1:
            raise ValueError(f"n={n}; need 1 or more")
        found = []
        for words, cost in self.sequences():
            path = self.ways.path_of(words, reached_final=self.reached_final)
            # The graph's part, and scales, may have been changed since the ways were found.
            acoustic = path.acoustic_score * self.acoustic_scale
            found.append(path._replace(score=-cost, graph_score=-cost - acoustic, acoustic_score=acoustic))
            if len(found) == n:
                break
        return found


def _listed(path: tuple | None) -> list[int]:
    words = []
    while path is not None:
        words.append(path[0])
        path = path[1]
    return words[::-1]


@dataclass(frozen=True, eq=False)
class Ways:
    """The best ways from word to word: a lattice with one arc for each word, still with several paths for a sequence.

    Attributes:
        frames: int32 (n_places,): of the places where words begin, of which 0 is the start.
        backward: float64 (n_places,): the best cost from there to an end.
        first: int64 (n_places + 1,): of each place's ways.
        target: int32 (n_ways,): the place that a way leads to; -1 for an end.
        word: int32 (n_ways,): 0 for an end.
        graph: float64 (n_ways,)
        acoustic: float64 (n_ways,)
        begins: int64 (n_ways,): of each way's labels in `labels`, and in `ends` where they end.
        beam: nats; ways that are only in worse paths are left out.
    """

    frames: np.ndarray
    backward: np.ndarray
    first: np.ndarray
    target: np.ndarray
    word: np.ndarray
    graph: np.ndarray
    acoustic: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    labels: np.ndarray
    beam: float = np.inf

    def __repr__(self) -> str:
        return f"<Ways: {many(len(self.frames), 'place')}, {many(len(self.word), 'way')}>"

    @classmethod
    def of(cls, lattice: Lattice, beam: float) -> "Ways":
        """The ways of a lattice in paths within a beam."""
        arcs, n = lattice.arcs, lattice.n_states
        found_from, found_arc, graph, acoustic, offsets, labels = _found(lattice, lattice.best_cost + beam + _ROUNDING)
        is_end = found_arc < 0
        to, word = np.full(len(found_arc), -1), np.zeros(len(found_arc), np.int32)
        to[~is_end], word[~is_end] = arcs["next"][found_arc[~is_end]], arcs["olabel"][found_arc[~is_end]]
        # Of several with one word between two places the best one stays.
        order = np.lexsort((graph + acoustic, word, to, found_from))
        same = np.zeros(len(order), bool)
        same[1:] = (np.diff(found_from[order]) == 0) & (np.diff(to[order]) == 0) & (np.diff(word[order]) == 0)
        chosen = order[~same]
        places = np.unique(np.concatenate([[0], found_from[chosen], to[chosen][to[chosen] >= 0]]))
        number = np.full(n + 1, -1, np.int64)
        number[places] = np.arange(len(places))
        return cls(
            lattice.frames[places],
            lattice.backward[places],
            np.searchsorted(number[found_from[chosen]], np.arange(len(places) + 1)),
            number[to[chosen]].astype(np.int32),
            word[chosen].astype(np.int32),
            graph[chosen],
            acoustic[chosen],
            offsets[:-1][chosen],
            offsets[1:][chosen],
            labels,
            beam,
        )

    def path_of(self, words: Sequence[int], *, reached_final: bool = True) -> BestPath:
        """The best path with some words.

        Raises:
            GraphError: where there is none.
        """
        layers: list[dict[int, tuple[float, int, int]]] = [{0: (0.0, -1, -1)}]
        for word in [*words, 0]:
            after: dict[int, tuple[float, int, int]] = {}
            for place, (cost, _, _) in layers[-1].items():
                for k in range(self.first[place], self.first[place + 1]):
                    if self.word[k] != word or (word == 0) != (self.target[k] < 0):
                        continue
                    total, to = cost + self.graph[k] + self.acoustic[k], int(self.target[k])
                    if to not in after or total < after[to][0]:
                        after[to] = (total, place, k)
            layers.append(after)
        if -1 not in layers[-1]:
            raise GraphError("the lattice has no path with these words")
        taken, place = [], -1
        for layer in layers[:0:-1]:
            _, place, k = layer[place]
            taken.append(k)
        taken.reverse()
        labels = np.concatenate([self.labels[self.begins[k] : self.ends[k]] for k in taken])
        graph, acoustic = -float(self.graph[taken].sum()), -float(self.acoustic[taken].sum())
        return BestPath(np.array(words, np.int32), labels, graph + acoustic, graph, acoustic, reached_final)


def _found(lattice: Lattice, limit: float) -> tuple[np.ndarray, ...]:
    """What `kernels.word_arcs` finds: from, arc, graph, acoustic, where labels begin (and end), labels."""
    from . import kernels

    arcs, n = lattice.arcs, lattice.n_states
    first = np.searchsorted(arcs["source"], np.arange(n + 1)).astype(np.int32)
    n_ways, n_labels = 1 << 12, 1 << 16
    while True:
        scratch = np.empty(n), np.empty(n), np.full(n, -1, np.int32), np.empty(n, np.int32)
        found = np.empty(n_ways, np.int32), np.empty(n_ways, np.int32), np.empty(n_ways), np.empty(n_ways)
        offsets, labels = np.zeros(n_ways + 1, np.int64), np.empty(n_labels, np.int32)
        outcome = kernels.word_arcs(
            arcs["source"], arcs["next"], arcs["ilabel"], arcs["olabel"], arcs["graph"], arcs["acoustic"],
            lattice.forward, lattice.backward, lattice.finals, first, limit, *scratch, *found, offsets, labels,
        )  # fmt: skip
        if outcome >= 0:
            return *(part[:outcome] for part in found), offsets[: outcome + 1], labels
        n_ways, n_labels = (2 * n_ways, n_labels) if outcome == -1 else (n_ways, 2 * n_labels)


_Subset = tuple[tuple[int, float, float], ...]
"""Places, and by how much their costs exceed those of the state: graph, acoustic."""


def _determinised(ways: Ways, beam: float, max_states: int) -> WordLattice:
    """The lattice with one path for each word sequence.

    States are made in the order of the best whole path through them, so that each one's best cost from the start is
    known when its arcs are made, and what is beyond the beam never is. Once there are too many, the paths found so far
    are all that count.   Ref: Povey et al., Generating exact lattices in the WFST framework, 2012.
    """
    limit = float(ways.backward[0]) + beam + _ROUNDING
    start: _Subset = ((0, 0.0, 0.0),)
    numbers: dict[tuple, int] = {((0, 0, 0),): 0}
    subsets, costs, rests, done = [start], [0.0], [float(ways.backward[0])], [False]
    frames, finals, arcs = [int(ways.frames[0])], [(np.inf, np.inf)], list[tuple[int, int, int, float, float]]()
    queue = [(float(ways.backward[0]), 0)]
    while queue:
        through, state = heapq.heappop(queue)
        if through > limit:
            break
        if done[state]:
            continue
        done[state] = True
        end, following = _steps(ways, subsets[state])
        if end is not None:
            finals[state] = end
        for word, elements in following.items():
            (graph, acoustic), subset, rest = _normalised(ways, elements, beam)
            cost = costs[state] + graph + acoustic
            if cost + rest > limit:
                continue
            key = tuple((place, round(g * _GRID), round(a * _GRID)) for place, g, a in subset)
            number = numbers.setdefault(key, len(numbers))
            if number == len(subsets):
                best = min(subset, key=lambda element: element[1] + element[2])[0]
                subsets.append(subset)
                costs.append(np.inf)
                rests.append(rest)
                done.append(False)
                frames.append(int(ways.frames[best]))
                finals.append((np.inf, np.inf))
            arcs.append((state, number, word, graph, acoustic))
            if cost < costs[number]:
                costs[number] = cost
                heapq.heappush(queue, (cost + rest, number))
        if len(subsets) > max_states:
            limit = min(limit, through + _ROUNDING)  # all that is better was done; what is as good still is
    kept = _within(np.array(arcs, ARC), np.array(finals), np.array(costs), np.array(rests), limit)
    return replace(_sorted(*kept, frames, ways), beam=max(0.0, limit - float(ways.backward[0]) - _ROUNDING))


def _within(
    arcs: np.ndarray, finals: np.ndarray, costs: np.ndarray, rests: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """The arcs and ends that paths within a limit take.

    Args:
        costs: float64 (n_states,): the best ones from the start.
        rests: float64 (n_states,): the best ones from there to an end.
    """
    through = costs[arcs["source"]] + arcs["graph"] + arcs["acoustic"] + rests[arcs["next"]]
    ends = np.where((costs + finals.sum(axis=1) <= limit)[:, None], finals, np.inf)
    return arcs[through <= limit], ends


def _steps(ways: Ways, subset: _Subset) -> tuple[tuple[float, float] | None, dict[int, dict[int, tuple[float, float]]]]:
    """What ending costs, and of each next word the places that it leads to and what that costs."""
    end: tuple[float, float] | None = None
    following: dict[int, dict[int, tuple[float, float]]] = {}
    for place, g, a in subset:
        begin, stop = int(ways.first[place]), int(ways.first[place + 1])
        for to, word, graph, acoustic in zip(
            ways.target[begin:stop].tolist(), ways.word[begin:stop].tolist(),
            ways.graph[begin:stop].tolist(), ways.acoustic[begin:stop].tolist(), strict=True,
        ):  # fmt: skip
            cost = g + graph, a + acoustic
            if to < 0:
                end = cost if end is None else min(end, cost, key=sum)
                continue
            places = following.setdefault(word, {})
            if to not in places or sum(cost) < sum(places[to]):
                places[to] = cost
    return end, following


def _normalised(
    ways: Ways, elements: dict[int, tuple[float, float]], beam: float
) -> tuple[tuple[float, float], _Subset, float]:
    """The best element's cost, the elements less it, and the best cost from there to an end.

    An element whose best end is worse than that of another one by more than the beam is in no path that counts.
    """
    best = min(elements.values(), key=sum)
    rests = {place: sum(cost) - sum(best) + float(ways.backward[place]) for place, cost in elements.items()}
    rest = min(rests.values())
    kept = sorted(place for place in elements if rests[place] <= rest + beam + _ROUNDING)
    return best, tuple((place, elements[place][0] - best[0], elements[place][1] - best[1]) for place in kept), rest


def _sorted(arcs: np.ndarray, finals: np.ndarray, frames: list[int], ways: Ways) -> WordLattice:
    """The lattice of the arcs and ends that are kept, its states in topological order: by the longest path to each."""
    n = len(finals)
    depth = np.zeros(n, np.int64)
    while True:
        after = depth.copy()
        np.maximum.at(after, arcs["next"], depth[arcs["source"]] + 1)
        if (after == depth).all():
            break
        depth = after
    alive = np.zeros(n, bool)
    alive[0] = alive[arcs["next"]] = True
    order = np.flatnonzero(alive)[np.argsort(depth[alive], kind="stable")]
    number = np.zeros(n, np.int64)
    number[order] = np.arange(len(order))
    arcs["source"], arcs["next"] = number[arcs["source"]], number[arcs["next"]]
    return WordLattice(
        np.array(frames, np.int32)[order], arcs[np.lexsort((arcs["word"], arcs["source"]))], finals[order], ways
    )
