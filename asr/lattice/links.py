"""From the tokens that a search kept to the lattice of all paths within a beam."""

import numpy as np

from ..decoding import BeamSearch
from ..decoding.viterbi import Tokens
from ..errors import GraphError
from .lattice import ARC, Lattice

_FIRST_LINKS = 1 << 16


def lattice_of(search: BeamSearch, loglikes: np.ndarray, beam: float = 8.0) -> Lattice:
    """All paths of a whole utterance that are not worse than the best one by more than a beam.

    Args:
        loglikes: as of `BeamSearch.advance`.
        beam: nats, of whole paths; paths beyond the search's own beam are never met. Kaldi's lattice-beam.

    Returns:
        paths that end in final states; if none does, those that end wherever they are.

    Raises:
        ValueError: as `advance` does, and for a beam that is not above 0.
        GraphError: as `advance` does; where the graph has a cycle of epsilon arcs within the beam.

    Same as Kaldi's LatticeFasterDecoder, which notes links while it searches and prunes them now and then; here they
    are found afterwards, on the way back, so that only those within the beam are ever made.
    """
    if not beam > 0:
        raise ValueError(f"a lattice's beam of {beam}; need more than 0 nats")
    return lattice_of_tokens(search.all_tokens(loglikes), beam)


def lattice_of_tokens(tokens: Tokens, beam: float) -> Lattice:
    """The lattice of the paths over some tokens that are within a beam of the best one; errors as of `lattice_of`."""
    first, n_frames = tokens.first, len(tokens.first) - 2
    extra = np.full(int(first[-1]), np.inf)
    ends = tokens.cost[first[n_frames] : first[-1]] + tokens.finals
    worse = ends - ends.min()
    extra[first[n_frames] :] = np.where(worse <= beam, worse, np.inf)
    links, taken, acoustic = _links(tokens, extra, beam)
    alive = np.flatnonzero(np.isfinite(extra))
    frames = np.searchsorted(first[1:], alive, side="right")
    order = np.lexsort((_levels(links, frames, alive), frames))
    number = np.full(len(extra), -1, np.int64)
    number[alive[order]] = np.arange(len(alive))
    arcs, graph_arcs = np.empty(len(taken), ARC), tokens.arcs[taken]
    arcs["source"], arcs["next"] = number[links[:, 0]], number[links[:, 1]]
    arcs["ilabel"], arcs["olabel"] = graph_arcs["ilabel"], graph_arcs["olabel"]
    arcs["graph"] = graph_arcs["weight"] + tokens.options.insertion_penalty * (graph_arcs["olabel"] != 0)
    arcs["acoustic"] = acoustic
    last = alive[alive >= first[n_frames]]
    finals = np.full(len(alive), np.inf)
    finals[number[last]] = tokens.finals[last - first[n_frames]]
    arcs = arcs[np.lexsort((arcs["next"], arcs["source"]))]
    return Lattice(frames[order].astype(np.int32), arcs, finals, tokens.reached_final)


def _links(tokens: Tokens, extra: np.ndarray, beam: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends, arcs and acoustic costs of all links; `extra` is filled."""
    from . import link_kernels as kernels

    options, size = tokens.options, _FIRST_LINKS
    ends, taken, acoustic = np.empty((size, 2), np.int32), np.empty(size, np.int32), np.empty(size, np.float32)
    registers = np.array([len(tokens.first) - 2, 0], np.int64)
    slot_of, frame_cost = np.zeros(len(tokens.flat[0]) // 5, np.int32), np.empty(tokens.loglikes.shape[1])
    while True:
        outcome = kernels.link(
            *tokens.flat, tokens.columns, tokens.loglikes, options.acoustic_scale, options.insertion_penalty, beam,
            tokens.cost, tokens.state, tokens.first, slot_of, extra, frame_cost, registers, ends, taken, acoustic,
        )  # fmt: skip
        n = int(registers[kernels.N_LINKS])
        if outcome == kernels.DONE:
            return ends[:n], taken[:n], acoustic[:n]
        if outcome == kernels.CYCLE:
            raise GraphError(f"frame {registers[kernels.FRAME]}: {_ENDLESS}")
        size *= 2
        ends = np.concatenate([ends[:n], np.empty((size - n, 2), np.int32)])
        taken = np.concatenate([taken[:n], np.empty(size - n, np.int32)])
        acoustic = np.concatenate([acoustic[:n], np.empty(size - n, np.float32)])


_ENDLESS = "the graph has a cycle of epsilon arcs within the lattice's beam, so that its paths have no end"


def _levels(links: np.ndarray, frames: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Of each token that is alive how many epsilon arcs may lie before it in its frame."""
    source, target = np.searchsorted(alive, links[:, 0]), np.searchsorted(alive, links[:, 1])
    inside = frames[source] == frames[target]
    source, target = source[inside], target[inside]
    levels = np.zeros(len(alive), np.int64)
    for _ in range(len(alive) + 1):
        after = levels.copy()
        np.maximum.at(after, target, levels[source] + 1)
        if (after == levels).all():
            return levels
        levels = after
    raise GraphError(_ENDLESS)
