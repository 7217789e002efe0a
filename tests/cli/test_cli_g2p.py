"""`asr g2p`: the commands give what the library gives, and say what was wrong."""

import pytest

from asr.lang import Lexicon
from asr.lang.g2p import G2p, train

WORDS = [(f"{a}{v}{b}", (a.upper(), v.upper(), b.upper())) for a in "btmk" for v in "aio" for b in "tkm"]


@pytest.fixture
def places(tmp_path):
    """lexicon.tsv; text.txt and kaldi, with ids; g2p, a model; names for what else a command line may have."""
    names = ("lexicon.tsv", "text.txt", "kaldi", "g2p", "new", "empty", "missing", "odd.txt")
    found = {name.partition(".")[0]: tmp_path / name for name in names}
    Lexicon([*WORDS, ("set", ("S", "E", "T")), ("set", ("Z", "E", "T"))]).save(found["lexicon"])
    found["text"].write_text("bat tobam\nbat set\nTOBAM\n")
    found["kaldi"].write_text("utt1 bat tobam\nutt2 set bat\n")
    found["empty"].write_text("")
    found["odd"].write_text("tobam ж\n")
    train(Lexicon.load(found["lexicon"])).save(found["g2p"])
    return found


def test_train(run, places):
    done = run("g2p", "train", places["lexicon"], places["new"], "--order", 4, "--smoothing", "witten-bell")
    assert done.status == 0 and done.out == "" and "graphones" in done.err and "from 38 pronunciations" in done.err
    expected = train(Lexicon.load(places["lexicon"]), order=4, smoothing="witten-bell")
    found = G2p.load(places["new"])
    assert found.settings == expected.settings and found.model.n_ngrams == expected.model.n_ngrams
    assert run("g2p", "train", places["lexicon"], places["new"]).status == 0  # in the place of the old one


def test_apply(run, places):
    done = run("g2p", "apply", places["g2p"], places["text"])
    assert done.status == 0 and done.err == ""
    lines = dict(line.split("\t") for line in done.out.splitlines())
    assert list(lines) == ["bat", "TOBAM", "set", "tobam"] and lines["bat"] == "B A T"
    assert lines["TOBAM"] == lines["tobam"] == "T O B A M"
    assert list(
        dict(line.split("\t") for line in run("g2p", "apply", places["g2p"], places["kaldi"], "--ids").out.splitlines())
    ) == ["bat", "set", "tobam"]
    rest = run("g2p", "apply", places["g2p"], places["text"], "--lexicon", places["lexicon"], "--out", places["new"])
    assert rest.out == "" and [e.word for e in Lexicon.load(places["new"]).entries] == ["TOBAM", "tobam"]


def test_several_pronunciations_are_a_lexicon_with_probabilities(run, places):
    words = ("--word", "set kot")
    assert run("g2p", "apply", places["g2p"], *words, "--nbest", 2, "--out", places["new"]).status == 0
    model, lexicon = G2p.load(places["g2p"]), Lexicon.load(places["new"])
    for word, count in (("set", 2), ("kot", 1)):
        found = lexicon.entries_of(word)
        expected = model.entries([word], n_best=2)[0]
        assert [e.phones for e in found] == [e.phones for e in expected] and len(found) == count
        assert [e.probability for e in found] == pytest.approx([e.probability for e in expected], abs=1e-6)


def test_words_that_cannot_be_said_are_named_and_the_others_written(run, places):
    done = run("g2p", "apply", places["g2p"], places["odd"])
    assert done.out == "tobam\tT O B A M\n" and done.status == 1
    assert "'ж': the G2P model does not know the letter 'ж'" in done.complaint


def test_every_command_has_an_example_and_shows_its_help_without_arguments(run):
    assert "g2p" in run("--help").out
    for name in ("train", "apply"):
        assert f"asr g2p {name}" in run("g2p", name, "--help").out.partition("Example")[2]
        bare = run("g2p", name)
        assert "Example" in bare.out + bare.err


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("trian {lexicon} {new}", "did you mean 'train'"),
        ("train {lexicon}", "missing argument 'OUT'"),
        ("train {missing} {new}", "cannot be read: No such file"),
        ("train {empty} {new}", "the lexicon has no entries"),
        ("train {lexicon} {lexicon}", "is an input too"),
        ("train {lexicon} {text}", "is there already, and is no G2P model"),
        ("train {lexicon} {text}/inner", "cannot be written"),
        ("train {lexicon} {new} --order 0", "--order"),
        ("train {lexicon} {new} --smoothing kneser", "did you mean 'modified-kneser-ney'"),
        ("train {lexicon} {new} --stress", "goes with cmudict only"),
        ("apply {g2p}", "give either a file, TEXT, or words: --word WORD"),
        ("apply {g2p} {text} --word bat", "give either a file, TEXT, or words: --word WORD"),
        ("apply {text} --word bat", "not a G2P model"),
        ("apply {missing} --word bat", "not a G2P model"),
        ("apply {g2p} {missing}", "cannot be read: No such file"),
        ("apply {g2p} {empty}", "holds no text"),
        ("apply {g2p} {text} --nbest 0", "--nbest"),
        ("apply {g2p} {text} --out {text}", "is an input too"),
        ("apply {g2p} {text} --lexicon {missing}", "there is no such lexicon"),
        ("apply {g2p} {text} --nbst 2", "did you mean --nbest"),
    ],
)
def test_wrong_use_is_told_in_one_line(run, places, arguments, message):
    done = run("g2p", *(part.format(**places) for part in arguments.split()))
    assert message in done.complaint and not places["new"].exists()
