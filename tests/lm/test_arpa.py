"""ARPA files: ours and others', whole and damaged."""

import gzip
import logging
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LanguageModelError
from asr.lm import SMOOTHINGS, NgramModel, prune, read_arpa, train, write_arpa

SMALL = r"""a comment that some programs write

\data\
ngram 1=5
ngram 2=3
ngram 3=1

\1-grams:
-0.6	b	-0.25
-1.0	<unk>
-99	<s>	-0.5
-0.7 </s>
-0.5	a	-0.3

\2-grams:
-0.2	a b	-0.1
-0.4	<s> a	-0.2
-0.3	b </s>

\3-grams:
-0.1	<s> a b

\end\
"""


def saved(tmp_path, text, name="lm.arpa"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_is_read_as_it_says(tmp_path, slow):
    model = read_arpa(saved(tmp_path, SMALL))
    assert model.vocabulary.names == ("<unk>", "<s>", "</s>", "a", "b") and model.n_ngrams == [5, 3, 1]
    ln10 = math.log(10)
    table = slow.table_of(model)
    assert table["a", "b"] == pytest.approx((-0.2 * ln10, -0.1 * ln10))
    assert table["<s>",] == pytest.approx((-math.inf, -0.5 * ln10))
    # <s> a b by the trigram, b </s> after backing off from "a b".
    assert model.score("a b") == pytest.approx(ln10 * (-0.4 - 0.1 - 0.1 - 0.3))
    # x is unknown: back off from <s>; then b and </s>, each without history that helps.
    assert model.score("x b") == pytest.approx(ln10 * (-0.5 - 1.0 - 0.6 - 0.3))


def test_sections_and_lines_may_come_in_any_order_and_windows_line_ends_do_not_matter(tmp_path, slow):
    expected = slow.table_of(read_arpa(saved(tmp_path, SMALL)))
    _, head, one, two, three, _ = (part.strip() for part in SMALL.split("\n\n"))
    two = "\n".join([two.split("\n")[0], *reversed(two.split("\n")[1:])])
    parts = [head, three, one, two, "\\end\\", ""]
    for text in ("\n".join(parts), SMALL.replace("\n", "\r\n"), SMALL.replace("\t", "  "), SMALL.replace("\n\n", "\n")):
        assert slow.table_of(read_arpa(saved(tmp_path, text))) == expected


def test_without_unk_the_vocabulary_is_closed_and_capitals_mean_the_same(tmp_path):
    assert read_arpa(saved(tmp_path, SMALL.replace("-1.0\t<unk>\n", "").replace("1=5", "1=4"))).is_closed
    assert not read_arpa(saved(tmp_path, SMALL.replace("<unk>", "<UNK>"))).is_closed


def test_missing_beginnings_are_added_as_backing_off_has_them(tmp_path, caplog):
    text = SMALL.replace("-0.4\t<s> a\t-0.2\n", "").replace("-0.1\t<s> a b", "-0.1\t<s> a b\n-0.15\tb b a")
    text = text.replace("2=3", "2=2").replace("3=1", "3=2")
    with caplog.at_level(logging.WARNING):
        model = read_arpa(saved(tmp_path, text))
    assert "2 beginnings of n-grams are missing" in caplog.text
    ln10 = math.log(10)
    assert model.log_prob(["<s>"], "a") == pytest.approx(ln10 * (-0.5 - 0.5))
    assert model.log_prob(["<s>", "a"], "b") == pytest.approx(ln10 * -0.1)
    assert model.log_prob(["b", "b"], "a") == pytest.approx(ln10 * -0.15)
    assert model.log_prob(["b"], "b") == pytest.approx(ln10 * (-0.25 - 0.6))


def test_words_may_hold_any_character_but_blanks(tmp_path):
    text = SMALL.replace("\ta", "\t\u00a0\\x").replace("<s> a", "<s> \u00a0\\x")
    model = read_arpa(saved(tmp_path, text))
    assert model.vocabulary.names[3:] == ("b", "\u00a0\\x") and model.n_ngrams == [5, 3, 1]
    write_arpa(model, tmp_path / "again.arpa")
    assert read_arpa(tmp_path / "again.arpa").vocabulary == model.vocabulary


def test_back_off_weights_of_the_highest_order_have_no_meaning(tmp_path, slow):
    longest = slow.table_of(read_arpa(saved(tmp_path, SMALL.replace("-0.1\t<s> a b", "-0.1\t<s> a b\t-0.7"))))
    assert longest == slow.table_of(read_arpa(saved(tmp_path, SMALL)))
    single = read_arpa(saved(tmp_path, "\\data\\\nngram 1=3\n\\1-grams:\n-0.3 x\n-0.3 </s>\n-0.3 <s> -0.4\n\\end\\\n"))
    assert single.log_prob(["<s>"], "x") == pytest.approx(-0.3 * math.log(10)) and not single.back_offs.any()


def test_a_model_without_start_or_whose_end_is_impossible_is_read(tmp_path, caplog):
    model = read_arpa(saved(tmp_path, "\\data\\\nngram 1=2\n\\1-grams:\n-0.3 x\n-99 </s>\n\\end\\\n"))
    assert model.order == 1 and model.log_prob([], "x") == pytest.approx(-0.3 * math.log(10))
    assert "</s> has no probability, so no sentence ever ends" in caplog.text


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("\\data\\", "data", r"lm.arpa: no line \\data\\"),
        ("ngram 2=3", "ngram 2:3", r"lm.arpa:5: expected 'ngram ORDER=NUMBER'; found 'ngram 2:3'"),
        ("ngram 1=5", "ngram 1=99999999999", r"lm.arpa:4: the header says 99999999999 1-grams; there are 5"),
        ("ngram 3=1", "ngram 999999999=3", r"lm.arpa: the header says 0 3-grams; there are 1"),
        ("ngram 3=1", "ngram 3=1\nngram 999999999=3", r"lm.arpa:7: the header says 3 999999999-grams; there are 0"),
        ("-0.3\tb </s>\n", "", r"lm.arpa:5: the header says 3 2-grams; there are 2: is the file cut short"),
        ("-0.7 </s>", "-0.7 c", r"lm.arpa:9: the 1-grams lack </s>, so no sentence ends"),
        ("-0.2\ta b", "-0.2\ta", r"lm.arpa:16: word '-0.1' is not among the 1-grams"),
        ("-0.3\tb </s>", "-0.3\tb", r"lm.arpa:18: expected a logarithm, 2 words and .* 3 or 4 fields, not 2"),
        ("-0.2\ta b\t-0.1", "-0.2\ta b\t-0.1 c d", r"lm.arpa:16: .* 3 or 4 fields, not 6"),
        ("-0.2\ta b", "-o.2\ta b", r"lm.arpa:16: .*'-o.2' is no number"),
        ("a b\t-0.1", "a b\t-0.1x", r"lm.arpa:16: .*'-0.1x' is no number"),
        ("-0.2\ta b", "0.2\ta b", r"lm.arpa:16: the logarithm of a probability is 0 or less"),
        ("-0.2\ta b", "nan\ta b", r"lm.arpa:16: .*NaN"),
        ("a b\t-0.1", "a b\tinf", r"lm.arpa:16: "),
        ("-0.3\tb </s>", "-0.3\tc </s>", r"lm.arpa:18: word 'c' is not among the 1-grams"),
        ("-0.3\tb </s>", "-0.3\ta b", r"lm.arpa:18: n-gram 'a b' is in the file twice"),
        ("-0.5\ta", "-0.5\tb", r"lm.arpa:13: this word is in the file twice"),
        ("-0.5\ta", "-0.5\ta b c", r"lm.arpa:13: expected a logarithm, 1 word"),
        ("-0.5\ta", "half\ta", r"lm.arpa:13: .*'half' is no number"),
        ("\\2-grams:", "\\two-grams:", r"lm.arpa:15: expected a section such as \\2-grams:"),
        ("\\2-grams:", "\\3-grams:", r"lm.arpa:20: this section is in the file twice"),
        ("\\1-grams:", "\\4-grams:", r"no section \\1-grams:"),
        ("\\end\\", "", r"lm.arpa:24: the file ends without \\end\\; is it cut short"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path, old, new, message):
    assert old in SMALL
    with pytest.raises(LanguageModelError, match=message):
        read_arpa(saved(tmp_path, SMALL.replace(old, new, 1)))


def test_files_that_are_no_text_or_cut_short_are_refused(tmp_path):
    with pytest.raises(LanguageModelError, match=r"lm\.arpa:13: not UTF-8"):
        read_arpa(saved(tmp_path, SMALL.encode().replace(b"-0.5\ta", b"-0.5\t\xff")))
    with pytest.raises(LanguageModelError, match="cannot be read"):
        read_arpa(tmp_path / "missing.arpa")
    packed = gzip.compress(SMALL.encode())
    for damaged in (packed[:-20], packed[:40] + b"\x00\x01\x02" + packed[43:]):
        with pytest.raises(LanguageModelError, match=r"lm.arpa.gz: damaged gzip file|cannot be read"):
            read_arpa(saved(tmp_path, damaged, "lm.arpa.gz"))
    for cut in range(0, len(SMALL) - 7, 13):
        with pytest.raises(LanguageModelError, match=r"lm.arpa"):
            read_arpa(saved(tmp_path, SMALL[:cut]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from(SMOOTHINGS), st.booleans(), st.booleans())
def test_what_is_written_is_read_again(tmp_path_factory, slow, seed, order, smoothing, closed, packed):
    rng = np.random.default_rng(seed)
    sentences = slow.random_text(rng, 20)
    model = train(sentences, order, words="abcde" if closed else None, smoothing=smoothing)
    path = tmp_path_factory.mktemp("arpa") / ("lm.arpa.gz" if packed else "lm.arpa")
    write_arpa(model, path)
    again = read_arpa(path)
    assert again.vocabulary == model.vocabulary and again.is_closed == closed
    assert (again.trie.keys == model.trie.keys).all()
    finite = np.isfinite(model.log_probs)
    assert (np.isfinite(again.log_probs) == finite).all()
    assert again.log_probs[finite] == pytest.approx(model.log_probs[finite], rel=1e-6, abs=1e-9)
    assert again.back_offs == pytest.approx(model.back_offs, rel=1e-6, abs=1e-9)
    first = path.read_bytes()
    write_arpa(again, path)
    assert path.read_bytes() == first


def test_the_file_is_the_one_that_others_write(tmp_path, kenlm_arpa):
    """The same n-grams in the same form: KenLM's file, read and written, differs by rounding and by <s> alone."""
    path = tmp_path / "again.arpa"
    write_arpa(read_arpa(kenlm_arpa), path)

    def lines(text):
        found = {}
        for line in text.splitlines():
            fields = line.split("\t")
            if len(fields) > 1 and fields[1] != "<s>":
                found[fields[1]] = (float(fields[0]), float(fields[2]) if len(fields) == 3 else 0.0)
        return found

    theirs, ours = lines(gzip.decompress(kenlm_arpa.read_bytes()).decode()), lines(path.read_text())
    assert ours.keys() == theirs.keys()
    assert all(ours[gram] == pytest.approx(theirs[gram], abs=1e-5) for gram in ours)
    assert path.read_text().startswith("\\data\\\nngram 1=79\nngram 2=253\nngram 3=395\nngram 4=483\n\n\\1-grams:\n")


def test_kenlms_scores_of_its_own_file_are_ours(kenlm_arpa, held_out, references):
    model = read_arpa(kenlm_arpa)
    assert [model.score(s) for s in held_out] == pytest.approx(references["kenlm"]["4"]["scores"], rel=1e-5)


def test_whatever_is_wrong_with_a_file_is_said_as_such(tmp_path):
    """Random damage: either an error of ours, or a model that can be used."""
    rng = random.Random(0)
    for _ in range(300):
        raw = bytearray(SMALL.encode())
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(raw))
            if rng.random() < 0.3:
                del raw[place : place + rng.randint(1, 30)]
            else:
                raw[place] = rng.choice(b"\\0123456789-.\t\n ab</s>\xff\x00")
            if not raw:
                break
        try:
            model = read_arpa(saved(tmp_path, bytes(raw)))
        except LanguageModelError as error:
            assert "lm.arpa" in str(error)
        else:
            write_arpa(prune(model, 1e-4), tmp_path / "again.arpa")
            assert not math.isnan(read_arpa(tmp_path / "again.arpa").score("a b"))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = saved(tmp_path, "old")
    model = train(["a b"], 2)
    broken = NgramModel(model.vocabulary, model.trie, model.log_probs, model.back_offs[:-1])
    with pytest.raises(ValueError):
        write_arpa(broken, path)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["lm.arpa"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, encoding):
    text = SMALL[SMALL.index("\\data") :]
    expected, found = read_arpa(saved(tmp_path, text)), read_arpa(saved(tmp_path, text.encode(encoding), "marked.arpa"))
    assert found.vocabulary.names == expected.vocabulary.names and found.score("a b") == expected.score("a b")


@pytest.mark.parametrize("order", ["33", "9999999", "9" * 5000])
def test_a_section_of_a_huge_order_is_refused_at_once(tmp_path, order):
    text = SMALL.replace("\\end\\", f"\\{order}-grams:\n-1 a b\n\n\\end\\")
    with pytest.raises(LanguageModelError, match=r"lm\.arpa:23: n-grams of up to 32 words are read"):
        read_arpa(saved(tmp_path, text))
    with pytest.raises(LanguageModelError, match=r"lm\.arpa:4: expected 'ngram ORDER=NUMBER'"):
        read_arpa(saved(tmp_path, SMALL.replace("ngram 1=5", f"ngram 1={'9' * 5000}")))
