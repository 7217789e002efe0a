"""The mboshi recipe: its parts and grammars without data, its way up the ladder on some real recordings."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import asr
from asr.errors import CorpusError, GraphError
from asr.lang import LetterTable, letter_lexicon
from asr.lang.subwords import joined
from asr.options import from_table, load_config
from asr.recipe.bench import in_order
from asr.recipe.finish import comparison_table, finish
from asr.recipe.grammars import Grammar, units_of
from asr.recipe.networks import (
    CNN_CTC,
    CTC_ATTENTION,
    HYBRID,
    LFMMI,
    CtcTable,
    HybridTable,
    JointTable,
    LfmmiTable,
)
from asr.recipe.searches import GraphSearch, JointSearch, PrefixSearch
from asr.report.results import read_results, results_table
from recipes.mboshi import parts
from recipes.mboshi import run as recipe

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "mboshi"
LETTERS = ROOT / "lang" / "mboshi" / "letters.tsv"
QUESTIONS = ROOT / "lang" / "mboshi" / "questions.txt"
ALL_UNITS = "paeεioωuáéέíóώú btdkm nnynmbndngmbvndzfsbhghpfbvtsdzlrwya"  # letters that hold each of the 39 units


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


def test_another_folder_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"has no folder train/.*holds train/ and dev/"):
        parts.read_corpus(tmp_path, "train")
    command = [sys.executable, "-m", "recipes.mboshi.run", "--corpus", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 1 and "train/" in done.stderr and "Traceback" not in done.stderr


def test_word_edges_are_compared_with_those_of_the_first(monkeypatch, tmp_path):
    from asr.corpus import Corpus, Utterance
    from asr.errors import ModelError
    from asr.model.transcript import TimedWord
    from recipes.mboshi import edges

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
    monkeypatch.setattr(edges, "place_of", lambda out, name: name)
    monkeypatch.setattr(edges, "load", Late)
    found = edges.compared(tmp_path, tmp_path, ["sat", "tri", "mono"])
    assert {name: score.starts for name, score in found.items()} == {
        "tri": pytest.approx([0.03] * 4), "mono": pytest.approx([0.2] * 4),
    }  # fmt: skip


def test_word_edges_of_two_systems(tmp_path):
    model, run = asr.load("digits"), tmp_path / "run"
    for system in ("sat", "tri"):
        model.save(run / f"train-{system}-mfcc-session-dev-seed0" / "model")
    said = model.transcribe(ROOT / "asr" / "data" / "sample.wav")
    for name in ("train/ann_1_x", "train/ann_1_y", "dev/ann_1_z"):
        file = tmp_path / f"{name}.wav"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((ROOT / "asr" / "data" / "sample.wav").read_bytes())
        file.with_suffix(".mb.cleaned").write_text(said.text)
    command = [sys.executable, "-m", "recipes.mboshi.edges", "--corpus", str(tmp_path), "--out", str(run), "--systems"]
    done = subprocess.run([*command, "tri"], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    n_words = 2 * len(said.words)
    assert done.stdout.startswith(f"tri\n{n_words} of {n_words} words are correct")
    assert re.search(r"both +\d+ +100\.0 +100\.0", done.stdout)  # it is the same model
    missing = subprocess.run([*command, "tri,mono"], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert missing.returncode == 1 and "has no model of mono" in missing.stderr and not missing.stdout


def test_the_parts_share_no_utterance():
    from asr.corpus import Corpus, Utterance

    settings = load_config(RECIPE / "mboshi.toml", parts.Settings)
    train = Corpus(Utterance(f"t{i}", f"s{i % 3}", Path("x.ogg"), f"wa {max(i, 99)}") for i in range(1000))
    dev = Corpus(Utterance(f"d{i}", f"s{i % 3}", Path("x.ogg"), "wa") for i in range(9))
    whole = parts.all_data(train, dev, settings)
    assert (len(whole.part.train), len(whole.test)) == (700, 9)
    kept = whole.part.apart
    assert 250 < len(kept) < 300  # the first hundred sentences are the same, so none of them is tuned on
    assert not {train[u].text for u in whole.part.train} & {train[u].text for u in kept}
    assert parts.all_data(train, dev, settings) == whole and whole.tuning == ((whole.part, kept),)
    speakers = train.speaker_of | dev.speaker_of
    folds = parts.without_one_speaker(whole, speakers)
    assert sorted(u for fold in folds for u in fold.test) == sorted(dev.ids)
    for fold in folds:
        (mine,) = {speakers[u] for u in fold.test}
        assert mine not in {speakers[u] for u in (*fold.part.train, *fold.part.apart)}


def small_bench(real_data, folder):
    """150 recordings, 20 of them to test, and models that fit them: the bench, its fold, and the settings."""
    if not (real_data / "mboshi").is_dir():
        pytest.skip("no mboshi under ASR_TEST_DATA")
    from asr.recipe.bench import Bench
    from asr.recipe.grammars import spelled_lexicon
    from asr.recipe.run import Run
    from asr.train.stage import Sizes

    corpus = parts.read_corpus(real_data / "mboshi", "train")
    corpus, run = corpus.select(corpus.ids[:150]), Run(folder)
    lexicon = run.step("lexicon", spelled_lexicon, [*corpus.transcripts().values(), ALL_UNITS], LETTERS)
    bench = Bench(run, corpus, letters=LETTERS, lexicon=lexicon)
    ids, search = corpus.ids, GraphSearch((0.1, 0.2), (-1.0, 0.0), beam=10.0)
    settings = load_config(RECIPE / "mboshi.toml", parts.Settings)
    settings = replace(
        settings, sizes=Sizes(mono_gaussians=250, leaves=200, gaussians=600), unit_search=search, n_jobs=1,
        units=Grammar("units", 2, 0.1), prefix_search=PrefixSearch((0.4, 0.8), (0.0, 0.5), beam_size=20),
        joint_search=JointSearch((0.2, 0.5), (0.2,), (0.0, 0.5), beam_size=4),
    )  # fmt: skip
    return bench, parts.fold("dev", tuple(ids[:120]), tuple(ids[120:130]), tuple(ids[130:])), settings


def ladder(bench, settings):
    from asr.train.data import Data

    pipeline = recipe.mfcc(settings)
    data = bench.run.kept("features", Data.of, bench.corpus, pipeline)
    options = {"pipeline": pipeline, "lexicon": bench.lexicon, "sizes": settings.sizes}
    return recipe.stages(data, options, settings)


def ended(bench, results):
    """The rows of results.json, compared pairs, and the page."""
    finish(bench.run, "Mboshi", results, bench.corpus, pairs=in_order(results), unit="units", show=False)
    folder = bench.run.folder
    compared = json.loads((folder / "comparisons.json").read_text(encoding="utf-8"))
    page = (folder / "report.html").read_text(encoding="utf-8")
    return read_results(folder / "results.json"), [(c["first"], c["second"]) for c in compared], page


@pytest.mark.slow
def test_two_stages_on_real_recordings(real_data, tmp_path):
    """From recordings to scores with monophones and triphones, in small."""
    pytest.importorskip("matplotlib")
    bench, fold, settings = small_bench(real_data, tmp_path / "out")
    results = [r for s in ladder(bench, settings)[:2] for r in recipe.of_units(bench, s, "dev", [fold], settings)]
    rows, compared, page = ended(bench, results)
    assert [(r.model, r.variant) for r in rows] == [(m, v) for m in ("mono", "tri") for v in ("", "tone-blind")]
    assert len({r.total for r in rows}) == 1  # the same references in each row
    assert all(r.value < 85 for r in rows)  # 60 to 75 %; a loop of units that knows nothing is above 95
    assert rows[2].errors < rows[0].errors and rows[3].errors < rows[1].errors
    assert compared[0] == ("mono dev PER", "tri dev PER")
    assert "Phone error rate" in page and "units</div>" in page and "words</div>" not in page


@pytest.mark.slow
def test_networks_on_real_recordings(real_data, tmp_path):
    """Both networks above the ladder, with features of their own and copies at another speed, in small."""
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    bench, fold, settings = small_bench(real_data, tmp_path / "out")
    table = {
        "front_end": {"kind": "fbank", "options": {"num_mel_bins": 30}},
        "speeds": [0.9, 1.0],
        "network": {"kind": "tdnn", "width": 64, "offsets": [[-2, 0, 2], [-3, 0, 3]]},
        "options": {"training": {"max_epochs": 6, "batch_frames": 1024, "learning_rate": 3e-3, "schedule": "cosine"}},
        "search": {"acoustic_scales": [0.1, 0.2], "insertion_penalties": [0.0], "beam": 10.0},
    }
    chain = {**table, "search": {"acoustic_scales": [1.0], "insertion_penalties": [0.0], "beam": 10.0}}
    settings = replace(settings, dnn=from_table(HybridTable, table), lfmmi=from_table(LfmmiTable, chain))
    stages = ladder(bench, settings)
    above = recipe.networks_above(bench, stages[-1], settings)
    systems = [stages[0], *above]
    results = [r for s in systems for r in recipe.of_units(bench, s, "dev", [fold], settings)]
    rows, _, page = ended(bench, results)
    rows = [r for r in rows if not r.variant]
    assert [(r.model, r.features) for r in rows] == [("mono", "mfcc"), (HYBRID, "fbank-30"), (LFMMI, "fbank-30")]
    assert all(r.value < 85 for r in rows)  # 60 to 75 %; what knows nothing is above 95
    assert f"{HYBRID} dev round0-network0" in page and f"{LFMMI} dev network" in page
    assert rows[0].train_cpu_seconds < rows[1].train_cpu_seconds
    trained = bench.run.record(f"train-{HYBRID}-fbank-30-session-dev-seed0")
    other = replace(above[0], search=GraphSearch((0.3,), (0.0,), beam=8.0))
    again = replace(bench, run=type(bench.run)(tmp_path / "out"))
    assert again.trained(other, fold.part).key
    assert bench.run.record(trained["name"]) == trained  # another search is no reason to train again


@pytest.mark.slow
def test_ctc_on_real_recordings(real_data, tmp_path):
    """A network without HMMs, with an attention decoder, all ways of decoding, and that no ladder is climbed for it."""
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    bench, fold, settings = small_bench(real_data, tmp_path / "out")
    training = {"max_epochs": 10, "batch_frames": 1024, "learning_rate": 5e-3, "schedule": "cosine"}
    table = {
        "front_end": {"kind": "fbank", "options": {"num_mel_bins": 30}, "pitch": {}},
        "network": {"kind": "recurrent", "cell": "gru", "layers": 1, "width": 64, "subsampling": 3, "dropout": 0.1},
        "options": {"training": training | {"spec_augment": {"time_masks": 1}}},
        "plain": {"max_epochs": 2},
        "search": {"acoustic_scales": [0.6, 1.0], "insertion_penalties": [-4.0, -2.0, 0.0], "beam": 12.0},
    }
    few = {"ctc": {"training": training | {"max_epochs": 5, "learning_rate": 3e-3}}}
    joint = from_table(JointTable, {"start": CNN_CTC, "options": {**few, "decoder": {"width": 48, "attention": 32}}})
    below = from_table(CtcTable, table)
    settings = replace(settings, rnn_ctc=below, cnn_lstm_ctc=below, ctc_attention=joint)
    systems = {s.model: s for s in recipe.ctc(bench, settings)}
    results = recipe.of_units(bench, systems[CTC_ATTENTION], "dev", [fold], settings)
    rows, pairs, page = ended(bench, results)
    rows = {r.variant: r for r in rows if "tone" not in r.variant}
    assert list(rows) == ["greedy", "prefix", "tlg", "joint"]
    assert (f"{CTC_ATTENTION} prefix dev PER", f"{CTC_ATTENTION} tlg dev PER") in pairs
    assert all(r.features == "fbank-30-pitch" for r in rows.values())
    # With so little training the best path says next to nothing: 90 % are deletions. A language model helps, or at
    # least does no harm: which, is up to the processor's rounding.
    rates = {name: row.value for name, row in rows.items()}
    assert all(rates[variant] <= rates["greedy"] for variant in ("prefix", "tlg", "joint")), rates
    assert min(rates.values()) < rates["greedy"] - 1, rates
    assert not list(bench.run.folder.glob("train-mono*"))
    steps = (bench.run.record(f"train-{m}-fbank-30-pitch-session-dev-seed0") for m in (CNN_CTC, CTC_ATTENTION))
    assert rows["tlg"].train_cpu_seconds == pytest.approx(sum(step["cpu_seconds"] for step in steps))
    assert "ctc-attention dev network" in page
    words = bench.corpus[fold.test[0]]
    found = asr.load(results[4].folds[0].recognised.folder / "model").transcribe(words.audio)
    assert found.words and all(0 <= w.start < w.end for w in found.words)
    plain = {s.model: s for s in recipe.ctc(bench, settings, plain=True)}[CNN_CTC]
    bare = plain.options["table"].options.training
    assert (bare.max_epochs, bare.spec_augment.is_on, plain.options["table"].speeds) == (2, False, (1.0,))
    step = bench.trained(plain, fold.part)
    assert step.key
    (curves,) = json.loads((step.folder / "curves.json").read_text()).values()
    assert len(curves) == 2 and plain.variant == "plain"


def test_the_committed_results_are_the_readmes():
    from asr.scoring import Comparison

    text = (RECIPE / "README.md").read_text(encoding="utf-8")
    rows = read_results(RECIPE / "results.json")
    assert results_table(rows) in text
    compared = json.loads((RECIPE / "comparisons.json").read_text(encoding="utf-8"))
    pairs = [(c.pop("first"), c.pop("second"), Comparison(**c)) for c in compared]
    experiments = RECIPE.parents[1] / "docs" / "pages" / "experiments" / "mboshi.md"
    assert comparison_table(pairs) in experiments.read_text(encoding="utf-8")


def test_each_committed_stage_is_better_than_the_one_below():
    rates = {r.model: r.value for r in read_results(RECIPE / "results.json") if (r.test, r.variant) == ("dev", "")}
    assert rates["tri"] <= 0.75 * rates["mono"]
    assert list(rates.values()) == sorted(rates.values(), reverse=True)
