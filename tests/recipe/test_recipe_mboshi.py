"""The mboshi recipe: its parts and grammars without data, its way up the ladder on some real recordings."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from asr.recipe.rungs import Search, fewest_errors

import asr
from asr.errors import ConfigError, CorpusError, GraphError
from asr.lang import LetterTable, letter_lexicon
from asr.lang.subwords import joined
from asr.recipe.grammars import Grammar, units_of
from asr.train.tuning import TuningPoint

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "mboshi"
LETTERS = ROOT / "lang" / "mboshi" / "letters.tsv"
QUESTIONS = ROOT / "lang" / "mboshi" / "questions.txt"
ALL_UNITS = "paeεioωuáéέíóώú btdkm nnynmbndngmbvndzfsbhghpfbvtsdzlrwya"  # letters that hold each of the 39 units


@pytest.fixture(scope="module")
def parts(recipe_module):
    """recipes/mboshi/parts.py as a module."""
    return recipe_module(RECIPE, "parts")


def phones_of(lexicon) -> set[str]:
    return {phone for entry in lexicon.entries for phone in entry.phones}


def test_every_unit_is_in_the_letters_of_this_test():
    table = LetterTable.load(LETTERS)
    assert len(phones_of(letter_lexicon(ALL_UNITS.split(), table))) == 39


@pytest.mark.parametrize("kind", ["units", "words", "open"])
def test_grammars_have_the_phones_of_the_model(kind):
    table = LetterTable.load(LETTERS)
    texts = [ALL_UNITS, "wa wa ndzambé", "nzambé wa"]
    model = letter_lexicon([w for t in texts for w in t.split()], table)
    grammar = Grammar(kind, 2, fewest=2, vowels="aeiouεω")
    lexicon = grammar.lexicon(texts, table, phones_of(model))
    assert list(lexicon.phones)[: lexicon.n_phones + 1] == list(model.phones)[: model.n_phones + 1]
    for sentence in grammar.sentences(texts, table):
        assert lexicon.encode(sentence) is not None
    said = [" ".join(lexicon.phones.name(p) for w in s.split() for p in lexicon.pronunciations(w)[0])
            for s in grammar.sentences(texts, table)]  # fmt: skip
    assert said == [" ".join(units_of(text, table)) for text in texts]
    assert [joined(s) for s in grammar.sentences(texts, table)] == [grammar.reference(text, table) for text in texts]


def test_an_open_grammar_says_new_words_and_a_closed_one_does_not():
    table = LetterTable.load(LETTERS)
    texts = [ALL_UNITS, "wa koa", "ndó wa"]
    units = phones_of(letter_lexicon([w for t in texts for w in t.split()], table))
    new = ["ko+", "+ndó"]
    open_words = Grammar("open", 2, fewest=2, vowels="aeiouεω").lexicon(texts, table, units)
    assert all(part in open_words for part in new)
    assert joined(" ".join(new)) == "kondó"
    assert "kondó" not in Grammar("words", 2).lexicon(texts, table, units)


def test_a_grammar_that_lacks_a_unit_is_refused():
    table = LetterTable.load(LETTERS)
    with pytest.raises(GraphError, match=r"not the same phones.*ndz"):
        Grammar("words", 2).lexicon(["wa"], table, {"w", "a", "ndz"})


def test_the_fewest_errors_decide_and_then_the_first():
    points = [TuningPoint(0.1, 0.0, 7, 9), TuningPoint(0.2, 0.0, 5, 9), TuningPoint(0.2, 1.0, 5, 9)]
    assert fewest_errors(points) == points[1]


def test_another_folder_is_named(parts, tmp_path):
    with pytest.raises(CorpusError, match=r"has no folder train/.*holds train/ and dev/"):
        parts.read_corpus(tmp_path, "train")
    command = [sys.executable, str(RECIPE / "run.py"), "--corpus", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 1 and "train/" in done.stderr and "Traceback" not in done.stderr


def test_word_edges_are_compared_with_those_of_the_first(recipe_module, monkeypatch, tmp_path):
    from asr.corpus import Corpus, Utterance
    from asr.errors import ModelError
    from asr.model.transcript import TimedWord

    edges = recipe_module(RECIPE, "edges")

    class Late:
        def __init__(self, system):
            self.seconds = {"sat": 0.0, "tri": 0.03, "mono": 0.2}[system]

        def align(self, audio, text):
            if audio.stem == "t1" and self.seconds == 0.03:
                raise ModelError("cannot be aligned")
            return SimpleNamespace(words=(TimedWord("wa", 1.0 + self.seconds, 2.0),))

    texts = iter(["wa", *(f"wa {i}" for i in range(9))])
    train = Corpus(Utterance(f"t{i}", "s", Path(f"t{i}.ogg"), next(texts)) for i in range(5))
    monkeypatch.setattr(edges, "read_corpus", lambda folder, part: train)
    monkeypatch.setattr(edges, "load", lambda folder: Late(folder.parent.name.removeprefix("dev-")))
    found = edges.compared(tmp_path, tmp_path, ["sat", "tri", "mono"])
    assert {name: score.starts for name, score in found.items()} == {
        "tri": pytest.approx([0.03] * 4), "mono": pytest.approx([0.2] * 4),
    }  # fmt: skip


def test_word_edges_of_two_systems(tmp_path):
    model, run = asr.load("digits"), tmp_path / "run"
    for system in ("sat", "tri"):
        model.save(run / f"dev-{system}" / "model")
    said = model.transcribe(ROOT / "asr" / "data" / "sample.wav")
    for name in ("train/ann_1_x", "train/ann_1_y", "dev/ann_1_z"):
        file = tmp_path / f"{name}.wav"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((ROOT / "asr" / "data" / "sample.wav").read_bytes())
        file.with_suffix(".mb.cleaned").write_text(said.text)
    command = [sys.executable, str(RECIPE / "edges.py"), "--corpus", str(tmp_path), "--out", str(run), "--systems"]
    done = subprocess.run([*command, "tri"], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    n_words = 2 * len(said.words)
    assert done.stdout.startswith(f"tri\n{n_words} of {n_words} words are correct")
    assert re.search(r"both +\d+ +100\.0 +100\.0", done.stdout)  # it is the same model
    missing = subprocess.run([*command, "tri,mono"], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert missing.returncode == 1 and "has no model of mono" in missing.stderr and not missing.stdout


def test_the_parts_share_no_utterance(parts):
    from asr.corpus import Corpus, Utterance
    from asr.recipe import load_config

    settings = load_config(RECIPE / "mboshi.toml", parts.Settings)
    train = Corpus(Utterance(f"t{i}", f"s{i % 3}", Path("x.ogg"), f"wa {max(i, 99)}") for i in range(1000))
    dev = Corpus(Utterance(f"d{i}", f"s{i % 3}", Path("x.ogg"), "wa") for i in range(9))
    whole = parts.all_data(train, dev, settings)
    assert (len(whole.train), len(whole.test)) == (700, 9)
    assert 250 < len(whole.held_out) < 300  # the first hundred sentences are the same, so none of them is tuned on
    assert not {train[u].text for u in whole.train} & {train[u].text for u in whole.held_out}
    assert parts.all_data(train, dev, settings) == whole

    class NoBench:
        def hours(self, ids):
            return 1.0

    folds = parts.without_one_speaker(whole, train.speaker_of | dev.speaker_of, NoBench())
    assert sorted(u for fold in folds for u in fold.test) == sorted(dev.ids)
    speakers = train.speaker_of | dev.speaker_of
    for fold in folds:
        (mine,) = {speakers[u] for u in fold.test}
        assert mine not in {speakers[u] for u in (*fold.train, *fold.held_out)}


def small_bench(parts, real_data, folder):
    """150 recordings, 20 of them to test, and sizes of models that fit them: the bench, its part, and the corpus."""
    if not (real_data / "mboshi").is_dir():
        pytest.skip("no mboshi under ASR_TEST_DATA")
    pytest.importorskip("pynini")
    from asr.recipe.ladder_bench import Bench, Part
    from asr.recipe.tasks import extract_features

    from asr.features.pipeline import FeaturePipeline
    from asr.recipe import Run
    from asr.train.ladder import Sizes

    corpus = parts.read_corpus(real_data / "mboshi", "train")
    corpus = corpus.select(corpus.ids[:150])
    steps = ({"kind": "mfcc", "options": {"use_energy": False}}, {"kind": "cmvn", "mode": "speaker"})
    pipeline, run = FeaturePipeline(16000, steps), Run(folder)
    data = run.stage("features", extract_features, {"utterances": list(corpus), "pipeline": pipeline, "n_jobs": 1})
    bench = Bench(run, corpus, data, LETTERS, QUESTIONS, pipeline, seed=0, n_jobs=1)
    ids, sizes = corpus.ids, Sizes(mono_gaussians=250, leaves=200, gaussians=600)
    part = Part("dev", tuple(ids[:120]), tuple(ids[120:130]), tuple(ids[130:]), sizes)
    return bench.with_lexicon([*corpus.transcripts().values(), ALL_UNITS]), part, corpus


@pytest.mark.slow
def test_two_rungs_on_real_recordings(parts, real_data, tmp_path):
    """From recordings to scores with monophones and triphones, in small."""
    from asr.recipe.ladder_ending import finish

    from asr.recipe import read_results

    bench, part, corpus = small_bench(parts, real_data, tmp_path / "out")
    run = bench.run
    search = Search((0.1, 0.1429), (-1.0, 0.0), beam=10.0)
    tests = [bench.test(part, system, Grammar("units", 2, 0.1), search) for system in ("mono", "tri")]
    finish(run, "Mboshi", tests, LETTERS, corpus.speaker_of, 0, corpus)
    rows = read_results(run.folder / "results.json")
    assert [(r.model, r.variant) for r in rows] == [(m, v) for m in ("mono", "tri") for v in ("", "tone-blind")]
    assert len({r.total for r in rows}) == 1  # the same references in each row
    assert all(r.value < 85 for r in rows)  # 60 to 75 %; a loop of units that hears nothing is above 95
    assert rows[1].errors < rows[0].errors and rows[3].errors < rows[2].errors
    compared = json.loads((run.folder / "comparisons.json").read_text(encoding="utf-8"))
    assert (compared[0]["first"], compared[0]["second"]) == ("mono dev PER", "tri dev PER")
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Phone error rate" in page and "units</div>" in page and "words</div>" not in page


@pytest.mark.slow
def test_networks_on_real_recordings(parts, real_data, tmp_path):
    """Both networks above the ladder, with features of their own and copies at another speed, in small."""
    pytest.importorskip("torch")
    from asr.recipe.ladder_ending import finish

    from asr.options import from_table
    from asr.recipe import Run, read_results
    from asr.recipe.networks import HYBRID, LFMMI, HybridPlan, LfmmiPlan

    table = {
        "front_end": {"kind": "fbank", "options": {"num_mel_bins": 30}},
        "speeds": [0.9, 1.0],
        "network": {"kind": "tdnn", "width": 64, "offsets": [[-2, 0, 2], [-3, 0, 3]]},
        "training": {"max_epochs": 6, "batch_frames": 1024, "learning_rate": 3e-3, "schedule": "cosine"},
    }
    chain = {**table, "search": {"acoustic_scales": [1.0], "insertion_penalties": [0.0], "beam": 10.0}}
    plans = {HYBRID: from_table(HybridPlan, table), LFMMI: from_table(LfmmiPlan, chain)}
    bench, part, corpus = small_bench(parts, real_data, tmp_path / "out")
    bench, run = replace(bench, networks=plans), bench.run
    search = Search((0.1, 0.2), (0.0,), beam=10.0)
    tests = [bench.test(part, system, Grammar("units", 2, 0.1), search) for system in ("mono", HYBRID, LFMMI)]
    finish(run, "Mboshi", tests, LETTERS, corpus.speaker_of, 0, corpus)
    rows = [r for r in read_results(run.folder / "results.json") if not r.variant]
    assert [(r.model, r.features) for r in rows] == [("mono", "mfcc"), (HYBRID, "fbank-30"), (LFMMI, "fbank-30")]
    assert all(r.value < 85 for r in rows)  # 60 to 75 %; what hears nothing is above 95
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert f"{HYBRID} round0-network0" in page and f"{LFMMI} network" in page
    other = {HYBRID: replace(plans[HYBRID], search=Search((0.3,), (0.0,), beam=8.0))}
    trained = run.record(f"dev-{HYBRID}")
    replace(bench, run=Run(tmp_path / "out"), networks=other).rung(part, HYBRID)
    assert run.record(f"dev-{HYBRID}") == trained  # another search is no reason to train again


@pytest.mark.slow
def test_ctc_on_real_recordings(parts, real_data, tmp_path):
    """A network without HMMs, with an attention decoder, all ways of decoding, and that no ladder is climbed for it."""
    pytest.importorskip("torch")
    from asr.recipe.ctc_tests import JointGrid, PrefixGrid
    from asr.recipe.ladder_ending import finish

    import asr
    from asr.options import from_table
    from asr.recipe import read_results
    from asr.recipe.networks import CTC_ATTENTION, CtcPlan, JointPlan, read_training

    table = {
        "front_end": {"kind": "fbank", "options": {"num_mel_bins": 30}, "pitch": {}},
        "network": {"kind": "recurrent", "cell": "gru", "layers": 1, "width": 64, "subsampling": 3, "dropout": 0.1},
        "training": {"max_epochs": 10, "batch_frames": 1024, "learning_rate": 5e-3, "schedule": "cosine"},
        "search": {"acoustic_scales": [0.6, 1.0], "insertion_penalties": [-4.0, -2.0, 0.0], "beam": 12.0},
    }
    masks = {"spec_augment": {"time_masks": 1}}
    below = from_table(CtcPlan, {**table, "plain": {"max_epochs": 2}, "training": table["training"] | masks})
    table["training"] = table["training"] | {"max_epochs": 5, "learning_rate": 3e-3}
    plan = from_table(JointPlan, {**table, "decoder": {"width": 48, "attention": 32}, "start": "rnn-ctc"})
    bench, part, corpus = small_bench(parts, real_data, tmp_path / "out")
    bench, run = replace(bench, networks={CTC_ATTENTION: plan, "rnn-ctc": below}), bench.run
    grid = PrefixGrid((0.4, 0.8), (0.0, 0.5), beam_size=20)
    joint = JointGrid((0.2, 0.5), (0.2,), (0.0, 0.5), beam_size=4)
    tests = bench.ctc_tests(part, CTC_ATTENTION, Grammar("units", 2, 0.1), plan.search, grid, joint)
    finish(run, "Mboshi", tests, LETTERS, corpus.speaker_of, 0, corpus)
    rows = {r.variant: r for r in read_results(run.folder / "results.json") if "tone" not in r.variant}
    assert list(rows) == ["greedy", "prefix", "tlg", "joint"]
    pairs = [(c["first"], c["second"]) for c in json.loads((run.folder / "comparisons.json").read_text())]
    assert (f"{CTC_ATTENTION} prefix dev PER", f"{CTC_ATTENTION} tlg dev PER") in pairs
    other = {CTC_ATTENTION: replace(plan, front_end={**plan.front_end, "pitch": {"min_f0": 70.0}}), "rnn-ctc": plan}
    with pytest.raises(ConfigError, match="features-fbank-30-pitch: two systems need it, with other settings"):
        both = replace(bench, networks=other)
        both._data(CTC_ATTENTION), both._data("rnn-ctc")
    assert all(r.features == "fbank-30-pitch" for r in rows.values())
    # With so little training the best path says next to nothing: 90 % are deletions. A language model helps at once.
    assert all(rows[variant].value < rows["greedy"].value for variant in ("prefix", "tlg", "joint"))
    assert not list(run.folder.glob("dev-mono*"))
    plain = bench.without_augmentation()
    bare = plain.networks["rnn-ctc"]
    assert (bare.training.max_epochs, bare.training.spec_augment.is_on, bare.speeds) == (2, False, (1.0,))
    (points,) = read_training(plain.rung(part.as_plain(), "rnn-ctc")).values()
    assert len(points) == 2 and run.record("dev-plain-rnn-ctc") and run.record("dev-rnn-ctc")
    assert "ctc-attention network" in (run.folder / "report.html").read_text(encoding="utf-8")
    model = asr.load(run.folder / f"dev-{CTC_ATTENTION}-units-graph" / "model")
    u = part.test[0]
    heard = model.transcribe(corpus[u].audio)
    assert heard.words and all(0 <= w.start < w.end for w in heard.words)


def test_the_committed_results_are_the_readmes():
    from asr.recipe.ladder_ending import comparison_table

    from asr.recipe import read_results, results_table
    from asr.scoring import Comparison

    text = (RECIPE / "README.md").read_text(encoding="utf-8")
    rows = read_results(RECIPE / "results.json")
    assert results_table(rows) in text
    compared = json.loads((RECIPE / "comparisons.json").read_text(encoding="utf-8"))
    pairs = [(c.pop("first"), c.pop("second"), Comparison(**c)) for c in compared]
    experiments = RECIPE.parents[1] / "docs" / "pages" / "experiments" / "mboshi.md"
    assert comparison_table(pairs) in experiments.read_text(encoding="utf-8")


def test_each_committed_rung_is_better_than_the_one_below():
    from asr.recipe import read_results

    rates = {r.model: r.value for r in read_results(RECIPE / "results.json") if (r.test, r.variant) == ("dev", "")}
    assert rates["tri"] <= 0.75 * rates["mono"]
    assert list(rates.values()) == sorted(rates.values(), reverse=True)
