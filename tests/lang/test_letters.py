"""Pronunciations from the spelling: longest spellings, marks, case, normal forms, and every problem named."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import LexiconError
from asr.lang import LetterTable, letter_lexicon
from asr.lang.letters import spelled

ACUTE, GRAVE, TILDE = "\u0301", "\u0300", "\u0303"
TABLE = "a\ta\ne\te\nn\tn\nng\tng\ng\tg\nx\tk s\n'\t\nk'\tkʼ\nk\tk\né\tE\n◌\u0301\t◌\u0301\n◌\u0300\t_L\n◌\u0303\t\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "letters.tsv"
    path.write_text(";; a comment\n\n" + TABLE, encoding="utf-8")
    return LetterTable.load(path)


@pytest.mark.parametrize(
    "word, units",
    [
        ("nang", "n a ng"),
        ("anga", "a ng a"),
        ("NANG", "n a ng"),
        ("ang-a", "a ng a"),
        ("an-ga", "a n g a"),
        ("axe", "a k s e"),
        ("ka'k'a", "k a kʼ a"),
        ("ka\u2019k\u2018a", "k a kʼ a"),
        ("á", "á"),
        ("ánga", "á ng a"),
        ("àna", "a_L n a"),
        ("a\u0303a", "a a"),
        ("a\u0303\u0301", "á"),
        ("é", "E"),  # a line of its own comes before the mark
        ("x\u0301", "k s\u0301"),
        ("e\u0300", "e_L"),
    ],
)
def test_spelling(table, word, units):
    expected = tuple(unicodedata.normalize("NFC", unit) for unit in units.split())
    for form in ("NFC", "NFD"):
        assert table.spell(unicodedata.normalize(form, word)) == (expected, "")


def test_marks_are_stripped_by_the_switch_alone(table):
    assert table.spell("ánàé", marks="strip")[0] == ("a", "n", "a", "E")
    assert table.without_marks(["á", "n", "a_L", "E", "s\u0301", "SIL", "q\u0301"]) == [
        *["a", "n", "a", "E", "s", "SIL", "q\u0301"]
    ]
    both = letter_lexicon(["ánà", "ana"], table, marks="strip").entries
    assert {entry.phones for entry in both} == {("a", "n", "a")}


@given(st.text(alphabet=["a", "e", "n", "g", "x", "k", ACUTE, GRAVE], min_size=1, max_size=12))
def test_stripped_units_are_those_of_a_lexicon_without_marks(word):
    table = LetterTable(
        {"a": ("a",), "e": ("e",), "n": ("n",), "ng": ("ng",), "g": ("g",), "x": ("k", "s"), "k": ("k",)},
        {ACUTE: ACUTE, GRAVE: "_L"},
    )
    kept, unknown = table.spell(word)
    assert table.spell(unicodedata.normalize("NFD", word))[0] == kept
    if not unknown:
        assert tuple(table.without_marks(kept)) == table.spell(word, marks="strip")[0]


def test_without_table_each_letter_with_its_accents_is_a_unit():
    lexicon = letter_lexicon({"Çà": 2, "l'été": 3, "e\u0301te\u0301": 1}, silence_prob=0.2)
    assert [(e.word, e.phones) for e in lexicon.entries] == [
        ("l'été", ("l", "é", "t", "é")),
        ("Çà", ("ç", "à")),
        ("été", ("é", "t", "é")),
    ]
    assert lexicon.silence_prob == 0.2


def test_what_cannot_be_spelled_is_listed_with_counts_and_names(table):
    words = ["qua", "qua", "bab", "nang", "--"]
    with pytest.raises(LexiconError) as caught:
        letter_lexicon(words, table)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 words cannot be spelled:"
    assert "'qua', 2 times: the table has no 'q' (LATIN SMALL LETTER Q), 'u' (LATIN SMALL LETTER U)" in lines[1]
    assert (
        "'--', 1 times: none of its letters has a pronunciation" in lines[2]
        and "'b' (LATIN SMALL LETTER B)" in lines[3]
    )
    entries, unsaid = spelled(words, table)
    assert [entry.word for entry in entries] == ["nang"] and list(unsaid) == ["qua", "bab", "--"]


def test_an_accent_that_the_table_lacks_is_no_letter_without_it():
    table = LetterTable({"a": ("a",)}, {})
    assert table.spell("a\u0301") == ((), "á")


@pytest.mark.parametrize(
    "text, message",
    [
        ("a a\n", "letters.tsv:1: 'a a' has no tab"),
        ("a\ta\nA\tb\n", "letters.tsv:2: spelling 'a' was given before"),
        ("a\t#1\n", "letters.tsv:1: spelling 'a': unit '#1' is reserved"),
        ("a b\tc\n", "letters.tsv:1: spelling 'a b': need characters without blanks"),
        ("\ta\n", "letters.tsv:1: spelling ''"),
        ("a\ta\n◌\u0301\tx y\n", "letters.tsv:2: "),
        ("a\ta\n◌b\tx\n", "letters.tsv:2: "),
        ("a\ta\n◌\u0301\t\n◌\u0301\tH\n", "letters.tsv:3: mark"),
        (";; nothing\n", "letters.tsv: holds no spellings"),
    ],
)
def test_a_wrong_table_is_named_by_file_and_line(tmp_path, text, message):
    (tmp_path / "letters.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(LexiconError, match=r"letters\.tsv") as caught:
        LetterTable.load(tmp_path / "letters.tsv")
    assert message in str(caught.value)


def test_other_damage(tmp_path):
    (tmp_path / "bytes.tsv").write_bytes(b"caf\xe9\ta\n")
    with pytest.raises(LexiconError, match=r"bytes\.tsv:1: not valid UTF-8"):
        LetterTable.load(tmp_path / "bytes.tsv")
    with pytest.raises(LexiconError, match="cannot be read: No such file"):
        letter_lexicon(["a"], tmp_path / "missing.tsv")
    with pytest.raises(LexiconError, match="marks='drop'; need"):
        spelled(["a"], marks="drop")
    with pytest.raises(LexiconError, match="mark 'b'"):
        LetterTable({"a": ("a",)}, {"b": ""})


@given(st.lists(st.text(alphabet=st.characters(categories=("L", "M", "N", "S")), min_size=1, max_size=6), min_size=1))
def test_a_saved_table_spells_as_before(tmp_path_factory, words):
    place = tmp_path_factory.mktemp("table") / "letters.tsv"
    kept = [word for word in words if "\u25cc" not in word] or ["a"]
    table = LetterTable.of([*kept, "a"])
    table.save(place)
    again = LetterTable.load(place)
    assert [again.spell(word) for word in kept] == [table.spell(word) for word in kept]


def test_a_saved_table_keeps_marks_and_what_is_left_out(table, tmp_path):
    table.save(tmp_path / "again.tsv")
    assert LetterTable.load(tmp_path / "again.tsv") == table
