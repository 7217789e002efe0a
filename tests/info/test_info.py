import gzip
import json
import shutil

import kaldiio
import numpy as np
import pytest
import soundfile

import asr
from asr.errors import AsrError
from asr.features import FeatureTable
from asr.features.pipeline import FeaturePipeline
from asr.graph.const_fst import Graph
from asr.info import as_lines, describe
from asr.info.tree import tree_drawing
from asr.lm import read_arpa


@pytest.fixture
def corpus(tmp_path):
    """Two speakers; five recordings, of 1, 2 and 3 s by ann and 4 s by bob, with words, and one without."""
    folder = tmp_path / "corpus"
    texts = {
        "ann/a": (1, "one two"),
        "ann/b": (2, "two"),
        "ann/c": (3, "two tú"),
        "bob/d": (4, "one"),
        "bob/e": (5, None),
    }
    for name, (seconds, text) in texts.items():
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(8000 * seconds), 8000)
        if text is not None:
            path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return folder


def test_a_corpus_in_numbers(corpus):
    facts = describe(corpus)
    assert (facts["what"], facts["utterances"], facts["speakers"], facts["problems"]) == ("corpus", 4, 2, 1)
    assert facts["hours"] == pytest.approx(10 / 3600, abs=1e-4)
    assert facts["seconds_min_median_max"] == "1.00 3.00 4.00" and facts["sample_rates"] == "8000 Hz (4 files)"
    texts = facts["transcripts"]
    assert (texts["words"], texts["different_words"], texts["words_said_once"]) == (6, 3, 1)
    assert texts["characters"] == "e:2 n:2 o:5 t:4 w:3 ú:1" and texts["most_frequent"] == "two:3 one:2 tú:1"
    assert facts["of_speakers"] == [
        {"speaker": "ann", "utterances": 3, "minutes": 0.1},
        {"speaker": "bob", "utterances": 1, "minutes": 0.07},
    ]
    assert "e.wav" in facts["first_problems"][0]


def test_a_corpus_with_other_speakers_and_transcripts(corpus):
    for path in corpus.rglob("*.txt"):
        path.rename(path.with_suffix(".lab"))
    assert describe(corpus)["transcripts"] == {"utterances_with_text": 0}
    facts = describe(corpus, speaker="[^/]+$", text_suffix=".lab")
    assert facts["speakers"] == 4 and facts["transcripts"]["words"] == 6 and facts["of_speakers"] == []


def test_a_data_directory_with_segments_and_a_damaged_file(tmp_path, corpus):
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    (data / "wav.scp").write_text(f"r {corpus / 'bob' / 'd.wav'}\nbad {tmp_path / 'bad.wav'}\n")
    (data / "segments").write_text("u1 r 0.5 1.5\nu2 r 1.5 4.2\nu3 bad 0 1\n")
    (data / "utt2spk").write_text("u1 x\nu2 x\nu3 y\n")
    (data / "text").write_text("u1 one\nu2 two\nu3 three\n")
    facts = describe(data)
    assert facts["hours"] == pytest.approx(3.5 / 3600, abs=1e-4)
    assert any("bad.wav" in problem for problem in facts["first_problems"])


