"""The denominator graph: every phone sequence that the phone n-gram allows, over the pdfs of a chain model."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...display.brief import brief_repr
from ...errors import ModelError
from ...hmm.transitions import TransitionModel
from ...hmm.tree import ContextDependency
from .phone_lm import PhoneLm
from .topology import chain_row

N_WARM_UP = 100  # frames over which the initial probabilities are averaged, as in Kaldi


class Arcs(NamedTuple):
    """The arcs that begin new phones, by target and by source; staying in a phone is a state's own affair.

    Attributes:
        into: int32 (n_states + 1,): where each state's arcs begin.
        out_of: int32 (n_states + 1,): where each state's arcs begin.
        source: of the arcs sorted by target.
        into_prob: of the arcs sorted by target.
        target: of those sorted by source. Probabilities are float64 and include leaving the phone before.
        out_prob: see `target`.
    """

    into: np.ndarray
    source: np.ndarray
    into_prob: np.ndarray
    out_of: np.ndarray
    target: np.ndarray
    out_prob: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


class PhoneStep(NamedTuple):
    """Beginning a phone: the states from which and to which, and the probabilities; equally long arrays."""

    source: np.ndarray
    target: np.ndarray
    prob: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


@dataclass(frozen=True, eq=False)
class Denominator:
    """An HMM whose states are histories of phones; the last phone of a state's history is the current one.

    A frame of score x takes a state to itself, with exp(x[loop_pdf]) * stay, or begins a phone: along an arc of the
    phone n-gram to the next state, with exp(x[entry_pdf of that state]) * the arc's probability. Any state may be the
    last. Before each frame and after the last, a share of `leaky` * initial of the whole probability also goes to
    each state (the leaky HMM).

    Attributes:
        histories: the phones of each state; state 0, the start, has none.
        arcs: beginning phones.
        stay: float64 (n_states,).
        entry_pdf: int32 (n_states,); 0 at the start, where no arc leads and where none can stay.
        loop_pdf: see `entry_pdf`.
        initial: float64 (n_states,): where an utterance, or a part of one, begins.
        leaky: the leaky-HMM coefficient.
        n_pdfs: columns that the scores must have at least.
    """

    histories: list[tuple[int, ...]]
    arcs: Arcs
    stay: np.ndarray
    entry_pdf: np.ndarray
    loop_pdf: np.ndarray
    n_pdfs: int
    leaky: float = 0.1
    initial: np.ndarray = field(init=False)

    def __repr__(self) -> str:
        return brief_repr(self)

    def __post_init__(self) -> None:
        if not 0 <= self.leaky <= 1:
            raise ModelError(f"leaky={self.leaky}; a leaky-HMM coefficient is in [0, 1]")
        object.__setattr__(self, "initial", _initial_probabilities(self))

    @property
    def n_states(self) -> int:
        """Histories of phones."""
        return len(self.histories)

    @property
    def n_arcs(self) -> int:
        """Arcs that begin phones; self-loops are n_states - 1 more."""
        return len(self.arcs.source)

    @cached_property
    def last_phone(self) -> np.ndarray:
        """int32 (n_states,): the phone that each state is in; 0 at the start."""
        return np.array([history[-1] if history else 0 for history in self.histories], np.int32)

    @cached_property
    def steps_of_phone(self) -> dict[int, PhoneStep]:
        """The arcs that begin each phone."""
        source = np.repeat(np.arange(self.n_states), np.diff(self.arcs.out_of)).astype(np.int32)
        phone = self.last_phone[self.arcs.target]
        return {
            int(p): PhoneStep(source[phone == p], self.arcs.target[phone == p], self.arcs.out_prob[phone == p])
            for p in np.unique(phone)
        }

    @cached_property
    def next_of_state(self) -> list[dict[int, tuple[int, float]]]:
        """For each state phone -> (next state, natural-log probability)."""
        arcs: list[dict[int, tuple[int, float]]] = [{} for _ in self.histories]
        for phone, step in self.steps_of_phone.items():
            for source, target, log_prob in zip(*(a.tolist() for a in (*step[:2], np.log(step.prob))), strict=True):
                arcs[source][phone] = (target, log_prob)
        return arcs

    def ways_to(self, phone: int) -> tuple[np.ndarray, np.ndarray]:
        """The states in which an utterance may begin with a phone, and their probabilities.

        Raises:
            ModelError: for a phone that the graph has not.
        """
        if phone not in self._beginnings:
            self._beginnings[phone] = self._from_initial(phone, None)
        return self._beginnings[phone]

    def leaks_to(self, phone: int, previous: int) -> tuple[np.ndarray, np.ndarray]:
        """The states, and their probabilities, that beginning a phone after a leak leads to.

        Args:
            previous: the phone before; leaks into histories that end with it are taken, or all where none goes on with
                `phone`.

        Raises:
            ModelError: where the graph has not the phone, or does not leak.
        """
        if self.leaky == 0:
            raise ModelError(f"phone id {phone} after {previous} was not seen here in training; raise leaky above 0")
        targets, probs = self._from_initial(phone, previous)
        return targets, self.leaky * probs

    def _from_initial(self, phone: int, previous: int | None) -> tuple[np.ndarray, np.ndarray]:
        if phone not in self.steps_of_phone:
            raise ModelError(f"phone id {phone} is not in the denominator graph: no utterance of training has it")
        source, target, prob = self.steps_of_phone[phone]
        likely = self.initial[source] * prob
        chosen = (self.last_phone[source] == previous) & (likely > 0)
        if not chosen.any():
            chosen = likely > 0
        targets, index = np.unique(target[chosen], return_inverse=True)
        return targets, np.bincount(index.reshape(-1), likely[chosen])

    @cached_property
    def _beginnings(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        return {}


def denominator_graph(
    phone_lm: PhoneLm, tree: ContextDependency, transitions: TransitionModel, *, leaky: float = 0.1
) -> Denominator:
    """The denominator graph of a phone n-gram and a tree.

    Args:
        tree: of phones alone or with the phones before them: the pdf must not depend on phones to come, nor on more
            than the histories tell.
        transitions: of the chain topology and the tree.
        leaky: the leaky-HMM coefficient; Kaldi's chain recipes have 0.1.

    Raises:
        ModelError: for a tree of other contexts.

    Same as Kaldi's chain-make-den-fst, whose graph is determinised and minimised; this one is so as it is made, but
    that histories are not merged. Final probabilities are 1, as there.
    """
    width = tree.context_width
    if tree.central_position != width - 1:
        raise ModelError(
            f"the tree looks at {width - 1 - tree.central_position} phones to the right; sequence training needs a tree"
            " of the phone and those to its left (context_width=2, central_position=1)"
        )
    if phone_lm.order - 2 < width:
        raise ModelError(
            f"a phone {phone_lm.order}-gram has histories of {phone_lm.order - 2} phones, which do not tell the pdfs of"
            f" a tree over {width}; raise the order to {width + 2}"
        )
    n_states = len(phone_lm.histories)
    stay, leave = np.zeros(n_states), np.ones(n_states)
    entry_pdf, loop_pdf = np.zeros(n_states, np.int32), np.zeros(n_states, np.int32)
    for state, history in enumerate(phone_lm.histories):
        if history:
            window = ((0,) * width + history)[-width:]
            row = chain_row(window, tree, transitions)
            entry_pdf[state], loop_pdf[state] = transitions.tuples[row, 2:]
            stay[state] = np.exp(transitions.log_probs[transitions.self_loop_of_state[row]])
            leave[state] = 1.0 - stay[state]
    rows = [(s, a.target, np.exp(a.log_prob)) for s, arcs in enumerate(phone_lm.arcs) for a in arcs.values()]
    source, target, prob = (np.array(column) for column in zip(*rows, strict=True))
    arcs = sorted_arcs(source, target, prob * leave[source], n_states)
    return Denominator(list(phone_lm.histories), arcs, stay, entry_pdf, loop_pdf, tree.n_pdfs, leaky)


def sorted_arcs(source: np.ndarray, target: np.ndarray, prob: np.ndarray, n_states: int) -> Arcs:
    """Arcs in both orders."""
    by_target, by_source = np.lexsort((source, target)), np.lexsort((target, source))

    def offsets(states: np.ndarray) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(np.bincount(states, minlength=n_states))]).astype(np.int32)

    return Arcs(
        offsets(target), source[by_target].astype(np.int32), prob[by_target].astype(np.float64),
        offsets(source), target[by_source].astype(np.int32), prob[by_source].astype(np.float64),
    )  # fmt: skip


def _initial_probabilities(graph: Denominator) -> np.ndarray:
    """Where the HMM is on average in its first frames from the start, as long as it has not ended.

    Same as Kaldi's DenominatorGraph::SetInitialProbs.
    """
    arcs, n_states = graph.arcs, graph.n_states
    source = np.repeat(np.arange(n_states), np.diff(arcs.out_of))
    average, now = np.zeros(n_states), np.zeros(n_states)
    now[0] = 1.0
    for _ in range(N_WARM_UP):
        average += now / N_WARM_UP
        now = now * graph.stay + np.bincount(arcs.target, now[source] * arcs.out_prob, minlength=n_states)
        now /= now.sum()
    return average
