"""Lexicon files as other tools write them: read as their documentation means it, or refused with the line."""

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LexiconError
from asr.lang.dictionary import cmudict_entries
from asr.lang.entries import OWN, PLAIN, WITH_PROBABILITIES, WITH_SILENCE, Entry
from asr.lang.foreign_lexicon import CMU, HTK, JULIUS
from asr.lang.lexicon import Lexicon, file_format


def read(tmp_path, text, name="lexicon.dict"):
    """The entries as (word, phones, probability), the format's name, and the lexicon."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    lexicon = Lexicon.load(path)
    entries = [(e.word, " ".join(e.phones), e.probability) for e in lexicon.entries]
    return entries, file_format(path)[0], lexicon


CMUDICT = """;;; # CMUdict
;;; comment
!exclamation-point EH2 K S
one W AH1 N # number
one(2) HH W AH1 N
nine N AY1 N # place, danish
#hash-mark HH AH1 N
"""


def test_a_cmu_dictionary_has_comments_and_numbered_variants(tmp_path):
    entries, form, _ = read(tmp_path, CMUDICT)
    assert form == CMU and entries == [
        ("!exclamation-point", "EH2 K S", 1.0),
        ("one", "W AH1 N", 1.0),
        ("one", "HH W AH1 N", 1.0),
        ("nine", "N AY1 N", 1.0),
        ("#hash-mark", "HH AH1 N", 1.0),
    ]


def test_it_is_the_same_whether_named_cmudict_or_given_as_a_file(tmp_path):
    path = tmp_path / "cmu.dict"
    path.write_text(CMUDICT)
    assert list(Lexicon.load(path).entries) == cmudict_entries(path, stress=True)


def test_two_blanks_capitals_and_repeated_variants(tmp_path):
    """As cmudict-0.7b and the dictionaries of PocketSphinx are written."""
    text = "## a comment\nREAD  R EH1 D\nREAD(1)  R IY1 D\nREAD(2)  R IY1 D\n<s> SIL\n</s> SIL\n<sil> SIL\n"
    entries, form, _ = read(tmp_path, text)
    assert form == CMU
    assert entries == [("READ", "R EH1 D", 1.0), ("READ", "R IY1 D", 1.0), ("<sil>", "SIL", 1.0)]


def test_htk_outputs_probabilities_and_short_pauses(tmp_path):
    """The layout of the HTK Book: WORD [OUTSYM] probability phones; HDMan ends words in sp and sil."""
    text = """A [A] 0.4 ah sp
A [A] 0.6 ey sp
A [A] 0.4 ah sil
CALL [call] k ao l sp
SENT-END [] sil
SENT-START [] sil
silence sil
\\'em [\\'em] ax m sp
caf\\303\\251 [caf\\303\\251] k ae f ey sp
"""
    entries, form, lexicon = read(tmp_path, text)
    assert form == HTK and lexicon.silence_phone == "sil"
    assert entries == [
        ("A", "ah", 0.4),
        ("A", "ey", 0.6),
        ("call", "k ao l", 1.0),
        ("silence", "sil", 1.0),
        ("'em", "ax m", 1.0),
        ("café", "k ae f ey", 1.0),
    ]


def test_signs_in_outputs_names_of_columns_and_one_pause_at_the_end(tmp_path):
    text = "\\[NOISE [\\[noise\\]] n oy z\nA [A] ax sp\n"
    assert [e[:2] for e in read(tmp_path, text)[0]] == [("[noise]", "n oy z"), ("A", "ax")]
    assert [e[:2] for e in read(tmp_path, "word\tpronunciation\na\tAH\n")[0]] == [("a", "AH")]


def test_a_probability_before_the_output_is_read_all_the_same(tmp_path):
    """HTK's own order is output, probability; other tools write the probability first."""
    entries, form, _ = read(tmp_path, "TWO 1.0 [two] t uw\nONE [one] 0.5 w ah n\nSIX 1 [six] s ih k s\n")
    assert form == HTK
    assert entries == [("two", "t uw", 1.0), ("one", "w ah n", 0.5), ("six", "s ih k s", 1.0)]


