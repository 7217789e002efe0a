"""Tables of tab-separated values, in and out."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError


@pytest.fixture
def table(tmp_path, recording):
    """Writes a table beside the recordings a.wav and b.wav of 1 s, and gives its path."""
    recording(tmp_path / "a.wav"), recording(tmp_path / "sub" / "b c.wav")

    def write(*rows):
        path = tmp_path / "corpus.tsv"
        path.write_text("".join("\t".join(row.split("|")) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


def test_all_columns(table, tmp_path):
    (tmp_path / "b.npy").write_bytes(b"x")
    path = table(
        "text|id|speaker|audio|end|start|note|features",
        "one  two|u2|ann|a.wav|0.75|0.25||",
        'say "no"|u1|Bob B|sub/b c.wav|||x|',
        "three|u3|ann||||y|b.npy",
    )
    corpus = Corpus.from_tsv(path, strict=True)
    assert list(corpus) == [
        Utterance("u2", "ann", tmp_path / "a.wav", "one two", 0.25, 0.75),
        Utterance("u1", "Bob_B", tmp_path / "sub" / "b c.wav", 'say "no"'),
        Utterance("u3", "ann", text="three", features=str(tmp_path / "b.npy")),
    ]
    assert Corpus.read(path) == corpus


def test_defaults(table, tmp_path):
    assert list(Corpus.from_tsv(table("audio|text", "a.wav|x", "sub/b c.wav|y"), strict=True)) == [
        Utterance("a", "a", tmp_path / "a.wav", "x"),
        Utterance("b_c", "b_c", tmp_path / "sub/b c.wav", "y"),
    ]
    corpus = Corpus.from_tsv(table("AUDIO | Text", f"{tmp_path}/a.wav|x"), need_text=False)
    assert corpus.transcripts() == {}
    assert Corpus.from_tsv(table("audio", "a.wav"), need_text=False, strict=True).ids == ["a"]


def test_a_path_of_windows_gives_the_same_id(table, tmp_path):
    (utterance,) = Corpus.from_tsv(table("audio|text", "sub\\b c.wav|x"), strict=True)
    assert (utterance.id, utterance.audio) == ("b_c", tmp_path / "sub/b c.wav")


def test_parts_of_one_recording_have_one_speaker(table):
    path = table("id|audio|text|start|end", "u1|a.wav|x|0|0.5", "u2|a.wav|y|0.5|")
    assert Corpus.from_tsv(path, strict=True).speaker_of == {"u1": "a", "u2": "a"}


def test_parts_without_ids_are_named_by_channel_and_times(table):
    path = table(
        "audio|text|start|end|channel", "a.wav|x|0|0.5|", "a.wav|y|0.5||", "a.wav|z|0.25|0.75|1", "sub/b c.wav|w|0|0.5|"
    )
    corpus = Corpus.from_tsv(path, strict=True)
    assert corpus.ids == ["a-0000000-0000500", "a-0000500-end", "a-1-0000250-0000750", "b_c"]
    assert set(corpus.speaker_of.values()) == {"a", "b_c"}


def test_the_same_part_twice_says_which_column_is_needed(table):
    with pytest.raises(CorpusError, match=r"corpus.tsv:3: id 'a-.*500' was given before, in line 2.*add a column id"):
        Corpus.from_tsv(table("audio|text|start|end", "a.wav|x|0|0.5", "a.wav|y|0|0.5"))
    with pytest.raises(CorpusError, match=r"corpus.tsv:3: id 'a' was given before, in line 2.*add a column id"):
        Corpus.from_tsv(table("audio|text", "a.wav|x", "a.wav|y"))


def test_common_voice(table, tmp_path, recording):
    recording(tmp_path / "clips" / "common_voice_eo_1.mp3")
    path = table(
        "client_id|path|sentence_id|sentence|sentence_domain|up_votes|down_votes|age|gender|accents|variant|locale|segment",
        "0a1b|common_voice_eo_1.mp3|c1|Saluton|||||||||".replace("|||||||||", "||2|0||||||eo|")[:-1],
    )
    assert list(Corpus.read(path, strict=True)) == [
        Utterance("common_voice_eo_1", "0a1b", tmp_path / "clips/common_voice_eo_1.mp3", "Saluton")
    ]


def test_a_folder_beside_whose_recordings_lie_tables_points_to_them(table, tmp_path):
    table("audio|text", "a.wav|x")
    with pytest.raises(CorpusError, match=r"corpus.tsv: a table is not read with its folder; give its own name"):
        Corpus.read(tmp_path)


def test_our_own_names_come_before_common_voices(table):
    path = table("audio|path|text|sentence", "a.wav|gone.wav|x|y")
    assert Corpus.from_tsv(path, strict=True)["a"].text == "x"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], ":1: no column audio (or features) and none text in the header (found an empty file)"),
        (["a.wav|x"], ":1: no column audio (or features) and none text in the header (found 'a.wav', 'x'); the first"),
        (["audio,text", "a.wav,x"], "cells are separated by tabs, not commas"),
        (['"audio"|"text"'], "a table without quoting is needed"),
        (["audio|id", "a.wav|x"], "no column text in the header"),
        (["audio|txet", "a.wav|x"], ":1: column 'txet' is not known; did you mean 'text'?"),
        (["audio|text|speker", "a.wav|x|y"], "column 'speker' is not known; did you mean 'speaker'?"),
        (["audio|text|text", "a.wav|x|y"], "the header has column 'text' twice"),
        (["audio|text|id|id", "a.wav|x|y|z"], "the header has column 'id' twice"),
        (["audio|text"], "corpus.tsv: no utterance is listed in it"),
        (["audio|text", "gone.wav|x"], "corpus.tsv:2: utterance 'gone': no such file: gone.wav"),
        (["au\0dio|text", "a.wav|x"], "corpus.tsv:1: holds a NUL byte"),
    ],
)
def test_tables_without_use_say_why(table, rows, message):
    with pytest.raises(CorpusError) as caught:
        Corpus.from_tsv(table(*rows))
    assert message in str(caught.value)


def test_what_is_no_corpus_says_what_is_one(tmp_path):
    (tmp_path / "a.doc").touch(), (tmp_path / "text").touch(), (tmp_path / "loop").symlink_to("loop")
    for name, message in {
        "a.doc": "is no corpus; need a folder of recordings",
        "text": "is one list of a Kaldi data directory; give the folder",
        "gone": "no such file or folder; need",
        "gone.tsv": "no such file or folder; need",
        "loop": "may not or cannot be opened",
    }.items():
        with pytest.raises(CorpusError, match=message):
            Corpus.read(tmp_path / name)
    for reader in (Corpus.from_tsv, Corpus.from_lhotse, Corpus.from_kaldi, Corpus.from_folder):
        with pytest.raises(CorpusError, match=r"gone\.jsonl"):
            reader(tmp_path / "gone.jsonl")
    with pytest.raises(CorpusError, match="cannot be read: Is a directory"):
        Corpus.from_tsv(tmp_path)


def test_paths_start_at_the_table(table, tmp_path, monkeypatch):
    path = table("audio|text", "a.wav|x")
    monkeypatch.chdir(tmp_path / "sub")
    assert Corpus.from_tsv("../corpus.tsv", strict=True)["a"].audio == Path("../a.wav")
    assert Corpus.from_tsv(path, strict=True)["a"].audio == tmp_path / "a.wav"


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=5).filter(
    lambda s: s.split() == [s] and "\ufeff" not in s
)
PART = st.sampled_from([(None, None), (0.25, None), (None, 0.5), (1 / 3, 0.9)])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(WORD, st.tuples(WORD, st.sampled_from("ab-"), WORD, PART, st.booleans()), min_size=1))
def test_to_tsv_and_back_is_the_identity(tmp_path_factory, made):
    folder = tmp_path_factory.getbasetemp() / "tables"
    folder.mkdir(exist_ok=True)
    inside, outside = folder / "in side" / "a.wav", folder.parent / "b.wav"
    if not inside.exists():
        import soundfile

        inside.parent.mkdir()
        for path in (inside, outside):
            soundfile.write(path, [0.0] * 8000, 8000)
        (folder / "x.ark").write_bytes(bytes(100)), (folder / "y.npy").write_bytes(b"x")
    corpus = Corpus(
        Utterance(
            name,
            speaker,
            {"a": inside, "b": outside, "-": None}[audio],
            text,
            *(part if audio != "-" else (None, None)),
            f"{folder}/x.ark:17" if audio == "a" else f"{folder}/y.npy" if with_features or audio == "-" else None,
        )
        for name, (speaker, audio, text, part, with_features) in made.items()
    )
    corpus.to_tsv(folder / "t.tsv")
    again = Corpus.from_tsv(folder / "t.tsv")
    assert again == corpus
    assert all("overlaps" in p.message for p in again.problems)


def test_a_written_table_can_be_moved_with_its_recordings(table, tmp_path):
    Corpus.from_tsv(table("id|audio|text", "u1|sub/b c.wav|x")).to_tsv(tmp_path / "new.tsv")
    assert (tmp_path / "new.tsv").read_text() == "id\taudio\ttext\tspeaker\nu1\tsub/b c.wav\tx\tb_c\n"


def test_paths_that_a_table_cannot_hold_are_refused(tmp_path):
    for name in ("a\tb.wav", "a\n.wav"):
        with pytest.raises(CorpusError, match=r"utterance 'u': a table cannot hold the path"):
            Corpus([Utterance("u", "s", tmp_path / name, "x")]).to_tsv(tmp_path / "t.tsv")
    assert list(tmp_path.iterdir()) == []
