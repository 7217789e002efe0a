"""No reader of text takes more of a stranger's file than it says: sparse files and gzip bombs end at once."""

import gzip
import tracemalloc

import pytest

from asr.corpus import Corpus
from asr.errors import AsrError
from asr.lang.g2p import G2p
from asr.lang.letters import LetterTable
from asr.lang.lexicon import Lexicon
from asr.lang.symbols import SymbolTable
from asr.lm import read_arpa, read_sentences
from asr.scoring.edges import read_ctm
from asr.scoring.reading import read_transcripts

READERS = {
    "lexicon.tsv": Lexicon.load,
    "phones.txt": SymbolTable.load,
    "letters.tsv": LetterTable.load,
    "text": read_transcripts,
    "words.ctm": read_ctm,
    "segments.stm": read_transcripts,
    "corpus.tsv": Corpus.read,
    "cuts.jsonl": Corpus.read,
    "lm.arpa": read_arpa,
    "text.txt": read_sentences,
    "g2p.json": lambda path: G2p.load(path.parent),
}


@pytest.mark.parametrize("name", READERS)
def test_a_sparse_file_is_refused_before_it_is_read(tmp_path, name):
    path = tmp_path / name
    with path.open("wb") as stream:
        stream.truncate(50_000_000_000)
    with pytest.raises(AsrError, match=rf"{name}.* holds more than"):
        READERS[name](path)


@pytest.mark.parametrize("name", ["lm.arpa", "text.txt", "cuts.jsonl", "g2p.json"])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused(tmp_path, name):
    path = tmp_path / (name if name == "g2p.json" else f"{name}.gz")
    with gzip.open(path, "wb") as stream:
        for _ in range(80):
            stream.write(bytes(1 << 20))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(AsrError, match=rf"{path.name}.*(100 times its size|not JSON)"):
            READERS[name](path)
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()
