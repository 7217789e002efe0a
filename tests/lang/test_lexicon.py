"""Lexicons: worked examples, disambiguation against its definition, OOV policies, files, and what is refused."""

import math
import re
import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asr.errors import LexiconError
from asr.lang.entries import Entry
from asr.lang.lexicon import Lexicon

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
    lambda s: s.split() == [s] and not s.startswith((";;", "\ufeff")) and not re.match(r"#\d|[01]\.\d|<", s)
)
SETTINGS = st.fixed_dictionaries(
    {
        "silence_prob": st.floats(0, 1, exclude_max=True),
        "oov": st.sampled_from(["error", "skip"]),
        "unk": SYMBOL,
        "position_dependent": st.booleans(),
    }
)
PROBABILITY = st.one_of(st.just(1.0), st.floats(0, 1, exclude_min=True))
ENTRIES = st.lists(
    st.tuples(SYMBOL, st.lists(st.sampled_from(["A", "1", "B_S"]), min_size=1, max_size=3).map(tuple), PROBABILITY),
    min_size=1,
    max_size=12,
    unique_by=lambda entry: Lexicon([entry]).entries[0][:2],
)


@given(ENTRIES, st.booleans())
def test_disambiguated_pronunciations_are_prefix_free_and_symbols_are_used_only_where_needed(entries, positions):
    assume(not (positions and marked_already(entries)))
    lexicon = Lexicon(entries, position_dependent=positions)
    said = [lexicon.phone_names(entry) for entry in lexicon.entries]
    marked = [(*phones, *([f"#{k}"] if k else [])) for phones, k in zip(said, lexicon.disambiguation, strict=True)]
    for i, one in enumerate(marked):
        others = marked[:i] + marked[i + 1 :]
        assert not any(other[: len(one)] == one for other in others)
        if lexicon.disambiguation[i]:
            assert any(other[: len(said[i])] == said[i] for j, other in enumerate(said) if j != i)


def marked_already(entries):
    """Whether the phones look as if they had positions in their names, which position_dependent=True refuses."""
    return {phones for _, phones, _ in entries} == {("B_S",)}


@settings(deadline=None)
@given(ENTRIES, SETTINGS)
def test_save_then_load_is_the_identity(tmp_path_factory, entries, options):
    assume(not (options["position_dependent"] and marked_already(entries)))
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
        (";; oov=skip\na A B\na A B\n", r"lexicon.tsv:3: word 'a' with phones 'A B' was given before, .*lexicon.tsv:2"),
        ("a #1\n", r"lexicon.tsv:1: word 'a': phone '#1' is reserved"),
        ("#0 A\n", r"lexicon.tsv:1: word '#0' is reserved"),
        ("<s> A\n", "reserved"),
        ("a A\n</s> A\n", r"lexicon.tsv:2: word '</s>'"),
        ("a <eps> A\n", "'<eps>'"),
        ("a A SIL\n", r"lexicon.tsv:1: word 'a': silence phone 'SIL'"),
        ("a 0.8 A\nb B\n", r"lexicon.tsv:2: word 'b' has no probability, others have; give one to every line"),
        ("a A\nb B\nc 0.8 B\n", r"lexicon.tsv:3: word 'c' has a number, 1 of 3 lines have"),
        ("a 1.5 A\nb 0 B\n", r"lexicon.tsv:1: word 'a': probability 1.5; need(.|\n)*lexicon.tsv:2: .* probability 0;"),
        ("a 0.0 A\n", r"lexicon.tsv:1: word 'a': probability 0; need one above 0, at most 1"),
        ("a 0.8 0.4 A\n", r"lexicon.tsv:1: word 'a' has other numbers after it than one or four.*lexiconp_silprob.txt"),
        ("a 0.8\n", r"lexicon.tsv:1: word 'a' has no phones"),
        ("a 0.8 A\nb 0.5\n", r"lexicon.tsv:2: word 'b' has no phones"),
        ("a 0.8 A\na 0.4 A\n", r"lexicon.tsv:2: word 'a' with phones 'A' was given before"),
        (";; position_dependent=maybe\na A\n", r"lexicon.tsv:1: position_dependent='maybe'; need true or false"),
        (";; position_dependent=true\na A_B B_E\nb A_S\n", r"lexicon.tsv: .* have their positions in their names"),
        (";; position_dependent=true silence_phone=p_S\na p A\n", r"silence_phone='p_S' is also the phone 'p'"),
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


