"""Lexicons: worked examples, disambiguation against its definition, OOV policies, files, and what is refused."""

import re
import string
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LexiconError
from asr.lang.lexicon import Entry, Lexicon

DIGITS = [("two", ("T", "UW")), ("to", ("T", "UW")), ("tool", ("T", "UW", "L")), ("a", ("AH",)), ("a", ("EY",))]


def lexicon_file(tmp_path, content):
    path = tmp_path / "lexicon.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_symbol_tables_have_the_promised_order():
    lexicon = Lexicon([*DIGITS, ("!SIL", ("SIL",))])
    assert list(lexicon.phones) == ["<eps>", "SIL", "AH", "EY", "L", "T", "UW", "#0", "#1", "#2", "#3"]
    assert list(lexicon.words) == ["<eps>", "!SIL", "a", "to", "tool", "two", "#0", "<s>", "</s>"]
    assert (lexicon.n_phones, lexicon.n_words, lexicon.silence_id) == (6, 5, 1)
    assert lexicon.disambiguation_ids == (7, 8, 9, 10)
    assert lexicon.silence_disambiguation_id == 10


def test_homophones_and_prefixes_get_symbols_per_phone_sequence():
    """The textbook cases of Kaldi's add_lex_disambig: two homophones that also begin a third word."""
    assert Lexicon(DIGITS).disambiguation == (1, 2, 0, 0, 0)
    assert Lexicon([("a", ("A",)), ("ab", ("A", "B")), ("b", ("B",))]).disambiguation == (1, 0, 0)


def test_without_silence_there_is_no_symbol_for_it():
    lexicon = Lexicon(DIGITS, silence_prob=0.0)
    assert lexicon.silence_disambiguation_id is None
    assert list(lexicon.phones)[-1] == "#2"
    assert lexicon.phones["SIL"] == 1


SYMBOL = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=4).filter(
    lambda s: s.split() == [s] and not s.startswith(";;") and not re.match(r"#\d|[01]\.\d|<", s)
)
SETTINGS = st.fixed_dictionaries(
    {"silence_prob": st.floats(0, 1, exclude_max=True), "oov": st.sampled_from(["error", "skip"]), "unk": SYMBOL}
)
ENTRIES = st.lists(
    st.tuples(SYMBOL, st.lists(st.sampled_from(string.ascii_uppercase[:3]), min_size=1, max_size=3).map(tuple)),
    min_size=1,
    max_size=12,
    unique_by=lambda entry: Lexicon([entry]).entries,
)


@given(ENTRIES)
def test_disambiguated_pronunciations_are_prefix_free_and_symbols_are_used_only_where_needed(entries):
    lexicon = Lexicon(entries)
    marked = [
        (*e.phones, *([f"#{k}"] if k else [])) for e, k in zip(lexicon.entries, lexicon.disambiguation, strict=True)
    ]
    for i, one in enumerate(marked):
        others = marked[:i] + marked[i + 1 :]
        assert not any(other[: len(one)] == one for other in others)
        bare = lexicon.entries[i].phones
        if lexicon.disambiguation[i]:
            assert any(e.phones[: len(bare)] == bare for j, e in enumerate(lexicon.entries) if j != i)


@settings(deadline=None)
@given(ENTRIES, SETTINGS)
def test_save_then_load_is_the_identity(tmp_path_factory, entries, options):
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.tsv"
    lexicon = Lexicon(entries, silence_phone="pau", **options)
    lexicon.save(path)
    loaded = Lexicon.load(path)
    assert loaded == lexicon
    assert (loaded.phones, loaded.words) == (lexicon.phones, lexicon.words)


def test_pronunciations_by_name_and_by_id():
    lexicon = Lexicon(DIGITS)
    assert lexicon.pronunciations("a") == [(2,), (3,)] == lexicon.pronunciations(lexicon.words["a"])
    with pytest.raises(LexiconError, match=r"'too' has no pronunciation.*'to'"):
        lexicon.pronunciations("too")


def test_encode_follows_the_policy_for_unknown_words():
    entries = [*DIGITS, ("<unk>", ("SPN",))]
    assert Lexicon(entries).encode("two  a\tto") == [Lexicon(entries).words[w] for w in ("two", "a", "to")]
    assert Lexicon(entries, oov="skip").encode("two many") is None
    unk = Lexicon(entries, oov="unk")
    assert unk.encode("two many") == [unk.words["two"], unk.words["<unk>"]]
    with pytest.raises(LexiconError, match=r"text:7: without pronunciation: 'tool2' \(nearest: 'tool'"):
        Lexicon(entries).encode("two tool2", "text:7")
    assert Lexicon(entries).encode("") == []


