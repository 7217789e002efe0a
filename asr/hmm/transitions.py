"""The transition model: transition ids and their probabilities, numbered as Kaldi numbers them.

A transition state is a tuple (phone, HMM state, forward pdf, self-loop pdf); a transition id, from 1, is one
transition out of a transition state. An alignment is one transition id per frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..display.brief import many
from ..errors import ModelError
from .topology import Topology
from .tree import ContextDependency


class PhoneSegment(NamedTuple):
    """A phone of an alignment: frames start (inclusive) to end (exclusive)."""

    phone: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class TransitionModel:
    """Transition ids, what each stands for, and its probability.

    Attributes:
        topology: the HMMs it was made from.
        tuples: int32 (n_transition_states, 4): phone, HMM state, forward pdf, self-loop pdf; sorted. Row i is Kaldi's
            transition state i + 1.
        log_probs: float64 (n_transition_ids + 1,): natural logarithms, by transition id; entry 0 is unused.

    Derived, by row of tuples: first_id (one entry more than rows), self_loop_of_state (0 where a state has none).
    Derived, by transition id (entry 0 unused): state_of_id (the row of tuples), phone_of_id, hmm_state_of_id,
    pdf_of_id, destination_of_id, is_self_loop, is_final (the transition leaves the phone).
    """

    topology: Topology
    tuples: np.ndarray
    log_probs: np.ndarray
    first_id: np.ndarray = field(init=False, repr=False)
    self_loop_of_state: np.ndarray = field(init=False, repr=False)
    state_of_id: np.ndarray = field(init=False, repr=False)
    phone_of_id: np.ndarray = field(init=False, repr=False)
    hmm_state_of_id: np.ndarray = field(init=False, repr=False)
    pdf_of_id: np.ndarray = field(init=False, repr=False)
    destination_of_id: np.ndarray = field(init=False, repr=False)
    is_self_loop: np.ndarray = field(init=False, repr=False)
    is_final: np.ndarray = field(init=False, repr=False)

    def __repr__(self) -> str:
        phones = many(len(self.topology.phones), "phone")
        return (
            f"<TransitionModel: {phones}, {many(self.n_pdfs, 'pdf')}, {many(self.n_transition_ids, 'transition id')}>"
        )

    def __post_init__(self) -> None:
        hmm_states = [self.topology.states(int(phone)) for phone in self.tuples[:, 0]]
        leaving = [s[index].transitions for s, index in zip(hmm_states, self.tuples[:, 1], strict=True)]
        count = np.array([len(t) for t in leaving], np.int32)
        if len(self.log_probs) != count.sum() + 1:
            raise ModelError(
                f"the topology has {count.sum()} transition ids; {len(self.log_probs) - 1} probabilities were given"
            )
        state = np.concatenate([[0], np.repeat(np.arange(len(count)), count)]).astype(np.int32)
        destination = np.array([0, *(d for transitions in leaving for d, _ in transitions)], np.int32)
        is_self_loop = destination == self.tuples[state, 1]
        is_final = destination == np.array([len(s) for s in hmm_states], np.int32)[state]
        is_self_loop[0] = is_final[0] = False
        self_loop = np.zeros(len(count), np.int32)
        self_loop[state[is_self_loop]] = np.flatnonzero(is_self_loop)
        derived = {
            "first_id": np.concatenate([[1], 1 + np.cumsum(count)]).astype(np.int32),
            "self_loop_of_state": self_loop,
            "state_of_id": state,
            "phone_of_id": self.tuples[state, 0],
            "hmm_state_of_id": self.tuples[state, 1],
            "pdf_of_id": np.where(is_self_loop, self.tuples[state, 3], self.tuples[state, 2]).astype(np.int32),
            "destination_of_id": destination,
            "is_self_loop": is_self_loop,
            "is_final": is_final,
        }
        for name, array in derived.items():
            object.__setattr__(self, name, array)

    @classmethod
    def from_tree(cls, topology: Topology, tree: ContextDependency) -> "TransitionModel":
        """The model with the topology's own probabilities (as Kaldi's gmm-init-mono makes it)."""
        rows: set[tuple[int, int, int, int]] = set()
        for phone in topology.phones:
            for index, state in enumerate(topology.states(phone)):
                forward = tree.pdfs_of_state(phone, state.pdf_class)
                if state.self_loop_pdf_class == state.pdf_class:
                    rows.update((phone, index, pdf, pdf) for pdf in forward)
                else:
                    loops = tree.pdfs_of_state(phone, state.self_loop_pdf_class)
                    rows.update((phone, index, pdf, loop) for pdf in forward for loop in loops)
        tuples = np.array(sorted(rows), np.int32).reshape(-1, 4)
        probabilities = [p for phone, index, _, _ in tuples for _, p in topology.states(int(phone))[index].transitions]
        return cls(topology, tuples, np.concatenate([[0.0], np.log(probabilities)]))

    @property
    def n_transition_ids(self) -> int:
        """The largest transition id."""
        return len(self.log_probs) - 1

    @property
    def n_pdfs(self) -> int:
        """One more than the largest pdf id."""
        return int(self.tuples[:, 2:].max()) + 1

    def transition_state(self, phone: int, hmm_state: int, forward_pdf: int, self_loop_pdf: int) -> int:
        """The row of `tuples`.

        Raises:
            ModelError: where there is none.
        """
        wanted = (phone, hmm_state, forward_pdf, self_loop_pdf)
        if wanted not in self._row_of_tuple:
            raise ModelError(f"no transition state (phone, HMM state, pdf, self-loop pdf) = {wanted}")
        return self._row_of_tuple[wanted]

    @cached_property
    def _row_of_tuple(self) -> dict[tuple[int, ...], int]:
        return {tuple(row): index for index, row in enumerate(self.tuples.tolist())}

    def non_self_loop_log_probs(self) -> np.ndarray:
        """float64 (n_transition_states,): the logarithm of the probability of not staying."""
        stay = np.where(self.self_loop_of_state > 0, np.exp(self.log_probs[self.self_loop_of_state]), 0.0)
        return np.log(np.maximum(1.0 - stay, 1e-10))

    def forward_log_probs(self) -> np.ndarray:
        """float64 (n_transition_ids + 1,): of each transition, given that it is not the self-loop; 0 for self-loops."""
        scores = self.log_probs - self.non_self_loop_log_probs()[self.state_of_id]
        scores[self.is_self_loop] = 0.0
        scores[0] = 0.0
        return scores

    def scaled_log_probs(self, *, transition_scale: float = 1.0, self_loop_scale: float = 0.1) -> np.ndarray:
        """float64 (n_transition_ids + 1,): what a graph adds for each transition; entry 0 is 0.

        Staying or not is scaled by self_loop_scale, where to go then by transition_scale.
        Same as Kaldi's GetScaledTransitionLogProb.
        """
        leave = self_loop_scale * self.non_self_loop_log_probs()[self.state_of_id]
        scores = np.where(
            self.is_self_loop, self_loop_scale * self.log_probs, leave + transition_scale * self.forward_log_probs()
        )
        scores[0] = 0.0
        return scores

    def updated(self, counts: np.ndarray, *, floor: float = 0.01, min_count: float = 5.0) -> "TransitionModel":
        """The maximum-likelihood probabilities for counted transitions.

        Same as Kaldi's MleTransitionUpdateConfig.

        Args:
            counts: (n_transition_ids + 1,): how often each transition id was taken.
            floor: lowest probability of a transition.
            min_count: states seen less often keep their probabilities.
        """
        totals = np.add.reduceat(np.asarray(counts, np.float64)[1:], self.first_id[:-1] - 1)
        probabilities = np.asarray(counts, np.float64)[1:] / np.maximum(totals, 1e-300)[self.state_of_id[1:]]
        for _ in range(3):  # flooring breaks the sum; a few rounds bring both back within reach, as in Kaldi
            sums = np.add.reduceat(probabilities, self.first_id[:-1] - 1)
            probabilities = probabilities / np.maximum(sums, 1e-300)[self.state_of_id[1:]]
            probabilities = np.maximum(probabilities, floor)
        log_probs = self.log_probs.copy()
        n_ways = np.diff(self.first_id)
        change = ((totals >= min_count) & (n_ways > 1))[self.state_of_id[1:]]
        log_probs[1:][change] = np.log(probabilities[change])
        return replace(self, log_probs=log_probs)

    def is_silence(self, alignment: np.ndarray, silence_phone: int) -> np.ndarray:
        """Which frames of an alignment are silence, bool (n_frames,)."""
        return self.phone_of_id[alignment] == silence_phone

    def phone_segments(self, alignment: Sequence[int] | np.ndarray) -> list[PhoneSegment]:
        """The phones of an alignment, with their frames.

        Args:
            alignment: transition ids, one per frame, with each state's self-loops after its forward transition (Kaldi's
                reorder=true). A last phone that the alignment does not finish is included.
        """
        ids = np.asarray(alignment)
        if len(ids) == 0:
            return []
        # A phone ends where a transition out of it has been taken and the self-loops that follow are over.
        state = self.state_of_id[ids]
        ends_run = np.append((~self.is_self_loop[ids[1:]]) | (state[1:] != state[:-1]), True)
        leaving = self.is_final[ids] & ~self.is_self_loop[ids]
        run_start = np.flatnonzero(np.concatenate([[True], ends_run[:-1]]))
        run_end = np.flatnonzero(ends_run) + 1
        finished = leaving[run_start]
        phone_end = run_end[finished]
        if len(phone_end) == 0 or phone_end[-1] != len(ids):
            phone_end = np.append(phone_end, len(ids))
        phone_start = np.concatenate([[0], phone_end[:-1]])
        phones = self.phone_of_id[ids[phone_start]]
        return [PhoneSegment(int(p), int(s), int(e)) for p, s, e in zip(phones, phone_start, phone_end, strict=True)]