LEXICONP = "zero 1.0\tZ IH R OW\nzero .25 Z IY R OW\none 1 W AH N\none 1e-05 W AA N\n"


def test_lexiconp_is_recognised_by_its_numbers(tmp_path):
    """As prepare_lang.sh writes it (1.0 and a tab), and dict_dir_add_pronprobs.sh (awk's 1 and 1e-05)."""
    entries = Lexicon.load(lexicon_file(tmp_path, LEXICONP)).entries
    assert [entry.probability for entry in entries] == [1.0, 0.25, 1.0, 1e-05]
    assert [entry.phones[0] for entry in entries] == ["Z", "Z", "W", "W"]
    ones = Lexicon.load(lexicon_file(tmp_path, "zero 1 Z IH R OW\none 1 W AH N\n"))
    assert ones == Lexicon.load(lexicon_file(tmp_path, "zero Z IH R OW\none W AH N\n"))


def test_phones_named_by_whole_numbers_are_no_probabilities(tmp_path):
    """X-SAMPA has the vowels 1, 2, 6 and 9."""
    assert Lexicon.load(lexicon_file(tmp_path, "oe 9\neu 2 1\n")).entries[1].phones == ("2", "1")
    assert Lexicon.load(lexicon_file(tmp_path, "oe 1 s\neu 2 s\n")).entries[0].phones == ("1", "s")
    assert Lexicon.load(lexicon_file(tmp_path, "oe\t1 s\neu\t1 t\n")).entries[0].phones == ("1", "s")
    assert Lexicon.load(lexicon_file(tmp_path, "oe 1\neu 1 t\n")).entries[0].phones == ("1",)


@pytest.mark.parametrize("probability", [0.0, -0.5, 1.01, math.nan, math.inf, "1", None])
def test_probabilities_that_are_none_are_refused(probability):
    with pytest.raises(LexiconError, match=r"entry 2: word 'b': pronunciation probability .*; need a number above 0"):
        Lexicon([("a", ("A",)), ("b", ("B",), probability)])


def test_log_probs_go_with_pronunciations():
    lexicon = Lexicon([("a", ("A",), 0.5), ("b", ("B",)), ("a", ("B", "A"), 1.0)])
    assert lexicon.log_probs("a") == [math.log(0.5), 0.0] == lexicon.log_probs(lexicon.words["a"])
    assert [entry.phones for entry in lexicon.entries_of("a")] == [("A",), ("B", "A")]
    with pytest.raises(LexiconError, match="'c' has no pronunciation"):
        lexicon.log_probs("c")


def test_estimated_probabilities_worked_out_by_hand():
    """As Kaldi's add-one smoothing and division by the largest."""
    lexicon = Lexicon(
        [("a", ("A",), 0.1), ("a", ("B",)), ("a", ("C",)), ("b", ("B",), 0.3), ("c", ("C",)), ("c", ("A",))]
    )
    counts = {("a", ("A",)): 7, ("a", ("B",)): 3, ("b", ("B",)): 2}
    found = lexicon.estimate_probabilities(counts)
    assert [entry.probability for entry in found.entries] == [1.0, 4 / 8, 1 / 8, 1.0, 1.0, 1.0]
    summed = lexicon.estimate_probabilities(counts, normalise="sum", smoothing=0.5)
    assert [entry.probability for entry in summed.entries] == [7.5 / 11.5, 3.5 / 11.5, 0.5 / 11.5, 1.0, 0.5, 0.5]
    assert [entry[:2] for entry in found.entries] == [entry[:2] for entry in lexicon.entries]
    assert (found.phones, found.words) == (lexicon.phones, lexicon.words)


