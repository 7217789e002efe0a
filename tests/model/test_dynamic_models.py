"""Models whose words and language model are apart: all that is done with a model, and phrases that gain."""

import copy
import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import numpy as np
import pytest

import asr
from asr.errors import GraphError, LanguageModelError, ModelError
from asr.graph.arpa import arpa_grammar
from asr.info.model import model_facts
from asr.lm import read_arpa
from asr.model.dynamic import boosted, dynamic_graph_of, read_phrases, with_dynamic_graph, words_of
from asr.model.graphs import with_graph
from asr.model.language_models import parts_of, read_parts
from asr.model.regraph import vocabulary_in_words, with_language_model

ARPA = """\\data\\
ngram 1=6
ngram 2=4

\\1-grams:
-1.0\t</s>
-99\t<s>\t-0.2
-0.8\tseven\t-0.3
-0.9\ttwo\t-0.1
-1.2\tzero
-0.7\tone

\\2-grams:
-0.2\t<s> two
-0.4\tseven </s>
-0.3\tseven two
-0.5\ttwo seven

\\end\\
"""


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "digits.arpa"
    path.write_text(ARPA)
    return path


@pytest.fixture(scope="module")
def models(lm):
    """A shipped model with a static and with a dynamic graph of the same language model."""
    model = asr.load("digits")
    grammar = arpa_grammar(read_arpa(lm), model.lexicon)
    return with_graph(model, grammar), with_dynamic_graph(model, grammar)


@pytest.fixture(scope="module")
def sample():
    return str(resources.files("asr") / "data" / "sample.wav")


def test_transcribes_aligns_and_streams_as_the_static_graph_does(models, sample):
    static, dynamic = (model.with_decoding(beam=1e4, max_active=10**6) for model in models)
    expected, found = static.transcribe(sample), dynamic.transcribe(sample)
    assert found.text == expected.text and found.text
    assert found.words == expected.words
    assert found.score == pytest.approx(expected.score, abs=1e-2)
    assert dynamic.align(sample, found.text).words
    if dynamic.streaming:
        samples = dynamic.read(sample)
        stream = dynamic.stream(dynamic.sample_rate)
        for piece in np.array_split(samples, 7):
            stream.accept(piece)
        assert stream.finish().text == found.text


def test_saved_and_loaded_it_is_the_same(models, sample, tmp_path):
    _, dynamic = models
    dynamic.save(tmp_path / "model")
    assert {"HCL.fst", "G.fst", "reach.npz"} <= {path.name for path in (tmp_path / "model").iterdir()}
    assert not (tmp_path / "model" / "HCLG.fst").exists()
    again = asr.load(tmp_path / "model")
    assert again.transcribe(sample) == dynamic.transcribe(sample)
    facts = model_facts(tmp_path / "model")
    assert facts["graph"]["words"] == 4 and facts["graph"]["composed"] == "while decoding"
    assert vocabulary_in_words(again) == "4 words"
    assert "HTML" in type(again).__name__ or again._repr_html_()


@pytest.mark.parametrize("name", ["G.fst", "HCL.fst", "reach.npz"])
def test_a_part_of_another_model_is_refused(models, name, tmp_path):
    from asr.model.directory import read_directory

    _, dynamic = models
    graph = dynamic_graph_of(dynamic)
    wrong = {
        "G.fst": dataclasses.replace(graph, grammar=dataclasses.replace(graph.grammar, arcs=graph.grammar.arcs.copy())),
        "HCL.fst": dataclasses.replace(graph, words=dataclasses.replace(graph.words, graph=graph.grammar)),
        "reach.npz": dataclasses.replace(
            graph, words=dataclasses.replace(graph.words, labels=np.zeros_like(graph.words.labels))
        ),
    }[name]
    if name == "G.fst":
        wrong.grammar.arcs["ilabel"][-1] = 99
    dataclasses.replace(dynamic, graph=wrong).save(tmp_path / "model")
    with pytest.raises((ModelError, GraphError), match=r"build the graph anew|belong"):
        read_directory(tmp_path / "model")