def test_an_htk_dictionary_without_outputs_ends_in_pauses_all_the_same(tmp_path):
    assert read(tmp_path, "go g ow sp\ngo g ow sil\nhome hh ow m sp\n")[0] == [
        ("go", "g ow", 1.0),
        ("home", "hh ow m", 1.0),
    ]
    assert read(tmp_path, "go g ow sp\nhome hh ow m\n")[0][0] == ("go", "g ow sp", 1.0)  # a phone like any other


def test_julius_outputs(tmp_path):
    text = """<s> [] silB
</s> [] silE
嗚呼+アア+感動詞 [嗚呼] a a
私+ワタシ+代名詞 @-0.30103 [私] w a t a sh i
私+ワタクシ+代名詞 [私] w a t a k u sh i
"""
    entries, form, _ = read(tmp_path, text)
    assert form == JULIUS
    assert [(w, p) for w, p, _ in entries] == [("嗚呼", "a a"), ("私", "w a t a sh i"), ("私", "w a t a k u sh i")]
    assert [probability for *_, probability in entries] == pytest.approx([1, 0.5, 1])
    grammar = "0 [<s>] silB\n1 [ringo] r i N g o\n1 [mikaN] m i k a N\n"
    assert [e[:2] for e in read(tmp_path, grammar.replace("0 [<s>]", "0 []"))[0]] == [
        ("ringo", "r i N g o"),
        ("mikaN", "m i k a N"),
    ]


def test_julius_words_by_category(tmp_path):
    voca = "% NS_B\n<s> silB\n\n% NAME\ntakeo t a k e o\nmie m i e\n% NS_E\n</s> silE\n"
    entries, form, _ = read(tmp_path, voca)
    assert [e[:2] for e in entries] == [("takeo", "t a k e o"), ("mie", "m i e")] and form == JULIUS
    assert read(tmp_path, "% SPN\none w ah n\n")[0][0] == ("%", "SPN", 1.0)  # a word