def test_counts_that_do_not_belong_to_the_lexicon():
    lexicon = Lexicon(DIGITS)
    for counts, message in (
        ({("two", ("T",)): 1}, "'two' with phones 'T'; the lexicon has not"),
        ({("two", ("T", "UW")): -1}, "count -1; need 0 or more"),
    ):
        with pytest.raises(LexiconError, match=message):
            lexicon.estimate_probabilities(counts)
    for options in ({"smoothing": 0.0}, {"normalise": "mean"}):
        with pytest.raises(LexiconError, match="need one above 0, and 'max' or 'sum'"):
            lexicon.estimate_probabilities({}, **options)


def test_phones_by_position():
    """All four of each phone in the table, whatever words use; silence has none; homophones alone need symbols."""
    lexicon = Lexicon([*DIGITS, ("!SIL", ("SIL",)), ("<unk>", ("SPN",))], position_dependent=True)
    assert list(lexicon.phones)[:6] == ["<eps>", "SIL", "AH_B", "AH_E", "AH_I", "AH_S"]
    assert lexicon.n_phones == 1 + 4 * 6
    assert lexicon.phone_sets == ((1,), *((i, i + 1, i + 2, i + 3) for i in range(2, 26, 4)))
    said = [lexicon.phone_names(entry) for entry in lexicon.entries]
    assert said[:3] == [("T_B", "UW_E"), ("T_B", "UW_E"), ("T_B", "UW_I", "L_E")]
    assert said[4:] == [("EY_S",), ("SIL",), ("SPN_S",)]
    assert [lexicon.phones.name(p) for p in lexicon.pronunciations("tool")[0]] == ["T_B", "UW_I", "L_E"]
    assert lexicon.disambiguation == (1, 2, 0, 0, 0, 0, 0)
    assert Lexicon(DIGITS).phone_sets == ((1,), (2,), (3,), (4,), (5,), (6,))


def test_a_lexicon_that_has_positions_already_is_read_as_it_is(tmp_path):
    lexicon = Lexicon.load(lexicon_file(tmp_path, "two T_B UW_E\na AH_S\n!SIL SIL\n"))
    assert list(lexicon.phones)[:5] == ["<eps>", "SIL", "AH_S", "T_B", "UW_E"]


def test_files_without_news_are_written_as_before(tmp_path):
    Lexicon(DIGITS[:2]).save(tmp_path / "lexicon.tsv")
    settings = ";; silence_phone=SIL silence_prob=0.5 oov=error unk=<unk>"
    assert (tmp_path / "lexicon.tsv").read_text() == f"{settings}\ntwo\tT UW\nto\tT UW\n"
    Lexicon([(*DIGITS[0], 0.5), DIGITS[1]], position_dependent=True).save(tmp_path / "lexicon.tsv")
    text = f"{settings} position_dependent=true\ntwo\t0.5\tT UW\nto\t1.0\tT UW\n"
    assert (tmp_path / "lexicon.tsv").read_text() == text


def test_words_with_white_space_or_a_comment_mark_are_refused():
    for word in ("a b", "", "a\u00a0b", ";;x"):
        with pytest.raises(LexiconError, match="white space"):
            Lexicon([(word, ("A",))])


def test_a_byte_order_mark_is_no_part_of_a_word():
    with pytest.raises(LexiconError, match="begins with a byte-order mark"):
        Lexicon([("\ufeffa", ("A",))])


def test_import_is_light():
    heavy = ["numpy", "scipy", "numba", "rapidfuzz", "pynini"]
    code = f"import asr.lang.lexicon, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
