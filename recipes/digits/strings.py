"""Connected words made of recordings of single ones: which ones, in which order, with which pauses."""

import logging
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.corpus import Utterance
from asr.errors import CorpusError
from asr.files import write_text

logger = logging.getLogger("asr.recipe")

SHORTEST, LONGEST = 3, 7  # recordings in a string
LONGEST_PAUSE = 300  # ms
HEADER = "# Strings of recordings of one speaker; joined: pauses in ms and recordings in turn; drawn with seed {seed}"


@dataclass(frozen=True)
class String:
    """Recordings of one speaker in a row.

    recordings: their ids. pauses_ms: before the first, between, and after the last; one more than recordings.
    """

    id: str
    speaker: str
    recordings: tuple[str, ...]
    pauses_ms: tuple[int, ...]

    @property
    def line(self) -> str:
        """Its line in a list."""
        turns = [str(self.pauses_ms[0])]
        for recording, pause in zip(self.recordings, self.pauses_ms[1:], strict=True):
            turns += [recording, str(pause)]
        return f"{self.id}\t{self.speaker}\t{' '.join(turns)}\n"


def make_strings(name: str, recordings: Iterable[Utterance], seed: int) -> list[String]:
    """Every recording once, in strings of 3 to 7 of one speaker, in random order with random pauses.

    A third of all pauses are 0 ms, the others are whole milliseconds from 1 to 300, each as likely. A length is drawn
    among those that leave no recordings or enough for another string.

    name: of the list; ids are NAME-SPEAKER-NUMBER, and lists of different names are drawn independently.
    Raises CorpusError for a speaker with one or two recordings, of which no string can be made.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    by_speaker: dict[str, list[str]] = {}
    for utterance in recordings:
        by_speaker.setdefault(utterance.speaker, []).append(utterance.id)
    rows = []
    for speaker, ids in sorted(by_speaker.items()):
        if len(ids) < SHORTEST:
            raise CorpusError(
                f"{name}: speaker {speaker!r} has {len(ids)} recordings; a string takes {SHORTEST} or more"
            )
        shuffled = [sorted(ids)[i] for i in rng.permutation(len(ids))]
        while shuffled:
            left = len(shuffled)
            fitting = [n for n in range(SHORTEST, LONGEST + 1) if n == left or left - n >= SHORTEST]
            length = fitting[rng.integers(len(fitting))]
            rows.append((speaker, shuffled[:length]))
            del shuffled[:length]
    n_pauses = sum(len(ids) + 1 for _, ids in rows)
    pauses = rng.integers(1, LONGEST_PAUSE + 1, n_pauses)
    pauses[rng.permutation(n_pauses)[: round(n_pauses / 3)]] = 0
    strings, used = [], 0
    for number, (speaker, ids) in enumerate(rows, start=1):
        mine = tuple(int(p) for p in pauses[used : used + len(ids) + 1])
        used += len(mine)
        strings.append(String(f"{name}-{speaker}-{number:03d}", speaker, tuple(ids), mine))
    return strings


def write_list(path: Path, strings: Sequence[String], seed: int) -> None:
    """A list as a TSV file that a person can read."""
    write_text(path, HEADER.format(seed=seed) + "\nid\tspeaker\tjoined\n" + "".join(s.line for s in strings))


def read_list(path: Path) -> list[String]:
    """What `write_list` wrote."""
    strings = []
    for line in path.read_text(encoding="utf-8").splitlines()[2:]:
        name, speaker, joined = line.split("\t")
        turns = joined.split(" ")
        strings.append(String(name, speaker, tuple(turns[1::2]), tuple(map(int, turns[::2]))))
    return strings


def listed(path: Path, name: str, recordings: Sequence[Utterance], seed: int) -> list[String]:
    """The committed list if it is of these recordings, else (another corpus) a new one."""
    strings = read_list(path)
    if {r for s in strings for r in s.recordings} == {u.id for u in recordings}:
        return strings
    logger.warning("%s is not of these recordings: %s has other strings than in the README", path.name, name)
    return make_strings(name, recordings, seed)


def draw_pauses(count: int, rng: np.random.Generator) -> list[int]:
    """Lengths in ms: each is 0 with a chance of a third, else 1 to 300."""
    return [0 if rng.random() < 1 / 3 else int(rng.integers(1, LONGEST_PAUSE + 1)) for _ in range(count)]