@pytest.mark.parametrize(
    ("text", "form", "first"),
    [
        ("the\tdh ah\nthe\tdh iy\n", PLAIN, ("the", "dh ah", 1.0)),
        ("the\t0.9\tdh ah\nthe\t0.1\tdh iy\n", WITH_PROBABILITIES, ("the", "dh ah", 0.9)),
        ("the\t0.9\t0.2\t1.0\t1.0\tdh ah\nthe\t0.1\t0.17\t1.1\t0.98\tdh iy\n", WITH_SILENCE, ("the", "dh ah", 0.9)),
        ("the 1.0 0.2 1 1.0 dh ah\nthe 0.1 0.17 1.1 0.98 dh iy\n", WITH_SILENCE, ("the", "dh ah", 1.0)),
        ("!SIL SIL\n<UNK> SPN\nthe DH AH\n", PLAIN, ("!SIL", "SIL", 1.0)),
        (";; oov=skip\nthe(2) DH # AH\n", OWN, ("the(2)", "DH # AH", 1.0)),
        ("cat k { t\nshe S i:\n", PLAIN, ("cat", "k { t", 1.0)),  # X-SAMPA
        ("<blank> #\nend # N D\n", PLAIN, ("<blank>", "#", 1.0)),  # a phone of that name
        ("(2) T UW\n[noise] NSN\n", PLAIN, ("(2)", "T UW", 1.0)),
        ("[noise] [NSN]\na AH [NSN]\n", PLAIN, ("[noise]", "[NSN]", 1.0)),
    ],
)
def test_mfa_kaldi_and_plain_files(tmp_path, text, form, first):
    entries, found, _ = read(tmp_path, text)
    assert found == form and entries[0] == first and len(entries) == len(text.splitlines()) - (form == OWN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a N AH\nb AH # N\n", r":2: word 'b': does '#' begin a comment, or is it a phone"),
        ("a N AH\nb AH #\n", r":2: word 'b': does '#' begin a comment, or is it a phone"),
        ("a N # comment\nb # comment\n", r":2: word 'b' has no phones"),
        ('<?xml version="1.0"?>\n<lexicon>\n', r":1: XML, not a lexicon"),
        ('{"word": "a"}\n', r":1: JSON, not a lexicon"),
        ('("a" nil (((ah) 1)))\n', r":1: Festival's, not a lexicon"),
        ('MNCL\n("a" nil (((ah) 1)))\n', r":2: .*in parentheses, as in Festival's lexica"),
        ('( "a" n ( k ae t ))\n', r":1: .*in parentheses, as in Festival's lexica"),
        ("{aback} {{AX WB} B AE {K WB}}\n", r":1: .*GlobalPhone"),
        ("hello\t/həˈloʊ/\nworld\t/wɜːld/, /wɝld/\n", r":1: word 'hello': '/həˈloʊ/' is a transcription in slashes"),
        ("hello [həˈloʊ]\nworld [wɜːld]\n", r":1: .*a transcription in brackets"),
        ("word,phones\none,W AH N\n", r":1: .*cells between commas"),
        ("a\tAH\nin addition\tIH N\n", r":2: 'in addition': a word with a blank"),
        ("UH [] ah\nA [A] ey\n", r":1: word 'UH' is written as nothing"),
        ("a 0.9 A\nb 0.9 0.2 1.0 1.1 B\n", r":1: word 'a' has other numbers after it than one or four"),
        ("a 0.9 A\nb B\nc 0.3 B\n", r":2: word 'b' has no probability, others have"),
        ("A @x [A] ey\n", r":1: word 'A': need @ and a logarithm"),
        ("A 0.5 0.5 [A] ey\nB [B] b\n", r":1: word 'A': \[A\] amid the phones"),
        ("A ey [A]\nB b\n", r":1: word 'A': \[A\] amid the phones"),
        ("test\t0\t0.93\tt eh s t\ntest\t1\t0.02\tt ih s t\n", r":1: word 'test': the number 0.93 amid its phones"),
        ("test\t9.53\tt eh s t\n", r":1: word 'test': probability 9.53; need one above 0, at most 1"),
        ('(lex.add.entry \'("a" n ()))\n', r":1: Festival's, not a lexicon"),
        ("a -0.5 AH B\nb -1.2 B\n", r":1: word 'a': -0.5 amid the phones; need one probability"),
        ("a 90% AH\nb 10% B\n", r":1: word 'a': 90% amid the phones"),
        ("A [A] -1.0 ey\n", r":1: word 'A': -1.0 amid the phones"),
        ("a\tAH, EY\nb\tB\n", r":1: word 'a': AH, amid the phones"),
        ("a | AH\nb | B IY\n", r":1: .*cells between bars"),
        ("aback:1:rb:{a.b * a k}:{aback}:12\n", r":1: .*as Unisyn has them"),
        ('ONE "W AH N"\nNINE "N AY N"\n', r":1: .*phones in quotes"),
        ("one;W AH N\nnine;N AY N\n", r":1: .*';' between the word and its phones"),
        ("one|W AH N\nnine|N AY N\n", r":1: .*'\|' between the word and its phones"),
        ("one/W AH N/\nnine/N AY N/\n", r":1: .*'/' between the word and its phones"),
        ("one=W AH N\nnine=N AY N\n", r":1: .*'=' between the word and its phones"),
        ("one: W AH N\nnine: N AY N\n", r":1: .*':' between the word and its phones"),
        ("one -> W AH N\nnine -> N AY N\n", r":1: .*a sign between the word and its phones"),
        ("one W AH N\nten T EH N // comment\n", r":2: word 'ten': // amid the phones: a comment"),
        ("one W AH N -- foo\n", r":1: word 'one': -- amid the phones: a comment"),
        ("%% of sequitur\none\tW AH N\n", r":1: a line that begins with %%: a comment"),
        ("one W AH N @en\ntwo T UW\n", r":1: word 'one': @en amid the phones: a tag"),
        ("one 1 W AH N\ntwo 2 T UW\nten 3 T EH N\n", r":1: .*a number after the word, which is no probability"),
        ("one (1) W AH N\none HH W AH N\n", r":1: word 'one': \(1\) before the phones"),
        ("one{noun} W AH N\ntwo T UW\n", r":1: word 'one\{noun\}' with a tag"),
        ("one:1 W AH N\ntwo T UW\n", r":1: word 'one:1' with a tag"),
        ("one_1 W AH N\none_2 HH W AH N\n", r":1: .*a numbered word"),
        ("one W.AH.N\nnine N.AY.N\n", r":1: .*phones without blanks between them"),
        ("one w=ah=n\nnine n=ay=n\n", r":1: .*phones without blanks between them"),
        ("<!-- x -->\n<lexicon></lexicon>\n", r":1: XML, not a lexicon"),
        ("A [\\377] ey\n", r":1: .*octal codes are no UTF-8"),
    ],
)
def test_other_layouts_are_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(LexiconError, match=message):
        read(tmp_path, text)