def test_a_corpus_of_features_alone(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    matrices = {"u1": np.ones((100, 13), np.float32), "u2": np.ones((300, 13), np.float32)}
    kaldiio.save_ark(str(data / "feats.ark"), matrices, scp=str(data / "feats.scp"))
    (data / "utt2spk").write_text("u1 x\nu2 x\n")
    (data / "text").write_text("u1 one\nu2 two\n")
    facts = describe(data)
    assert facts["with_features"] == 2 and facts["hours"] == pytest.approx(4 / 3600, abs=1e-4)
    assert facts["sample_rates"] == "no audio"
    for name in ("feats.scp", "feats.ark"):
        archive = describe(data / name)
        assert (archive["utterances"], archive["frames"], archive["dim"]) == (2, 400, 13)


def test_a_model_as_its_card_and_parts_say(digits_model):
    facts = describe("digits")
    assert (facts["kind"], facts["words"], facts["phones"]) == ("gmm-hmm", 10, digits_model.lexicon.n_phones)
    assert facts["pdfs"] == digits_model.acoustic.n_pdfs and facts["gaussians"] == digits_model.acoustic.n_gauss
    assert facts["graph"]["arcs"] == digits_model.graph.n_arcs and facts["card"][0] == "# digits"
    assert facts["parameters"] == facts["gaussians"] * (2 * digits_model.features.dim + 1)


def test_pipelines_in_words():
    steps = ({"kind": "lpcc"}, {"kind": "cmvn", "mode": "sliding", "norm_vars": True}, {"kind": "splice", "left": 3})
    assert FeaturePipeline(16000, steps).words() == (
        "13 LPC cepstra every 10 ms from 25 ms at 16000 Hz, mean and variance normalised (sliding), "
        "spliced with 3 before and 4 after: 104 values"
    )
    given = FeaturePipeline(0, ({"kind": "given", "dim": 13, "frame_shift": 10.0},))
    assert given.words() == "13 values given with the corpus, one frame every 10 ms: 13 values"


def test_a_graph_counted_by_hand(tmp_path):
    path = tmp_path / "a.fst"
    graph = Graph.from_arrays(0, [0, 0, 1], [0, 5, 3], [7, 0, 0], [0.5, 0.25, 1], [1, 2, 2], [np.inf, np.inf, 0.0])
    graph.write(path)
    facts = describe(path)
    counted = {"states": 3, "arcs": 3, "final_states": 1, "input_epsilons": 1, "output_epsilons": 2}
    assert {name: facts[name] for name in counted} == counted
    assert facts["input_labels"] == "3 to 5" and facts["output_labels"] == "7 to 7" and facts["memory_mapped"]
    assert facts["bytes"] == path.stat().st_size


def test_lexica_symbols_recordings_and_matrices(tmp_path, sample):
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("to T UW\ntwo T UW\nseven S EH V AH N\n")
    facts = describe(lexicon)
    assert (facts["words"], facts["phones"], facts["homophones"], facts["phones_per_word"]) == (
        3,
        8,
        1,
        "2 to 5, median 2",
    )
    asr.load("digits").lexicon.phones.save(tmp_path / "phones.txt")
    assert describe(tmp_path / "phones.txt")["what"] == "symbol table"
    info = soundfile.info(sample)
    facts = describe(sample)
    assert facts["seconds"] == pytest.approx(info.duration, abs=1e-4) and facts["sample_rate"] == info.samplerate
    np.save(tmp_path / "x.npy", np.arange(12, dtype=np.float32).reshape(4, 3))
    facts = describe(tmp_path / "x.npy")
    assert (facts["frames"], facts["dim"], facts["greatest"]) == (4, 3, 11.0)
    FeatureTable.from_dict({"a": np.zeros((3, 2)), "b": np.ones((1, 2))}).save(tmp_path / "t.npz")
    assert describe(tmp_path / "t.npz")["utterances"] == 2


def test_the_command_prints_text_and_json(run_info):
    facts = json.loads(run_info("digits", "--json"))
    assert facts == json.loads(json.dumps(describe("digits")))
    text = run_info("digits")
    assert "sample rate     8000\n" in text and "streaming       yes\n" in text and "  states" in text


@pytest.fixture
def run_info(monkeypatch, capsys):
    from asr.cli import main

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["asr", "info", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    return run


def test_tables_are_aligned():
    rows = [{"name": "a", "count": 5}, {"name": "longer", "count": 12345}]
    assert as_lines({"rows": rows, "none": None, "empty": []}) == [
        "rows",
        "  name     count",
        "  a            5",
        "  longer  12,345",
    ]


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"%PDF-1.4"])
def test_what_is_of_no_kind_is_said(tmp_path, content):
    for name in ("x", "x.bin", "x.fst", "x.npy", "x.npz", "x.ark", "x.scp", "x.txt", "x.tsv", "x.wav", "x.jsonl"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AsrError, match="x"):
            describe(tmp_path / name)