def test_words_are_taken_over_and_language_models_are_swapped(models, lm, monkeypatch):
    _, dynamic = models
    assert words_of(dynamic, dynamic.lexicon) is dynamic.graph.words
    monkeypatch.setattr(type(dynamic.units), "compile_words", lambda *_, **__: pytest.fail("the words were made anew"))
    made, lost = with_language_model(dynamic, read_arpa(lm), dynamic=True, exact=True)
    assert not lost and made.graph.exact and made.graph.words is dynamic.graph.words
    assert "composed with the words while decoding" in made.card


def test_phrases_gain_and_words_without_cost_can_come(models, sample, tmp_path):
    static, dynamic = models
    heard = dynamic.transcribe(sample).text.split()
    other = next(word for word in ("zero", "three", "nine", "eight") if word not in heard)
    made, unknown = boosted(dynamic, [(other, 400.0), ("seven xylophone", 9.0)])
    assert unknown == ["xylophone"]
    assert other in made.transcribe(sample).text.split()
    with pytest.raises(GraphError, match="boosted phrases are not kept with a model"):
        made.save(tmp_path / "boosted")
    assert not (tmp_path / "boosted").exists()
    same, _ = boosted(dynamic, [])
    assert same.transcribe(sample) == dynamic.transcribe(sample)
    with pytest.raises(ModelError, match=r"asr graph MODEL --lm A.arpa --dynamic"):
        boosted(static, [("one", 1.0)])


def test_two_graphs_in_one_directory_are_refused(models, tmp_path):
    static, dynamic = models
    dynamic.save(tmp_path / "model")
    static.graph.write(tmp_path / "model" / "HCLG.fst")
    with pytest.raises(ModelError, match=r"both HCLG\.fst and HCL\.fst"):
        asr.load(tmp_path / "model")


def test_files_of_phrases(tmp_path):
    path = tmp_path / "phrases.txt"
    path.write_text("# cities\nnew york\n\nparis\t2.5\nsan jose\t1\n", encoding="utf-8")
    assert read_phrases(path, 4.0) == [("new york", 8.0), ("paris", 2.5), ("san jose", 2.0)]
    for wrong in ("paris\tmuch\n", "paris\tinf\n", "paris\t-1\n", "paris\t501\n"):
        path.write_text(f"rome\n{wrong}", encoding="utf-8")
        with pytest.raises(ModelError, match=r"phrases.txt:2"):
            read_phrases(path, 4.0)


def test_a_bonus_that_is_no_number_is_told(tmp_path):
    path = tmp_path / "likely.txt"
    path.write_text("paris\n")
    with pytest.raises(ModelError, match=r"likely\.txt:1: a bonus of nan; need 0 to 500 nats"):
        read_phrases(path, float("nan"))


def test_threads_may_share_a_model(models, sample):
    for model in models:
        alone = model.transcribe(sample)
        with ThreadPoolExecutor(4) as pool:
            assert all(heard == alone for heard in pool.map(model.transcribe, [sample] * 12))


def test_a_model_that_was_used_can_be_copied(models, sample):
    for model in models:
        heard = model.transcribe(sample)
        for copied in (copy.deepcopy(model), copy.copy(model), pickle.loads(pickle.dumps(model))):
            assert copied.transcribe(sample) == heard


def test_parts_of_language_models(lm):
    assert parts_of([str(lm)])[0].weight == 1.0
    for wrong in (["a.arpa", "b.arpa:0.5"], ["a.arpa:0.7", "b.arpa:0.7"], ["a.arpa:-1", "b.arpa:2"], ["a.arpa:nan"]):
        with pytest.raises(LanguageModelError):
            parts_of(wrong)
    mixed = read_parts(parts_of([f"{lm}:0.25", f"{lm}:0.75"]))
    one = read_arpa(lm)
    assert mixed.log_prob(["<s>"], "two") == pytest.approx(one.log_prob(["<s>"], "two"), abs=1e-9)