def test_encode_all_lists_every_unknown_word_with_count_place_and_neighbours():
    lexicon = Lexicon(DIGITS)
    assert lexicon.encode_all({"u1": "a two"}) == {"u1": lexicon.encode("a two")}
    with pytest.raises(LexiconError) as caught:
        lexicon.encode_all({"u1": "a zzz", "u2": "tools zzz"})
    message = str(caught.value)
    assert "2 words" in message
    assert "'zzz', 2 times, first in u1\n" in message
    assert "'tools', 1 times, first in u2 (nearest: 'tool'" in message
    assert Lexicon(DIGITS, oov="skip").encode_all({"u1": "a zzz", "u2": "a"}) == {"u2": [1]}


def test_composed_and_decomposed_spelling_are_one_word():
    lexicon = Lexicon([("cafe\u0301", ("K",))])
    assert lexicon.encode("caf\u00e9") == lexicon.encode("cafe\u0301") == [1]
    assert "cafe\u0301" in lexicon


def test_files_of_other_systems_are_read(tmp_path):
    path = lexicon_file(tmp_path, b"\xef\xbb\xbf;; a comment\r\nzero Z IH R OW\r\n\r\nzero\tZ IY  R OW\r\n")
    assert Lexicon.load(path).entries == (Entry("zero", ("Z", "IH", "R", "OW")), Entry("zero", ("Z", "IY", "R", "OW")))


def test_settings_in_the_file_and_their_replacement(tmp_path):
    path = lexicon_file(tmp_path, ";; silence_phone=pau silence_prob=0.25\n;; oov=skip\na A\n")
    lexicon = Lexicon.load(path)
    assert (lexicon.silence_phone, lexicon.silence_prob, lexicon.oov) == ("pau", 0.25, "skip")
    assert Lexicon.load(path, oov="error").oov == "error"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a A\nb\n", r"lexicon.tsv:2: word 'b' has no phones"),
        ("a A B\nb B\na A B\n", r"lexicon.tsv:3: word 'a' with phones 'A B' was given before, .*lexicon.tsv:1"),
        ("a #1\n", r"lexicon.tsv:1: word 'a': phone '#1' is reserved"),
        ("#0 A\n", r"lexicon.tsv:1: word '#0' is reserved"),
        ("<s> A\n", "reserved"),
        ("a A\n</s> A\n", r"lexicon.tsv:2: word '</s>'"),
        ("a <eps> A\n", "'<eps>'"),
        ("a A SIL\n", r"lexicon.tsv:1: word 'a': silence phone 'SIL'"),
        ("a 0.8 A\n", "looks like a pronunciation probability"),
        (b"a A\n\xff\xfe B\n", r"lexicon.tsv:2: not valid UTF-8"),
        (";; silence_pone=SIL\na A\n", r"lexicon.tsv:1: unknown setting 'silence_pone'; did you mean 'silence_phone'"),
        (";; oov=skip\n;; oov=skip\na A\n", r"lexicon.tsv:2: setting 'oov' is given twice"),
        (";; silence_prob=half\na A\n", r"lexicon.tsv:1: silence_prob='half' is not a number"),
        (";; silence_prob=1.0\na A\n", r"silence_prob=1.0; need"),
        (";; oov=ignore\na A\n", r"oov='ignore'; need one of error, skip, unk"),
        (";; oov=unk\na A\n", r"needs an entry for '<unk>'"),
        ("", "has no entries"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(tmp_path, content, message):
    with pytest.raises(LexiconError, match=message):
        Lexicon.load(lexicon_file(tmp_path, content))


def test_all_bad_lines_are_listed_at_once(tmp_path):
    with pytest.raises(LexiconError) as caught:
        Lexicon.load(lexicon_file(tmp_path, "".join(f"w{i}\n" for i in range(30))))
    assert "lexicon.tsv:20:" in str(caught.value)
    assert "10 more" in str(caught.value)


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(LexiconError, match=r"nowhere.tsv: cannot be read"):
        Lexicon.load(tmp_path / "nowhere.tsv")


def test_words_with_white_space_or_a_comment_mark_are_refused():
    for word in ("a b", "", "a\u00a0b", ";;x"):
        with pytest.raises(LexiconError, match="white space"):
            Lexicon([(word, ("A",))])


def test_import_is_light():
    heavy = ["numpy", "scipy", "numba", "rapidfuzz", "pynini"]
    code = f"import asr.lang.lexicon, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