def test_a_line_given_twice_is_read_once_and_told(tmp_path):
    """As dictionaries of MFA and CMU have them; another spelling, or other phones, are entries of their own."""
    entries, form, _ = read(tmp_path, "one W AH N\none W AH N\nOne W AH N\none HH W AH N\n")
    assert form == PLAIN and [e[:2] for e in entries] == [("one", "W AH N"), ("One", "W AH N"), ("one", "HH W AH N")]
    assert file_format(tmp_path / "lexicon.dict")[1] == ["1 line with the word and phones of another left out"]


def test_brackets_may_number_pronunciations(tmp_path):
    entries, _, _ = read(tmp_path, "one[1] W AH N\none[2] HH W AH N\nten T EH N\n")
    assert [e[:2] for e in entries] == [("one", "W AH N"), ("one", "HH W AH N"), ("ten", "T EH N")]


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("one wʌn\nnine naɪn\n", True),  # as espeak writes words
        ("".join(f"w{i} p{i}x q{i}\n" for i in range(30)), True),
        ("one W AH N\ntwo T UW\n", False),
        ("one one\nnine nine\n", False),  # models of whole words
        ("a a\nb b\n", False),
        ("一 i1\n二 er4\n", False),
    ],
)
def test_words_that_stand_for_phones_are_told(tmp_path, text, doubtful):
    read(tmp_path, text)
    assert any("are blanks missing between phones?" in n for n in file_format(tmp_path / "lexicon.dict")[1]) == doubtful


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all examples of a property."""
    return tmp_path_factory.mktemp("lexica")


words = st.text("abcxyz'-é", min_size=1, max_size=6)
phones = st.lists(st.sampled_from(["AA1", "B", "sp", "sil", "{", "1", "N", "x:"]), min_size=1, max_size=5)
entries = st.dictionaries(st.tuples(words, phones.map(tuple)), st.sampled_from([1.0, 0.5, 1e-5]), min_size=1)


@settings(max_examples=50, deadline=None)
@given(entries)
def test_what_is_saved_is_what_is_loaded_whatever_it_looks_like(folder, entries):
    path = folder / "lexicon.tsv"
    lexicon = Lexicon([Entry(word, said, p) for (word, said), p in entries.items()], silence_phone="PAUSE")
    lexicon.save(path)
    assert Lexicon.load(path) == lexicon and file_format(path)[0] == OWN


@settings(max_examples=50, deadline=None)
@given(entries)
def test_a_cmu_dictionary_round_trips(folder, entries):
    """Variants numbered, comments anywhere: the same words with the same phones."""
    path = folder / "cmu.dict"
    said = {}
    for word, phones in entries:
        said.setdefault(word, []).append([phone for phone in phones if phone != "1"] or ["B"])
    lines = [";;; a dictionary"]
    for word, variants in said.items():
        lines += [f"{word}{f'({i})' if i else ''} {' '.join(p)} # or so" for i, p in enumerate(variants)]
    path.write_text("\n".join([*lines, "last AA1 B sil zz"]), encoding="utf-8")
    found = {}
    for entry in Lexicon.load(path).entries:
        found.setdefault(entry.word, []).append(list(entry.phones))
    assert found == {**{w: [p for i, p in enumerate(v) if p not in v[:i]] for w, v in said.items()}, "last": [
        ["AA1", "B", "sil", "zz"]
    ]}  # fmt: skip


def test_info_says_which_format_was_understood(tmp_path):
    path = tmp_path / "cmu.dict"
    path.write_text("one W AH N # number\none(2) HH W AH N\nnine N AY N # place, danish\n")
    done = subprocess.run([sys.executable, "-m", "asr", "info", str(path)], capture_output=True, text=True, check=True)
    assert re.search(r"format +CMU dictionary", done.stdout) and re.search(r"\bwords +2\b", done.stdout)
    assert "#" not in done.stdout.partition("notes")[0] and "comments that begin with # were left out" in done.stdout
