"""The flat start that knows the pauses: silence and words begin where they are, whatever the seed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.features.silence import loudness_threshold
from asr.features.table import FeatureTable
from asr.gmm.mono import MonoOptions, find_pauses, pause_alignments, train_mono
from asr.gmm.passes import equal_alignments, make_parts
from asr.hmm.topology import Topology
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.lang.lexicon import Lexicon

LEXICON = Lexicon((("yes", ("Y",)), ("no", ("N",))))
OPTIONS = MonoOptions(num_iters=12, total_gaussians=20, max_iter_inc=8, start="pauses")
MEANS = {
    "SIL": (-4.0, 0.0, 0.0),
    "Y": (4.0, 1.0, 0.0),
    "N": (4.0, 0.0, 1.0),
}  # loudness, and what tells the words apart


def spoken(words, rng, n_edge=60):
    """Features and true phones of words with pauses of very different lengths before, between and after them."""
    phones, lengths = ["SIL"], [n_edge]
    for word in words:
        phones += ["Y" if word == "yes" else "N", "SIL"]
        lengths += [int(rng.integers(25, 35)), int(rng.integers(12, 60))]
    frames = np.repeat(phones, lengths).tolist()
    return np.array([MEANS[p] for p in frames]) + rng.normal(size=(len(frames), 3)), frames


@pytest.fixture(scope="module")
def task():
    """Table, transcripts and true phones of twelve strings of eight words."""
    rng = np.random.default_rng(0)
    features, transcripts, truth = {}, {}, {}
    for i in range(12):
        words = rng.choice(["yes", "no"], 8).tolist()
        features[f"u{i:02}"], frames = spoken(words, rng)
        transcripts[f"u{i:02}"] = LEXICON.encode(" ".join(words))
        truth[f"u{i:02}"] = np.array([LEXICON.phones[p] for p in frames])
    return FeatureTable.from_dict(features), transcripts, truth


def begin(table, transcripts, lexicon=LEXICON, function=pause_alignments):
    """The first alignment of each utterance, the failures, and the transition model."""
    topology = Topology.kaldi((p for p in range(1, lexicon.n_phones + 1) if p != 1), [lexicon.silence_id])
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    parts = make_parts(table, transcripts, lexicon, tree, transitions, part_frames=2000)
    rng = np.random.default_rng(3)
    if function is equal_alignments:
        ids, failures = equal_alignments(parts, rng)
    else:
        ids, failures = pause_alignments(parts, transcripts, lexicon, tree, transitions, rng)
    found = {u: a for part, whole in zip(parts, ids, strict=True) for u, a in part.by_utterance(whole).items()}
    return found, failures, transitions


def share_right(alignments, truth, transitions):
    """Over all frames, how many are aligned with their true phone."""
    return np.mean(np.concatenate([transitions.phone_of_id[a] == truth[u] for u, a in alignments.items()]))


def test_every_seed_finds_pauses_and_words(task):
    table, transcripts, truth = task
    for seed in range(5):
        result = train_mono(table, transcripts, LEXICON, OPTIONS, seed=seed)
        assert share_right(result.alignments, truth, result.transitions) > 0.97


def test_kaldis_start_depends_on_the_seed(task):
    """What the other start is for: here too some seed gives words to silence and pauses to words."""
    table, transcripts, truth = task
    results = [train_mono(table, transcripts, LEXICON, replace(OPTIONS, start="equal"), seed=s) for s in range(5)]
    assert min(share_right(r.alignments, truth, r.transitions) for r in results) < 0.9


def test_the_first_alignment_has_the_words_in_order(task):
    table, transcripts, truth = task
    alignments, failures, transitions = begin(table, transcripts)
    assert not failures and set(alignments) == set(table)
    for utterance, ids in alignments.items():
        phones = transitions.phone_of_id[ids]
        silent = phones == LEXICON.silence_id
        assert np.mean(silent == (truth[utterance] == LEXICON.silence_id)) > 0.99
        words, seen = transcripts[utterance], phones[~silent]
        edges = np.linspace(0, len(seen), len(words) + 1)
        middles = ((edges[:-1] + edges[1:]) / 2).astype(int)
        assert [LEXICON.phones.name(int(p)) for p in seen[middles]] == [
            "YN"[LEXICON.words.name(w) == "no"] for w in words
        ]


def test_utterances_without_pauses_words_or_frames():
    rng = np.random.default_rng(1)
    loud = np.array(MEANS["Y"]) + rng.normal(size=(40, 3))
    quiet = np.array(MEANS["SIL"]) + rng.normal(size=(40, 3))
    table = FeatureTable.from_dict({"loud": loud, "quiet": quiet, "empty": quiet, "short": loud[:2]})
    yes = LEXICON.encode("yes")
    alignments, failures, transitions = begin(table, {"loud": yes, "quiet": yes, "empty": [], "short": yes})
    phones = {u: set(transitions.phone_of_id[a].tolist()) for u, a in alignments.items()}
    assert phones["loud"] == {LEXICON.phones["Y"]}
    assert LEXICON.phones["Y"] in phones["quiet"]  # the transcript says so; aligned as in Kaldi's start
    assert phones["empty"] == {LEXICON.silence_id}
    assert set(failures) == {"short"} and "2 frames" in failures["short"]


def test_a_lexicon_without_silence_begins_as_ever(task):
    table, transcripts, _ = task
    lexicon = replace(LEXICON, silence_prob=0.0)
    here, _, _ = begin(table, transcripts, lexicon)
    ever, _, _ = begin(table, transcripts, lexicon, equal_alignments)
    assert all(np.array_equal(here[u], ever[u]) for u in table)


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=40).filter(lambda x: len(set(x)) > 1))
def test_the_threshold_is_the_best_of_all(values):
    x = np.array(values, float)

    def within(threshold):
        groups = x[x < threshold], x[x >= threshold]
        return sum(((g - g.mean()) ** 2).sum() for g in groups)

    distinct = np.unique(x)
    assert within(loudness_threshold(x)) <= min(map(within, (distinct[:-1] + distinct[1:]) / 2)) + 1e-9


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 6), st.integers(1, 6))
def test_no_pause_is_shorter_than_asked(quiet, min_pause, min_speech):
    pause = find_pauses(np.where(quiet, 0.0, 1.0), 0.5, min_pause=min_pause, min_speech=min_speech)
    runs = "".join("p" if p else " " for p in pause).split()
    assert all(len(run) >= min_pause for run in runs) and len(pause) == len(quiet)


@pytest.mark.parametrize("options", [{"start": "random"}, {"start": "pauses", "realign_iters": (0, 40)}])
def test_impossible_options(options):
    with pytest.raises(ModelError, match="start="):
        MonoOptions(**options)
