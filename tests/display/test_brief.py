"""What a console shows of things: a line or two that say what each is and how large, whatever it holds."""

import ast
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import asr
from asr import audio
from asr.display.brief import brief_repr, changed_repr, in_brief, many, short
from asr.features import FeatureTable, MfccOptions, PitchOptions, track_pitch
from asr.gmm.mono import MonoOptions
from asr.hmm.decision_tree import LEAF, DecisionTree, TreeRoot
from asr.lm import train
from asr.model.transcript import Transcript
from asr.scoring import score
from asr.train.data import Data
from asr.train.mono import train_monophone

SOURCE = Path(asr.__file__).parent
# Fields of these types can be of any size.
LARGE = re.compile(r"ndarray|Tensor|FeatureTable|Lexicon|tuple\[(Entry|UtteranceScore)")


def own_repr(body):
    return any(
        (isinstance(item, ast.FunctionDef) and item.name == "__repr__")
        or (isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "__repr__")
        for item in body
    )


def test_whatever_holds_things_of_any_size_has_a_repr_of_its_own():
    lacking = []
    for path in sorted(SOURCE.rglob("*.py")):
        if path.is_relative_to(SOURCE / "recipe"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef) or node.name[0] == "_" or own_repr(node.body):
                continue
            kinds = [ast.unparse(k) for k in (*node.decorator_list, *node.bases)]
            shown = [i for i in node.body if isinstance(i, ast.AnnAssign) and "repr=False" not in ast.unparse(i)]
            fields = [ast.unparse(i.annotation) for i in shown]
            fields = [kind for kind in fields if not kind.startswith("Callable")]
            if any("dataclass" in k or "NamedTuple" in k for k in kinds) and any(map(LARGE.search, fields)):
                lacking.append(f"{path.relative_to(SOURCE)}: {node.name}")
    assert not lacking


@pytest.fixture(scope="module")
def trained(digits_model):
    """A model of yes and no, trained on noise, which need not recognise anything."""
    rng = np.random.default_rng(0)
    raw = {f"u{i}": 3 * rng.standard_normal((60, digits_model.features.raw_dim)) for i in range(6)}
    data = Data(FeatureTable.from_dict(raw), {u: f"s{u}" for u in raw}, dict.fromkeys(raw, "yes no"))
    lexicon = asr.Lexicon([("yes", ("Y", "S")), ("no", ("N",))])
    return data, *train_monophone(data, lexicon, digits_model.features, MonoOptions(num_iters=2, total_gaussians=8))


