"""The decoder again, slow and obviously right: no pruning, no arena, no compiled code. The fast one is held to it."""

import numpy as np

from ..errors import GraphError
from .viterbi import BestPath

# A path is (cost, the path before its last arc or None, that arc's index); a front holds the best path of each state.
_Path = tuple[float, "tuple | None", int]


def reference_decode(graph, column_of_label, loglikes, *, acoustic_scale=0.1, insertion_penalty=0.0) -> BestPath:
    """The best of all paths, as a BestPath: like ViterbiDecoder with an infinite beam.

    Args:
        graph: as for ViterbiDecoder and SearchOptions.
        column_of_label: as for ViterbiDecoder and SearchOptions.
        loglikes: as for ViterbiDecoder and SearchOptions.
        acoustic_scale: as for ViterbiDecoder and SearchOptions.
        insertion_penalty: as for ViterbiDecoder and SearchOptions.

    Raises:
        GraphError: if no path goes through all frames, or for an epsilon cycle of negative cost.
    """
    arcs = graph.arcs.tolist()
    arcs_of = [range(first, first + count) for _, first, count, _, _ in graph.states.tolist()]

    def step(front: dict[int, _Path], emitting: bool, row) -> dict[int, _Path]:
        """The best path of each state after one more arc of the given kind."""
        after: dict[int, _Path] = {}
        for state, path in front.items():
            for k in arcs_of[state]:
                ilabel, olabel, weight, target = arcs[k]
                if (ilabel != 0) != emitting:
                    continue
                cost = path[0] + weight + (insertion_penalty if olabel else 0.0)
                cost -= acoustic_scale * float(row[column_of_label[ilabel]]) if emitting else 0.0
                if cost < after.get(target, (np.inf,))[0]:
                    after[target] = (cost, path, k)
        return after

    def closure(front: dict[int, _Path]) -> dict[int, _Path]:
        """The front and all that its epsilon arcs reach, relaxed until nothing gets better (Bellman and Ford)."""
        for _ in range(len(graph.states) + 1):
            better = {s: p for s, p in step(front, False, None).items() if p[0] < front.get(s, (np.inf,))[0] - 1e-9}
            if not better:
                return front
            front = {**front, **better}
        raise GraphError("a cycle of epsilon arcs has a negative cost")

    front = closure({graph.start: (0.0, None, -1)})
    for frame, row in enumerate(loglikes):
        front = closure(step(front, True, row))
        if not front:
            raise GraphError(f"frame {frame}: no path through the graph goes on")

    return _best_path(graph, front, insertion_penalty)


def _best_path(graph, front: dict[int, _Path], insertion_penalty: float) -> BestPath:
    """The best of the last front's paths to a final state, or of all of them if none leads to one."""
    final = {s: float(graph.states["final"][s]) for s in front}
    reached = any(front[s][0] + final[s] < np.inf for s in front)
    end = min(front, key=lambda s: front[s][0] + (final[s] if reached else 0.0))
    final_cost = final[end] if reached else 0.0
    path, taken = front[end], []
    score = -(path[0] + final_cost)
    while path[1] is not None:
        taken.append(graph.arcs[path[2]].tolist())
        path = path[1]
    words = [olabel for _, olabel, _, _ in reversed(taken) if olabel]
    labels = [ilabel for ilabel, _, _, _ in reversed(taken) if ilabel]
    graph_score = -sum(weight for _, _, weight, _ in taken) - final_cost - insertion_penalty * len(words)
    return BestPath(
        np.array(words, np.int32), np.array(labels, np.int32), score, graph_score, score - graph_score, reached
    )
