"""Tables of other tools: read where it is clear what their columns are, else it is said how to make a .tsv of them."""

import re

import numpy as np
import pytest
import soundfile

from asr.corpus import Corpus
from asr.errors import CorpusError
from asr.info import describe


@pytest.fixture
def table(tmp_path):
    """A function that writes a table beside folders with recordings of the given names."""

    def write(text, *recordings, name="metadata.csv"):
        for place in recordings:
            (tmp_path / place).parent.mkdir(exist_ok=True)
            soundfile.write(tmp_path / place, np.random.default_rng(0).normal(0, 0.1, 800), 8000)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


TWO = [("a", "in 1990, he said: no"), ("b", "yes")]


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        # LJSpeech: id|as written|as read aloud, without names
        ('a|In 1990 he "said"|in 1990, he said: no\nb|Yes|yes\n', "wavs"),
        ('a|in 1990, he said: no\nb|yes\n', "wavs"),
        # Common Voice's columns, and a spreadsheet's quotes
        ('client_id,path,sentence\nann,a.wav,"in 1990, he said: no"\nann,b.wav,yes\n', "clips"),
        # DeepSpeech
        ('wav_filename,wav_filesize,transcript\nwav/a.wav,1644,"in 1990, he said: no"\nwav/b.wav,1644,yes\n', "wav"),
        # Hugging Face's audio folders; a semicolon is what spreadsheets of other countries write
        ("file_name;transcription\ndata/a.wav;in 1990, he said: no\ndata/b.wav;yes\n", "data"),
        ("audio|speaker|text\nwavs/a.wav|ann|in 1990, he said: no\nwavs/b.wav|bob|yes\n", "wavs"),
        ("audio\ttext\nwavs/a.wav\tin 1990, he said: no\nwavs/b.wav\tyes\n", "wavs"),
    ],
)  # fmt: skip
def test_tables_of_other_tools(table, text, folder):
    corpus = Corpus.read(table(text, f"{folder}/a.wav", f"{folder}/b.wav"))
    assert [(u.id, u.text) for u in corpus] == TWO and not corpus.problems
    assert all(u.audio.is_file() for u in corpus)


def test_a_cell_with_a_line_end_counts_with_its_last_line(table):
    path = table('path,text\na.wav,"one\ntwo"\nb.wav,three\n', "clips/a.wav")
    corpus = Corpus.read(path)
    assert [(u.id, u.text) for u in corpus] == [("a", "one two")]
    assert [str(p) for p in corpus.problems] == [f"{path}:4: utterance 'b': no such file: b.wav"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.wav,hello\nb.wav,yes\n", "metadata.csv: a table with commas between its cells, in whose first line"),
        (
            "name,words per minute\nb,3\n",
            "no column is named as the audio files (path, file, audio) and one as the text",
        ),
        ('path,text\na.wav,"one\n', "metadata.csv: line 2: quotes do not fit together"),
        ("path,text\na.wav,one,two\n", "metadata.csv:2: has 3 cells, the first line 2"),
        ("", "metadata.csv: a table with commas between its cells, in whose first line (nothing)"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_way_to_a_tsv(table, text, message):
    with pytest.raises(CorpusError, match=re.escape(message)) as error:
        Corpus.read(table(text, "clips/a.wav"))
    assert "make it a table .tsv" in str(error.value)


def test_info_reads_it_and_names_it_when_its_folder_is_given(table):
    path = table("a|Yes|yes\n", "wavs/a.wav")
    assert describe(path)["transcripts"]["words"] == 1
    assert describe(path.parent)["first_problems"] == [
        f"{path.parent}: metadata.csv is a table; if it holds the transcripts, give its own name"
    ]
