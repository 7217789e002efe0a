"""Guessing pronunciations: the search against enumeration, planted rules, files, and what is wrong."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LanguageModelError, LexiconError, ModelError
from asr.lang import Lexicon
from asr.lang.entries import Entry
from asr.lang.g2p import G2p, Graphone, is_g2p, train

# Vowels that a final e makes long, digraphs, an x, and words that are said in two ways: enough to need context.
TOY = Lexicon(
    [
        *[(f"{a}{v}{b}", (a.upper(), v.upper(), b.upper())) for a in "btmk" for v in "aio" for b in "tkm"],
        *[(f"{a}{v}{b}e", (a.upper(), f"{v.upper()}L", b.upper())) for a in "btmk" for v in "aio" for b in "tkm"],
        *[(f"sh{v}{b}", ("SH", v.upper(), b.upper())) for v in "aio" for b in "tkm"],
        *[(f"{a}{v}x", (a.upper(), v.upper(), "K", "S")) for a in "btm" for v in "aio"],
        ("sat", ("S", "A", "T")),
        ("set", ("S", "E", "T")),
        ("set", ("Z", "E", "T")),
    ]
)


@pytest.fixture(scope="module")
def toy():
    return train(TOY, order=5)


def by_enumeration(model, word):
    """The best score of each pronunciation of a word over all sequences of graphones, scored by the n-gram model."""
    graphones = [Graphone.named(name) for name in model.model.vocabulary.names[3:]]

    def cuts(letters):
        if not letters:
            yield ()
        for g in graphones:
            if letters[: len(g.letters)] == g.letters:
                yield from ((g, *rest) for rest in cuts(letters[len(g.letters) :]))

    found = {}
    for cut in cuts(tuple(word)):
        phones, score = tuple(p for g in cut for p in g.phones), model.model.score([g.name for g in cut])
        if phones and score > found.get(phones, -math.inf):
            found[phones] = score
    return sorted(found.items(), key=lambda item: -item[1])


@settings(max_examples=25, deadline=None)
@given(st.text("abtkimoesxh", min_size=1, max_size=5), st.integers(1, 4))
def test_the_search_finds_what_enumeration_finds(toy, word, n_best):
    expected, found = by_enumeration(toy, word), toy.pronounce(word, n_best=n_best, beam=1e9)
    assert len(found) == min(n_best, len(expected))
    assert [p.log_prob for p in found] == pytest.approx([score for _, score in expected[:n_best]], abs=1e-9)
    for phones, log_prob in found:
        assert dict(expected)[phones] == pytest.approx(log_prob, abs=1e-9)


@pytest.mark.parametrize("order, smoothing", [(1, "witten-bell"), (2, "modified-kneser-ney"), (4, "witten-bell")])
def test_other_models_too(order, smoothing):
    model = train(TOY, order=order, smoothing=smoothing)
    for word in ("bate", "shim", "ox"):
        expected = by_enumeration(model, word)
        found = model.pronounce(word, n_best=3, beam=1e9)
        assert [p.log_prob for p in found] == pytest.approx([score for _, score in expected[:3]], abs=1e-9)


def test_planted_rules_are_learnt(toy):
    unseen = {"kox": "K O K S", "shote": "SH OL T", "makim": "M A K I M", "shax": "SH A K S", "shike": "SH IL K"}
    for word, phones in unseen.items():
        assert toy.pronounce(word)[0].phones == tuple(phones.split()), word


def test_a_beam_hardly_matters(toy):
    for word in ("shotakim", "bamixe", "setshot"):
        best, pruned = toy.pronounce(word, beam=1e9)[0], toy.pronounce(word)[0]
        assert pruned.phones == best.phones and pruned.log_prob == pytest.approx(best.log_prob)
    assert toy.pronounce("bamix", beam=1e-6)[0].log_prob <= toy.pronounce("bamix")[0].log_prob + 1e-12


def test_long_words_find_room(toy):
    word = "shotakim" * 20
    assert toy.pronounce(word, beam=1e9)[0].phones == toy.pronounce(word)[0].phones
    assert len(toy.pronounce(word)[0].phones) > 100


def test_words_and_their_order(toy):
    entries, unsaid = toy.entries({"bat": 1, "SET": 5, "bat-": 2, "b\u00e4t": 1, "b\u0431t": 1, "--": 1}, n_best=2)
    words = [entry.word for entry in entries]
    assert list(dict.fromkeys(words)) == ["SET", "bat-", "bat", "b\u00e4t"]
    both = {e.phones: e.probability for e in entries if e.word == "SET"}
    assert set(both) == {("S", "E", "T"), ("Z", "E", "T")} and max(both.values()) == 1.0
    assert {e.phones for e in entries if e.word == "b\u00e4t" and e.probability == 1.0} == {("B", "A", "T")}
    assert "does not know the letter '\u0431'" in unsaid["b\u0431t"] and "no letters" in unsaid["--"]
    lexicon = toy.lexicon(["mat", "kot"], silence_prob=0.1)
    assert lexicon.silence_prob == 0.1 and len(lexicon.entries) == 2
    with pytest.raises(LexiconError, match="2 words have no pronunciation:\n  '--'"):
        toy.lexicon(["--", "b\u0431t", "mat"])


def test_silent_words_stay_out():
    entries = [("a", ("A",)), ("ab", ("A",)), ("cb", ("K",)), ("b", ("B",))]
    model = train([Entry(*e) for e in entries], order=1)
    for found in model.pronounce("bb", n_best=50, beam=1e9):
        assert found.phones  # b may be silent, but not a whole word


def test_letters_that_never_stand_alone_can_be_said():
    model = train([Entry("qua", ("K", "A")), Entry("qui", ("K", "I")), Entry("quo", ("K", "O"))], order=2)
    assert model.pronounce("qa")[0].phones[-1] == "A"


def test_phones_keep_their_form():
    phones = ["a\u0301", "\u00e1", "%", "_", "|", "x}y"]
    model = train([Entry(letter, (phone,)) for letter, phone in zip("abcdef", phones, strict=True)], order=1)
    assert [model.pronounce(letter)[0].phones for letter in "abcdef"] == [(phone,) for phone in phones]


def test_silence_of_a_lexicon_is_no_pronunciation():
    model = train(Lexicon([("!SIL", ("SIL",)), *[(e.word, e.phones) for e in TOY.entries]]))
    assert "SIL" not in model.settings["phones"] and "!" not in model.letters


def test_saved_and_loaded(toy, tmp_path):
    toy.save(tmp_path / "g2p")
    toy.save(tmp_path / "g2p")  # in the place of the old one
    again = G2p.load(tmp_path / "g2p")
    assert is_g2p(tmp_path / "g2p") and not is_g2p(tmp_path)
    assert sorted(p.name for p in (tmp_path / "g2p").iterdir()) == ["g2p.json", "graphones.arpa.gz"]
    assert again.settings == json.loads(json.dumps(dict(toy.settings)))
    for word in ("shate", "kimox", "set"):
        for a, b in itertools.zip_longest(toy.pronounce(word, n_best=3), again.pronounce(word, n_best=3)):
            assert a.phones == b.phones and a.log_prob == pytest.approx(b.log_prob, abs=1e-4)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("g2p.json", None, "not a G2P model: no file g2p.json"),
        ("g2p.json", "{", "not JSON, or damaged"),
        ("g2p.json", "[]", "need an object"),
        ("g2p.json", '{"format": 9}', "format 9; this version reads 1"),
        ("graphones.arpa.gz", None, "cannot be read: No such file"),
        ("graphones.arpa.gz", "\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n-1 </s>\n\\end\\\n", "'a' is not a graphone"),
    ],
)
def test_damaged_models_are_named(toy, tmp_path, name, content, message):
    toy.save(tmp_path / "g2p")
    (tmp_path / "g2p" / name).unlink()
    if content is not None:
        (tmp_path / "g2p" / name).write_text(content)
    with pytest.raises(ModelError, match="g2p") as caught:
        G2p.load(tmp_path / "g2p")
    assert message in str(caught.value)


def test_impossible_settings(toy):
    with pytest.raises(LexiconError, match="n_best=0"):
        toy.pronounce("a", n_best=0)
    with pytest.raises(LexiconError, match="beam=0"):
        toy.pronounce("a", beam=0)
    with pytest.raises(LexiconError, match="beam=nan"):
        toy.pronounce("a", beam=np.nan)
    with pytest.raises(LanguageModelError, match="order=0"):
        train(TOY, order=0)
    with pytest.raises(LanguageModelError, match="smoothing='kneser'"):
        train(TOY, smoothing="kneser")


def test_letters_said_in_equally_likely_ways_need_no_more_time_than_others():
    """2 ** 28 pronunciations have the same probability; walking all their halves first took minutes and gigabytes."""
    ways = {x: (x.upper(), f"{x.upper()}2") for x in "abcd"}
    pairs = [Entry(v + w, (p, q)) for v in ways for w in ways for p in ways[v] for q in ways[w]]
    model = train([*(Entry(x, (phone,)) for x in ways for phone in ways[x]), *pairs], order=3)
    found = model.pronounce("a" * 28, n_best=3)
    assert len({p.phones for p in found}) == 3 and all(len(p.phones) == 28 for p in found)
    assert [p.log_prob for p in found] == pytest.approx([found[0].log_prob] * 3, abs=1e-6)
    assert found == sorted(found, key=lambda p: -p.log_prob)
    assert len(model.pronounce("ab" * 200, n_best=2)) == 2


def test_settings_nested_without_end_are_a_clear_error(toy, tmp_path):
    toy.save(tmp_path / "model")
    (tmp_path / "model" / "g2p.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match=r"g2p\.json: damaged: its brackets are nested too deep"):
        G2p.load(tmp_path / "model")