def shown(digits_model, sample, trained):
    """Things, and what their reprs are."""
    data, model, result = trained
    model = replace(model, graph=digits_model.graph)
    transcript = digits_model.transcribe(sample)
    references = {"u": "one two three"}
    samples, rate = audio.read(sample)
    nodes = np.array([[0, 0, 1, 2], [LEAF, 0, 0, 0], [LEAF, 1, 0, 0]])
    tree = DecisionTree(1, 0, ((1,),), nodes, (TreeRoot((1, 2), (0,), 0),))
    return [
        (digits_model, r"<Model: gmm-hmm.*, 1[0-9] words, \d+ phones, 8000 Hz, DiagGmms: [\d,]+ Gaussians of"),
        (model, r"<Model: gmm-hmm, 2 words, 4 phones, 8000 Hz, DiagGmms: \d+ Gaussians"),
        (replace(model, graph=None), "no graph>"),
        (digits_model.features, r"<FeaturePipeline: 13 MFCC every 10 ms from 25 ms at 8000 Hz, .*: \d+ values>"),
        (digits_model.lexicon, r"<Lexicon: \d+ words, \d+ pronunciations, \d+ phones, oov='error'>"),
        (digits_model.lexicon.phones, r"<SymbolTable: \d+ symbols, <eps>, SIL, "),
        (digits_model.graph, r"<Graph: [\d,]+ states, [\d,]+ arcs>"),
        (digits_model.hmms[0], r"<TransitionModel: \d+ phones, \d+ pdfs, \d+ transition ids>"),
        (digits_model.hmms[0].topology, r"<Topology: \d+ phones, \d+ HMM states>"),
        (digits_model.hmms[1], r"<\w+Tree: .*\d+ pdfs>"),
        (model.hmms[1], r"<MonophoneTree: 4 phones, \d+ pdfs>"),
        (tree, "<DecisionTree: context of 1 phone, 2 leaves, 2 pdfs>"),
        (digits_model.acoustic, r"<DiagGmms: [\d,]+ Gaussians of \d+ dimensions, \d+ pdfs>"),
        (digits_model.decoder, r"<ViterbiDecoder: Graph: .* arcs, SearchOptions\(beam="),
        (transcript, "<Transcript: 'two seven one eight two eight', 6 words, 0.[0-9]+ to 2.[0-9]+ s>"),
        (Transcript(""), "<Transcript: ''>"),
        (data, "<Data: 6 speakers, FeatureTable: 6 utterances, 360 frames of 13 values>"),
        (data.raw, "<FeatureTable: 6 utterances, 360 frames of 13 values>"),
        (result, r"MonoResult\(gmms=<DiagGmms: .*>, .*alignments=\{6 items\}, failures=\{\}"),
        (train([["one", "two"], ["two", "one"]], order=2), r"<NgramModel: order 2, 5 words, 5 \+ \d n-grams>"),
        (
            score(references, {"u": "one too three"}),
            r"<Score: %WER 33.33 \[ 1 / 3, .* 1 sub \], 1 utterance>",
        ),
        (asr.Corpus([asr.Utterance("u1", "ann", text="one")]), r"Corpus\(1 utterance, 1 speaker, 0 problems\)"),
        (audio.read(sample), r"Audio\(samples=float32 \(\d+,\), rate=8000\)"),
        (track_pitch(samples, rate), r"PitchTrack\(hz=float64 \(264,\), correlation=float64 \(264,\)\)"),
    ]


def test_of_each_a_line_or_two(digits_model, sample, trained):
    for thing, pattern in shown(digits_model, sample, trained):
        text = repr(thing)
        assert re.search(pattern, text), text
        assert len(text) <= 400 and text.count("\n") <= 1, text


def test_numbers_and_texts_in_brief():
    assert many(1, "frame") == "1 frame" and many(0, "frame") == "0 frames" and many(10**6, "arc") == "1,000,000 arcs"
    assert short("a" * 70) == "a" * 59 + "…" and short("ab") == "ab"
    for value, text in (
        (np.zeros((3, 4), np.float32), "float32 (3, 4)"),
        (np.float32(1.5), "float32 ()"),
        ([1, 2, 3], "[1, 2, 3]"),
        ([1, 2, 3, 4], "[4 items]"),
        ((1,) * 1000, "(1,000 items)"),
        ({i: i for i in range(9)}, "{9 items}"),
        (b"a" * 100, "[100 bytes]"),
        (["a" * 100], "[1 item]"),
        ("a" * 100, repr("a" * 59 + "…")),
        (None, "None"),
        (Path("x"), repr(Path("x"))),
    ):
        assert in_brief(value) == text


class Pair(NamedTuple):
    left: np.ndarray
    right: float

    def __repr__(self):
        return brief_repr(self)


@dataclass
class Holder:
    pair: Pair
    names: list

    __repr__ = brief_repr


def test_dataclasses_and_named_tuples():
    assert repr(Holder(Pair(np.zeros(3), 0.5), ["a"])) == "Holder(pair=Pair(left=float64 (3,), right=0.5), names=['a'])"


def test_options_show_what_differs_from_the_defaults():
    for options in (MfccOptions(), MfccOptions(num_ceps=20, window_type="hanning"), PitchOptions(max_f0=300)):
        assert eval(repr(options)) == options
    assert repr(MfccOptions(num_ceps=20, num_mel_bins=30)) == "MfccOptions(num_mel_bins=30, num_ceps=20)"
    assert changed_repr(MfccOptions()) == "MfccOptions()"
