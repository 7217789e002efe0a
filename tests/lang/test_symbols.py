"""Symbol tables: ids, files (as OpenFst reads them), and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import LexiconError
from asr.lang.symbols import SymbolTable

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Z"]), min_size=1).filter(lambda s: s != "<eps>"),
    unique=True,
).map(lambda names: ["<eps>", *names])


def test_names_and_ids():
    table = SymbolTable(["<eps>", "SIL", "AH"])
    assert (table["AH"], table.get("AH"), table.get("EH"), table.name(1), len(table)) == (2, 2, None, "SIL", 3)
    assert list(table) == ["<eps>", "SIL", "AH"] and "SIL" in table and "EH" not in table
    assert table == SymbolTable(table) and hash(table) == hash(SymbolTable(table)) and table != SymbolTable(["<eps>"])
    with pytest.raises(LexiconError, match="'SILL' is not in the table; did you mean 'SIL'"):
        table["SILL"]
    for wrong in (-1, 3):
        with pytest.raises(IndexError):
            table.name(wrong)


@given(NAMES)
def test_save_then_load_is_the_identity(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "symbols.txt"
    SymbolTable(names).save(path)
    assert SymbolTable.load(path) == SymbolTable(names)


def test_openfst_reads_the_file(tmp_path):
    pynini = pytest.importorskip("pynini")
    table = SymbolTable(["<eps>", "SIL", "caf\u00e9", "#0"])
    table.save(tmp_path / "words.txt")
    theirs = pynini.SymbolTable.read_text(str(tmp_path / "words.txt"))
    assert dict(theirs) == dict(enumerate(table))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<eps> 0\na\n", r"s.txt:2: expected 'symbol id', found 'a'"),
        ("<eps> 0\na one\n", r"s.txt:2: expected"),
        ("<eps> 0\na 1\nb 1\n", r"s.txt:3: id 1 is given twice"),
        ("<eps> 0\na 2\n", r"s.txt: ids must run from 0 without gaps; 1 is missing"),
        ("<eps> 0\na 1\na 2\n", r"s.txt: symbol 'a' is in the table twice"),
        ("a 0\n", r"s.txt: a symbol table starts with <eps>"),
        ("", r"s.txt: a symbol table starts with <eps>"),
    ],
)
def test_files_that_are_not_symbol_tables(tmp_path, content, message):
    (tmp_path / "s.txt").write_text(content)
    with pytest.raises(LexiconError, match=message):
        SymbolTable.load(tmp_path / "s.txt")
