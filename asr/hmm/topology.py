"""HMM topologies: for each phone its states, their pdf classes, and the transitions between them (Kaldi's `topo`)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..display.brief import many
from ..errors import ModelError

_MOST_TRANSITIONS = 2_000_000  # of all phones; ten thousand phones have a fifth of it


@dataclass(frozen=True)
class HmmState:
    """One emitting state of a phone's HMM.

    Attributes:
        pdf_class: which of the phone's distributions the state uses on entering; states may share one.
        self_loop_pdf_class: the one used on staying (the same in all but chain topologies).
        transitions: (destination state, initial probability) pairs; the state after the last one is the final state.
    """

    pdf_class: int
    transitions: tuple[tuple[int, float], ...]
    self_loop_pdf_class: int


@dataclass(frozen=True)
class Topology:
    """The HMM of every phone: phone id -> its emitting states, in order.

    A destination equal to the number of emitting states is the final, non-emitting state.
    """

    states_of_phone: dict[int, tuple[HmmState, ...]]

    def __repr__(self) -> str:
        n_states = sum(map(len, self.states_of_phone.values()))
        return f"<Topology: {many(len(self.states_of_phone), 'phone')}, {many(n_states, 'HMM state')}>"

    def __post_init__(self) -> None:
        for phone, states in self.states_of_phone.items():
            for index, state in enumerate(states):
                total = sum(probability for _, probability in state.transitions)
                if abs(total - 1.0) > 1e-3:
                    raise ModelError(f"topology of phone {phone}: state {index}'s transitions sum to {total:g}, not 1")
                if any(not 0 <= destination <= len(states) for destination, _ in state.transitions):
                    raise ModelError(f"topology of phone {phone}: state {index} goes to a state that does not exist")

    @property
    def phones(self) -> list[int]:
        """The phone ids, ascending."""
        return sorted(self.states_of_phone)

    def states(self, phone: int) -> tuple[HmmState, ...]:
        """The emitting states of a phone.

        Raises:
            ModelError: for a phone without a topology.
        """
        try:
            return self.states_of_phone[phone]
        except KeyError:
            raise ModelError(f"phone id {phone} has no HMM topology") from None

    def n_pdf_classes(self, phone: int) -> int:
        """How many different distributions the phone's HMM uses."""
        return 1 + max(max(s.pdf_class, s.self_loop_pdf_class) for s in self.states(phone))

    @classmethod
    def kaldi(
        cls, phones: Iterable[int], silence_phones: Iterable[int], *, n_states: int = 3, n_silence_states: int = 5
    ) -> "Topology":
        """Kaldi's default: left-to-right speech phones, silence with freely connected inner states.

        Same as utils/gen_topo.pl NUM-NONSIL-STATES NUM-SIL-STATES.

        Args:
            phones: ids of the speech phones.
            silence_phones: ids of the others.
        """
        speech, silence = left_to_right(n_states), ergodic(n_silence_states)
        return cls({**dict.fromkeys(phones, speech), **dict.fromkeys(silence_phones, silence)})

    def to_json(self) -> dict[str, Any]:
        """A JSON object; phones with the same HMM are listed together."""
        groups: dict[tuple[HmmState, ...], list[int]] = {}
        for phone in self.phones:
            groups.setdefault(self.states_of_phone[phone], []).append(phone)
        return {
            "entries": [
                {
                    "phones": phones,
                    "states": [
                        {
                            "pdf_class": s.pdf_class,
                            "self_loop_pdf_class": s.self_loop_pdf_class,
                            "transitions": [list(t) for t in s.transitions],
                        }
                        for s in states
                    ],
                }
                for states, phones in groups.items()
            ]
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Topology":
        """The inverse of to_json.

        Raises:
            ModelError: where more transitions are listed than any model has.
        """
        n_transitions = sum(
            len(e["phones"]) * sum(1 + len(s["transitions"]) for s in e["states"]) for e in value["entries"]
        )
        if n_transitions > _MOST_TRANSITIONS:
            raise ModelError(f"the HMMs have {n_transitions} states and transitions; need {_MOST_TRANSITIONS} or fewer")
        states_of_phone = {}
        for entry in value["entries"]:
            states = tuple(
                HmmState(
                    s["pdf_class"], tuple((int(d), float(p)) for d, p in s["transitions"]), s["self_loop_pdf_class"]
                )
                for s in entry["states"]
            )
            states_of_phone.update({int(phone): states for phone in entry["phones"]})
        return cls(states_of_phone)


def left_to_right(n_states: int) -> tuple[HmmState, ...]:
    """A Bakis HMM without skips: each state stays (0.75) or goes on (0.25)."""
    if n_states < 1:
        raise ModelError(f"n_states={n_states}; an HMM needs 1 or more")
    return tuple(HmmState(i, ((i, 0.75), (i + 1, 0.25)), i) for i in range(n_states))


def ergodic(n_states: int) -> tuple[HmmState, ...]:
    """Kaldi's silence HMM: entered by state 0, left by the last state, the ones between reach each other freely."""
    if n_states < 3:
        return left_to_right(n_states)
    p = 1.0 / (n_states - 1)
    first = HmmState(0, tuple((j, p) for j in range(n_states - 1)), 0)
    inner = [HmmState(i, tuple((j, p) for j in range(1, n_states)), i) for i in range(1, n_states - 1)]
    last = HmmState(n_states - 1, ((n_states - 1, 0.75), (n_states, 0.25)), n_states - 1)
    return (first, *inner, last)
