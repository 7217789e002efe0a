"""`asr info` of what training, recipes and networks write: each says in words what it is, and none has a traceback."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from asr.errors import AsrError
from asr.features import FeatureTable
from asr.info import as_lines, describe
from asr.nn.curves import Point, write_curves
from asr.recipe.run import Run
from asr.recipe.systems import write_json, write_texts
from asr.report.results import ResultRow, write_results
from asr.train.stage import TrainedStage


@pytest.fixture(scope="module")
def made(tmp_path_factory, digits_model):
    """A folder with one file of each kind."""
    folder = tmp_path_factory.mktemp("made") / "out"
    alignments = {"b": np.array([3, 4], np.int32), "a": np.array([1, 2, 2], np.int32)}
    log = []
    TrainedStage(digits_model, alignments, {"c": "too short"}, log).save(folder)
    FeatureTable.from_dict({"a": np.zeros((3, 2)), "b": np.ones((1, 2))}).save(folder / "features.npz")
    np.savez(folder / "mine.npz", x=np.zeros((2, 3)))
    points = [Point(n, 10 * n, 0.1, 1.0, 0.5, loss, 0.5, 1.0, 60.0 * n) for n, loss in ((1, 2.0), (2, 1.5), (3, 1.75))]
    write_curves(folder, points)
    write_results(folder / "results.json", [ResultRow("mono", "mfcc", "", "none", "dev", "wer", 0, 5, 5, 100, 2, 0.1)])
    setting = {"acoustic_scale": 0.1, "insertion_penalty": 0.0, "total": 10}
    write_json(folder / "tuning.json", [{**setting, "errors": 3}, {**setting, "errors": 1, "acoustic_scale": 0.2}])
    settings = [({"lm_weight": 0.5}, 3), ({"lm_weight": 1.0}, 2)]
    write_json(folder / "value.json", [{"setting": s, "errors": errors, "total": 10} for s, errors in settings])
    write_json(folder / "test.json", {"decode_rtf": 0.01, "unfinished": 0, "tuned": {}})
    write_json(folder / "comparisons.json", [{"first": "a", "second": "b", "difference": 1}])
    write_json(folder / "anything.json", {"x": 1})
    write_texts(folder / "hypotheses.tsv", {"a": "one two", "b": "two"})
    for name in ("report.html", "run.log", "README.md", "tree.svg", "run.toml"):
        (folder / name).write_text("text\n")
    return folder


@pytest.fixture
def out(made, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(made, tmp_path / "out")


def test_what_transcribe_wrote_is_known(tmp_path, digits_model, sample):
    from asr.transcribe.writing import as_json

    heard = digits_model.transcribe(sample)
    for name in ("a.json", "a.jsonl"):
        (tmp_path / name).write_text(as_json("one", heard) + as_json("two", heard), encoding="utf-8")
        facts = describe(tmp_path / name)
        assert facts["what"] == "transcripts with times, of asr transcribe --format json"
        assert facts["recordings"] == 2 and facts["words"] == 2 * len(heard.words)
    (tmp_path / "a.json").write_text(as_json("one", heard)[:-20], encoding="utf-8")
    with pytest.raises(AsrError, match=r"a\.json:1"):
        describe(tmp_path / "a.json")


def test_a_list_of_words_and_the_words_of_a_graph(tmp_path):
    (tmp_path / "list.txt").write_text("Seven\nTwenty-one\n\nseven\n")
    facts = describe(tmp_path / "list.txt")
    assert facts["what"] == "a list of words, for asr graph --words" and facts["words"] == 3
    assert describe("digits")["graph"]["words"] == 10


def test_a_finished_training_tells_its_errors_and_hours(tmp_path):
    work = tmp_path / "work" / "held-out"
    for folder in (work, tmp_path / "model"):
        folder.mkdir(parents=True)
    (tmp_path / "model" / "model.json").write_text("{}")
    (tmp_path / "model" / "README.md").write_text("Trained by `asr train` (mono) on 90.0 minutes of speech; 3 pdfs.")
    write_texts(work / "references.tsv", {"a": "one two", "b": "one two"})
    write_texts(work / "alone.tsv", {"a": "one two", "b": "one one"})
    write_texts(work / "together.tsv", {"a": "one two", "b": "one two"})
    from asr.info.own import run_facts

    facts = run_facts(tmp_path)
    assert facts["hours_of_speech"] == 1.5 and facts["held_out_utterances"] == 2
    assert facts["errors_of_each_recording_alone"].startswith("25.00 % of words")


FACTS = {
    "alignments.npz": ("alignments of a training", {"utterances": 2, "frames": 5, "transition_ids": 4}),
    "features.npz": ("features", {"utterances": 2, "dim": 2}),
    "mine.npz": ("arrays", {"arrays": [{"name": "x", "shape": "2x3", "type": "float64"}]}),
    "model/am.npz": ("Gaussians of an acoustic model", {"dim": 39}),
    "model/transitions.npz": ("transition model", {"phones": 20}),
    "model/transforms.npz": ("prior statistics and matrices of a feature pipeline", {}),
    "curves.json": ("training of a network in epochs", {"epochs": 3, "best_epoch": 2, "held_out_loss": 1.5}),
    "results.json": ("results of a recipe's systems", {"rows": 1}),
    "tuning.json": ("errors of decoding settings", {"settings": 2}),
    "value.json": ("errors of decoding settings", {"best": {"lm_weight": 1.0, "errors": 2, "total": 10}}),
    "comparisons.json": ("comparisons of a recipe's systems", {"entries": 1}),
    "training.json": ("log of a training", {"utterances_left_out": 1}),
    "test.json": ("test of a recogniser", {"decode_rtf": 0.01}),
    "anything.json": ("object of JSON", {"keys": "x"}),
    "hypotheses.tsv": ("transcripts", {"utterances": 2, "words": 3, "different_words": 2}),
    "report.html": ("report or other web page, for a browser", {"bytes": 5}),
    "run.log": ("log of a run", {}),
    "README.md": ("notes (Markdown)", {}),
    "tree.svg": ("picture", {}),
    "run.toml": ("settings of a recipe (TOML)", {}),
}


@pytest.mark.parametrize("name", FACTS)
def test_each_file_says_what_it_is(made, name):
    what, numbers = FACTS[name]
    facts = describe(made / name)
    assert facts["what"] == what and facts["where"] == str(made / name)
    assert {key: facts[key] for key in numbers} == numbers
    assert as_lines(facts) and json.dumps(facts)


def test_the_best_setting_is_shown(made):
    assert describe(made / "tuning.json")["best"]["acoustic_scale"] == 0.2


def something(folder: Path) -> int:
    (folder / "x.tsv").write_text("a\tone\n")
    return 1


def test_the_folder_of_a_run_and_of_a_stage(out, tmp_path):
    stage = describe(out)
    assert stage["what"] == "stage of a training" and stage["model"] == str(out / "model")
    assert "alignments.npz" in stage["files"] and stage["report"] == str(out / "report.html")
    run = Run(tmp_path / "run")
    run.step("first", something)
    facts = describe(tmp_path / "run")
    assert facts["what"] == "output of a training" and [s["name"] for s in facts["stages"]] == ["first"]
    record = describe(tmp_path / "run" / ".stages" / "first.json")
    assert record["what"] == "record of a finished stage" and record["name"] == "first"


def test_a_g2p_model(tmp_path):
    from asr.lang.entries import Entry
    from asr.lang.g2p import train

    train([Entry(a + b, (a, b)) for a in "abc" for b in "abc"], order=2).save(tmp_path / "g2p")
    for place in (tmp_path / "g2p", tmp_path / "g2p" / "g2p.json"):
        facts = describe(place)
        assert facts["what"].startswith("G2P model") and facts["phones"] == "a b c" and facts["entries"] == 9
    assert describe(tmp_path / "g2p" / "graphones.arpa.gz")["what"] == "language model"


def test_files_of_networks(tmp_path):
    torch = pytest.importorskip("torch")
    from asr.nn import DnnConfig, build
    from asr.nn.checkpoints import save_checkpoint
    from asr.nn.optimization import Schedule, make_optimizer
    from asr.nn.options import TrainingOptions

    network = build(DnnConfig(context=0, hidden=(4,)), 2, 3)
    optimizer = make_optimizer(network, TrainingOptions())
    network(torch.zeros(1, 2, 2), torch.tensor([2])).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "last", network, optimizer, Schedule(TrainingOptions()), {"epoch": 3})
    facts = describe(tmp_path / "last.json")
    assert (facts["what"], facts["optimiser"], facts["state"]) == ("checkpoint of a training", "Adam", {"epoch": 3})
    facts = describe(tmp_path / "last-1.safetensors")
    assert facts["what"].startswith("tensors of a checkpoint") and facts["tensors"] > 4
    raw = (tmp_path / "last-1.safetensors").read_bytes()
    for content in (raw[:-1], raw[:20], b"", b"\xff" * 100, raw + b"x"):
        (tmp_path / "last-1.safetensors").write_bytes(content)
        with pytest.raises(AsrError, match=r"last-1\.safetensors: "):
            describe(tmp_path / "last-1.safetensors")


def test_a_link_that_leads_nowhere_and_a_name_that_is_nothing(tmp_path):
    (tmp_path / "lost.wav").symlink_to("gone.wav")
    with pytest.raises(AsrError, match=r"lost\.wav: is a link to gone\.wav, which is not there"):
        describe(tmp_path / "lost.wav")
    with pytest.raises(AsrError, match="no such file"):
        describe(tmp_path / "nothing.json")


NASTY = ("null", "5", "[]", "{}", '"x"', "[[]]", '[{"epoch": 1}]', '{"a":' * 10_000, "[null]", "nan")


@pytest.mark.parametrize("name", [name for name in FACTS if name.endswith(".json")])
def test_other_json_of_the_name_has_no_traceback(out, name):
    whole = json.loads((out / name).read_text())
    sample = whole[0] if isinstance(whole, list) else whole
    others = [
        json.dumps([{**sample, key: None}] if isinstance(whole, list) else {**sample, key: None}) for key in sample
    ]
    for content in (*NASTY, *others):
        (out / name).write_text(content)
        try:
            as_lines(describe(out / name))
        except AsrError as error:
            assert name in str(error)


def test_damaged_files_have_no_traceback(out):
    """A few flips, cuts and insertions in each file: facts, or an error of ours that names it."""
    rng = random.Random(5)
    for name in FACTS:
        whole = (out / name).read_bytes()
        for _ in range(6):
            place = rng.randrange(len(whole))
            flipped = whole[:place] + bytes([whole[place] ^ (1 << rng.randrange(8))]) + whole[place + 1 :]
            (out / name).write_bytes(rng.choice([flipped, whole[:place], whole[:place] + b"\0\xff9" + whole[place:]]))
            try:
                as_lines(describe(out / name))
            except AsrError as error:
                assert name.rpartition("/")[2] in str(error)


@pytest.mark.parametrize("header", ["audio\ttext", "text\taudio"])
def test_a_corpus_of_two_columns_stays_a_corpus(tmp_path, sample, header):
    row = {"audio": str(sample), "text": "one"}
    (tmp_path / "c.tsv").write_text(header + "\n" + "\t".join(row[name] for name in header.split()) + "\n")
    assert describe(tmp_path / "c.tsv")["what"] == "corpus"