ARPA = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-99\t<s>\t-0.3
-0.5\t</s>
-0.5\tone\t-0.2
-0.7\ttwo

\\2-grams:
-0.1\t<s> one

\\end\\
"""


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz", "lm.txt", "lm.ngram", "lm.bin"])
def test_a_language_model(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(ARPA.encode()) if name.endswith(".gz") else ARPA.encode())
    if name in ("lm.ngram", "lm.bin"):
        read_arpa(path).save(path)
    facts = describe(path)
    assert (facts["what"], facts["order"], facts["ngrams"]) == ("language model", 2, "1:4 2:1")
    assert facts["unknown_words"] == "impossible"


@pytest.fixture
def tree_file(tmp_path):
    """A tree of two phones: SIL alone, and a, whose pdfs 1 and 2 are told apart by what is before it."""
    tree = {
        "kind": "decision-tree",
        "context_width": 3,
        "central_position": 1,
        "questions": [[1]],
        "nodes": [[-2, 0], [0, 0, 2, 3], [-2, 1], [-2, 2]],
        "roots": [
            {"phones": [1], "pdf_classes": [0], "node": 0},
            {"phones": [2], "pdf_classes": [0], "node": 1},
        ],
    }
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(tree))
    (tmp_path / "phones.txt").write_text("<eps> 0\nSIL 1\na 2\n")
    return path


def test_a_tree(tree_file):
    facts = describe(tree_file)
    assert (facts["what"], facts["pdfs"], facts["leaves"], facts["questions_asked"]) == ("decision tree", 3, 3, 1)
    assert facts["most_pdfs"] == [{"phones": "a", "pdfs": 2}, {"phones": "SIL", "pdfs": 1}]
    assert "left in SIL" in tree_drawing(tree_file)
    tree_file.with_name("phones.txt").unlink()
    assert describe(tree_file)["most_pdfs"][0] == {"phones": "2", "pdfs": 2}
    with pytest.raises(AsrError, match=r"phones\.txt"):
        tree_drawing(tree_file)
    tree_file.write_text('{"kind": "monophone"}')
    with pytest.raises(AsrError, match=r"tree\.json: not a tree of ours"):
        describe(tree_file)


def test_the_tree_of_a_monophone_model(monophones):
    path = monophones / "tree.json"
    assert describe(path)["what"] == "monophone tree" and describe(path)["phones"] == 20
    with pytest.raises(AsrError, match="asks nothing"):
        tree_drawing(monophones)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("x.tsv", "word\tphones\none\tW AH N\n", "lexicon"),
        ("x.tsv", "one\tw ʌ n\nnine\tn a ɪ n\n", "lexicon"),
        ("x.tsv", "u1\ti go home\nu2\tso\n", "transcripts"),
        ("x.tsv", "ann\twe went home\nbob\twhat about you\n", "transcripts"),
    ],
)
def test_two_columns_are_words_with_phones_or_transcripts(tmp_path, name, text, what):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert describe(tmp_path / name)["what"] == what


def test_a_lexicon_with_commas_is_no_table_of_recordings(tmp_path):
    (tmp_path / "x.csv").write_text("one,W AH N\nnine,N AY N\n")
    with pytest.raises(AsrError, match="words and phones with commas between; a lexicon has blanks"):
        describe(tmp_path / "x.csv")


def test_transcripts_of_which_none_can_be_used_are_named(tmp_path, sample):
    shutil.copy(sample, tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text('<?xml version="1.0"?><a>two</a>')
    found = describe(tmp_path)
    assert found["utterances"] == found["problems"] == 1 and found["transcripts"]["utterances_with_text"] == 0
    assert found["first_problems"][0].startswith(f"{tmp_path / 'a.txt'}: is XML, not a transcript")
