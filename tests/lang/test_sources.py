"""One lexicon from several sources: each word from the first that has it, the others counted and named."""

import logging

import pytest

from asr.errors import LexiconError
from asr.lang import BuiltLexicon, LetterTable, Lexicon, build_lexicon
from asr.lang.g2p import train

WORDS = [(f"{a}{v}{b}", (a.upper(), v.upper(), b.upper())) for a in "btmk" for v in "aio" for b in "tkm"]
OWN = Lexicon([("!SIL", ("PAU",)), ("<unk>", ("SPN",)), *WORDS], silence_phone="PAU", oov="unk", silence_prob=0.3)
TEXTS = ["Bat kit kit", "bat kib", "kib tabo ж"]


def said(built: BuiltLexicon) -> dict[str, str]:
    return {entry.word: " ".join(entry.phones) for entry in built.lexicon.entries}


def test_letters_alone():
    built = build_lexicon(["çà va", "va --"])
    assert said(built) == {"va": "v a", "çà": "ç à"} and built.oov == {"--": 1}
    assert built.by_source == {"letters": {"va": 2, "çà": 1}}
    table = LetterTable({"v": ("V",), "a": ("A",)}, {"\u0300": "`"})
    assert said(build_lexicon(["và"], table, marks="strip", silence_prob=0.1)) == {"và": "V A"}
    assert said(build_lexicon(["và"], table)) == {"và": "V A`"}


def test_a_table_and_a_model_on_disk(tmp_path):
    (tmp_path / "letters.tsv").write_text("v\tV\na\tA\n")
    train(OWN).save(tmp_path / "g2p")
    OWN.save(tmp_path / "own.tsv")
    assert said(build_lexicon(["va"], f"letters:{tmp_path / 'letters.tsv'}")) == {"va": "V A"}
    for source in (tmp_path / "g2p", f"g2p:{tmp_path / 'g2p'}"):
        assert said(build_lexicon(["tomtam"], source)) == {"tomtam": "T O M T A M"}
    built = build_lexicon(["tomtam bat"], [tmp_path / "own.tsv", tmp_path / "g2p"])
    assert built.by_source == {str(tmp_path / "own.tsv"): {"bat": 1}, str(tmp_path / "g2p"): {"tomtam": 1}}


def test_a_dictionary_then_g2p_then_letters(caplog):
    with caplog.at_level(logging.WARNING):
        built = build_lexicon(TEXTS, [OWN, "g2p", "letters"])
    assert said(built) == {
        **{"kit": "K I T", "kib": "K I B", "bat": "B A T", "Bat": "B A T", "tabo": "T A B O", "ж": "ж"},
        **{"!SIL": "PAU", "<unk>": "SPN"},
    }
    assert list(said(built))[:2] == ["kib", "kit"]  # the most frequent first
    assert built.by_source == {
        "lexicon": {"kit": 2, "Bat": 1, "bat": 1},
        "g2p": {"kib": 2, "tabo": 1},
        "letters": {"ж": 1},
    }
    assert (
        built.oov == {} and "lexicon: 3 of 6 words (50.00 % of the text) have no pronunciation: kib (2)" in caplog.text
    )
    assert (built.lexicon.silence_phone, built.lexicon.oov, built.lexicon.silence_prob) == ("PAU", "unk", 0.3)
    assert built.table() == "kib\t2\tg2p\tK I B\ntabo\t1\tg2p\tT A B O\nж\t1\tletters\tж\n"


def test_what_nobody_has_is_counted():
    built = build_lexicon(TEXTS, OWN, silence_prob=0.0, oov="skip")
    assert built.oov == {"kib": 2, "tabo": 1, "ж": 1} and built.lexicon.oov == "skip"
    assert built.table() == "kib\t2\tnone\t\ntabo\t1\tnone\t\nж\t1\tnone\t\n"
    assert built.lexicon.encode("bat kib") is None


def test_several_guesses():
    model = train(Lexicon([*WORDS, ("sat", ("S", "A", "T")), ("sat", ("Z", "A", "T"))]))
    lexicon = build_lexicon(["sak"], [OWN, model], n_best=2).lexicon
    assert sorted(e.phones[0] for e in lexicon.entries_of("sak")) == ["S", "Z"] and lexicon.log_probs("sak")[0] == 0.0


def test_wrong_sources(tmp_path):
    with pytest.raises(LexiconError, match="'leters' is no source of pronunciations; need letters"):
        build_lexicon(TEXTS, "leters")
    with pytest.raises(LexiconError, match="no source for the lexicon"):
        build_lexicon(TEXTS, [])
    with pytest.raises(LexiconError, match="'g2p' learns from the dictionaries before it; there are none"):
        build_lexicon(TEXTS, ["g2p", OWN])
    with pytest.raises(LexiconError, match="no source has any of the 2 words"):
        build_lexicon(["uno due"], Lexicon(WORDS))
    with pytest.raises(LexiconError, match="cannot be read"):
        build_lexicon(TEXTS, f"letters:{tmp_path / 'missing'}")
