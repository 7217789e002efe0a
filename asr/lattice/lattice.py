"""A lattice of states and arcs as a search left it: for each path through it labels, words, and two costs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..display.brief import many
from ..errors import GraphError

ARC = np.dtype(
    [("source", "<i4"), ("next", "<i4"), ("ilabel", "<i4"), ("olabel", "<i4"), ("graph", "<f8"), ("acoustic", "<f8")]
)


@dataclass(frozen=True, eq=False)
class Lattice:
    """All paths of an utterance that a search found within a beam. Costs are negated natural logarithms, scaled.

    State 0 is the start. No arc leads to a state with a lower number, so that one pass over the arcs in their order, or
    in the other one, sees each state when all before, or behind, it is known.

    Attributes:
        frames: int32 (n_states,): frames before each state.
        arcs: ARC (n_arcs,), ascending by source. An arc with a label in `ilabel` takes a frame, one with 0 none; olabel
            is a word or 0; `graph` holds insertion penalties too; `acoustic` is the scaled log-likelihood's negative.
        finals: float64 (n_states,): cost of ending in each state, inf where no path ends.
        reached_final: whether the ends are final states of the graph; else they are where the paths were at the end.
    """

    frames: np.ndarray
    arcs: np.ndarray
    finals: np.ndarray
    reached_final: bool = True

    def __repr__(self) -> str:
        return (
            f"<Lattice: {many(self.n_states, 'state')}, {many(self.n_arcs, 'arc')}, {many(self.n_frames, 'frame')}, "
            f"{many(len(np.unique(self.arcs['olabel'][self.arcs['olabel'] > 0])), 'word')}>"
        )

    def __post_init__(self) -> None:
        if not self.n_states or not np.isfinite(self.finals).any():
            raise GraphError("a lattice without a path")

    @property
    def n_states(self) -> int:
        """How many states there are."""
        return len(self.frames)

    @property
    def n_arcs(self) -> int:
        """How many arcs there are."""
        return len(self.arcs)

    @property
    def n_frames(self) -> int:
        """The length of the utterance."""
        return int(self.frames.max())

    @cached_property
    def forward(self) -> np.ndarray:
        """float64 (n_states,): the cost of the best path from the start to each state."""
        from .kernels import best_costs

        return best_costs(self.arcs["source"], self.arcs["next"], self._costs, _only_start(self.n_states), True)

    @cached_property
    def backward(self) -> np.ndarray:
        """float64 (n_states,): the cost of the best path from each state to an end, its final cost included."""
        from .kernels import best_costs

        return best_costs(self.arcs["source"], self.arcs["next"], self._costs, self.finals, False)

    @property
    def best_cost(self) -> float:
        """The cost of the best path."""
        return float(self.backward[0])

    def prune(self, beam: float) -> "Lattice":
        """The part of the lattice in paths that are worse than the best by no more than `beam` nats.

        Raises:
            ValueError: for a negative beam.
        """
        if not beam >= 0:
            raise ValueError(f"beam={beam}; need 0 nats or more")
        limit = self.best_cost + beam + 1e-9
        arcs = self.arcs
        kept = self.forward[arcs["source"]] + self._costs + self.backward[arcs["next"]] <= limit
        alive = self.forward + self.backward <= limit
        number = np.cumsum(alive) - 1
        result = arcs[kept]
        result["source"], result["next"] = number[result["source"]], number[result["next"]]
        finals = np.where(self.forward + self.finals <= limit, self.finals, np.inf)[alive]
        return Lattice(self.frames[alive], result, finals, self.reached_final)

    def rescale(self, *, graph: float = 1.0, acoustic: float = 1.0) -> "Lattice":
        """The same paths with costs multiplied; finals are the graph's.

        Raises:
            ValueError: for a scale that is negative or infinite.

        Same as Kaldi's lattice-scale.
        """
        check_scales(graph, acoustic)
        arcs, finals = self.arcs.copy(), self.finals.copy()
        arcs["graph"] *= graph
        arcs["acoustic"] *= acoustic
        finals[np.isfinite(finals)] *= graph
        return Lattice(self.frames, arcs, finals, self.reached_final)

    @cached_property
    def _costs(self) -> np.ndarray:
        return np.asarray(self.arcs["graph"] + self.arcs["acoustic"])


def check_scales(graph: float, acoustic: float) -> None:
    """Raise ValueError for a scale that is negative or infinite."""
    for name, scale in (("graph", graph), ("acoustic", acoustic)):
        if not 0 <= scale < np.inf:
            raise ValueError(f"{name}={scale}; need 0 or more")


def _only_start(n: int) -> np.ndarray:
    costs = np.full(n, np.inf)
    costs[0] = 0.0
    return costs
