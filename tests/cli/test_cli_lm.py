"""`asr lm`: the commands give what the library gives, and say what was wrong."""

import gzip
import lzma
import re

import pytest

from asr.lm import count, estimate, letters, read_arpa, read_model, train, tuned_weight

TEXT = ["turn on the light", "turn off the light", "the light is on", "off", "turn the radio on", "the radio is off"]
OTHER = ["the weather is good", "turn the light to ten", "on and off", "is the light on"]


@pytest.fixture
def texts(tmp_path):
    """text.txt, with blank lines; other.txt; kaldi, with ids."""
    (tmp_path / "text.txt").write_text("\n\n".join(TEXT) + "\n")
    (tmp_path / "other.txt").write_text("\n".join(OTHER) + "\n")
    (tmp_path / "kaldi").write_text("".join(f"utt{i}\t<s> {text} </s>\n" for i, text in enumerate(TEXT)))
    (tmp_path / "lexicon.txt").write_text("on AO N\noff AO F\nthe DH AH\n")
    return tmp_path


def equal(found, expected):
    """Whether two models have the same n-grams and probabilities."""
    same = found.vocabulary == expected.vocabulary and (found.trie.keys == expected.trie.keys).all()
    return same and found.score("turn on the light") == pytest.approx(expected.score("turn on the light"), rel=1e-5)


def test_train_and_ppl(run, texts):
    out = texts / "lm.arpa.gz"
    done = run("lm", "train", texts / "text.txt", "--order", 2, "--out", out)
    assert done.status == 0 and done.out == "" and "lm.arpa.gz: 10 1-grams + 18 2-grams, from 6 sentences" in done.err
    model = train(TEXT, 2)
    assert equal(read_arpa(out), model)
    done = run("lm", "ppl", out, texts / "other.txt", "--each")
    expected = model.perplexity(OTHER)
    figures = dict(line.rsplit("  ", 1) for line in done.out.split("\n\n")[1].splitlines())
    figures = {name.strip(): value.strip() for name, value in figures.items()}
    assert figures == {
        "sentences": "4",
        "words": "16",
        "unknown": "5 (31.25 %)",
        "perplexity": f"{expected.total():.3f}",
        "without ends of sentences": f"{expected.total(end=False):.3f}",
        "with unknown ones as <unk>": f"{expected.total(unknown=True):.3f}",
    }
    assert done.out.splitlines()[1] == f"{expected.per_sentence()[0]:.2f}\t4\t2\tthe weather is good"


def test_ids_units_vocabulary_and_smoothing(run, texts):
    out = texts / "lm.arpa"
    assert run("lm", "train", texts / "kaldi", "--ids", "--units", "letters", "--order", 4, "--out", out).status == 0
    assert equal(read_arpa(out), train(map(letters, TEXT), 4))
    done = run("lm", "ppl", out, texts / "kaldi", "--ids")
    assert "no word of it is known" in done.err and "made of other units" in done.err
    (texts / "words").write_text("on off\nthe\n")
    arguments = ("--vocabulary", texts / "words", "--smoothing", "witten-bell", "--out", out)
    assert run("lm", "train", texts / "text.txt", *arguments).status == 0
    assert read_arpa(out).vocabulary.names[3:] == ("off", "on", "the")
    (texts / "short.txt").write_text("the on off\noff\n")
    phones = ("--units", "phones", "--lexicon", texts / "lexicon.txt")
    assert run("lm", "train", texts / "short.txt", *phones, "--out", out).status == 0
    assert read_arpa(out).vocabulary.names[3:] == ("AH", "AO", "DH", "F", "N")
    assert "6 words have no pronunciation" not in run("lm", "ppl", out, texts / "short.txt", *phones).err
    assert "have no pronunciation: 'light' (3 times)" in run("lm", "ppl", out, texts / "text.txt", *phones).complaint


def test_interpolate_and_prune(run, texts):
    for name in ("text", "other"):
        run("lm", "train", texts / f"{name}.txt", "--out", texts / f"{name}.arpa")
    mixed, small = texts / "mixed.arpa", texts / "small.arpa"
    parts = (texts / "text.arpa", texts / "other.arpa")
    done = run("lm", "interpolate", *parts, "--tune", texts / "text.txt", "--out", mixed)
    weight = tuned_weight(*map(read_arpa, parts), TEXT)
    assert f"weight of {parts[0]} {weight:.4f}" in done.err and weight > 0.5
    is_useless = min(weight, 1 - weight) < 5e-4
    assert (f"warning: {parts[1]} has a weight of" in done.err) == is_useless
    assert len(read_arpa(mixed).vocabulary) > len(read_arpa(parts[0]).vocabulary)
    done = run("lm", "prune", mixed, "--threshold", "1e-3", "--out", small)
    assert done.status == 0 and sum(read_arpa(small).n_ngrams) < sum(read_arpa(mixed).n_ngrams)


def test_either_kind_of_file_does_everywhere(run, texts):
    """The file that opens at once is taken and written wherever an ARPA file is."""
    for suffix in ("arpa", "ngram"):
        for name in ("text", "other"):
            assert run("lm", "train", texts / f"{name}.txt", "--out", texts / f"{name}.{suffix}").status == 0
        parts = (texts / f"text.{suffix}", texts / f"other.{suffix}")
        assert run("lm", "interpolate", *parts, "--weight", "0.4", "--out", texts / f"mixed.{suffix}").status == 0
        pruned = ("--threshold", "1e-3", "--out", texts / f"small.{suffix}")
        assert run("lm", "prune", texts / f"mixed.{suffix}", *pruned).status == 0
    for name in ("text", "mixed", "small"):
        assert equal(read_model(texts / f"{name}.ngram"), read_model(texts / f"{name}.arpa"))
        shown = [run("lm", "ppl", texts / f"{name}.{suffix}", texts / "other.txt").out for suffix in ("arpa", "ngram")]
        assert shown[0] == shown[1]
    drawn = run("lm", "sample", texts / "text.ngram", "--sentences", 7, "--out", texts / "drawn.txt")
    assert drawn.status == 0 and len((texts / "drawn.txt").read_text().splitlines()) == 7
    assert run("lm", "sample", texts / "text.ngram", "--sentences", 7).out == (texts / "drawn.txt").read_text()


def test_several_texts_with_little_memory(run, texts):
    packed = texts / "other.xz"
    packed.write_bytes(lzma.compress((texts / "other.txt").read_bytes()))
    arguments = ("--cutoffs", "0,0,1", "--memory", "1K", "--out", texts / "lm.ngram")
    done = run("lm", "train", texts / "text.txt", packed, *arguments)
    expected = estimate(count([*TEXT, *OTHER], 3, cutoffs=(0, 0, 1)))
    assert done.status == 0 and equal(read_model(texts / "lm.ngram"), expected)
    assert sorted(path.name for path in texts.iterdir() if path.name.startswith((".", "asr-"))) == []


def test_every_command_has_an_example_and_shows_its_help_without_arguments(run):
    for name in ("train", "ppl", "interpolate", "prune", "sample"):
        assert f"asr lm {name}" in run("lm", name, "--help").out.partition("Example")[2]
        bare = run("lm", name)
        assert "Example" in bare.out + bare.err


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("trian {text} --out {new}", "did you mean 'train'"),
        ("train {text}", "missing option '--out'"),
        ("train {text} --out {text}", "is an input too"),
        ("train {missing} --out {new}", "cannot be read: No such file"),
        ("train {empty} --out {new}", "holds no text"),
        ("train {bytes} --out {new}", "bytes:1: not UTF-8 text"),
        ("train {marks} --out {new}", "marks:2: holds <s> or </s> inside"),
        ("train {text} --out {new} --order 0", "--order"),
        ("train {text} --out {new} --smoothing witten", "did you mean 'witten-bell'"),
        ("train {text} --out {new} --units phones", "--units phones and --lexicon FILE go together"),
        ("train {text} --out {new} --lexicon {lexicon}", "--units phones and --lexicon FILE go together"),
        ("train {text} --out {text}/inner", "cannot be written"),
        ("ppl {text} {text}", "no line \\data\\"),
        ("ppl {text}", "TEXT"),
        ("interpolate {lm} {lm} --out {new}", "give either --weight, e.g. 0.5, or --tune TEXT"),
        ("interpolate {lm} {lm} --out {new} --weight 2", "need 0 < weight < 1"),
        ("interpolate {lm} {lm} --out {lm} --weight 0.5", "is an input too"),
        ("train {text} --out {new} --cutoffs 1,0", "need 0 for single words"),
        ("train {text} --out {new} --cutoffs one", "need numbers between commas, such as 0,0,1"),
        ("train {text} --out {new} --memory much", "need a size, such as 500M or 4G"),
        ("train {text} --out {new} --cutoffs 0,1 --smoothing witten-bell", "cutoffs go with modified-kneser-ney"),
        ("sample {text}", "no line \\data\\"),
        ("prune {lm} --out {new}", "missing option '--threshold'"),
        ("prune {lm} --out {new} --threshold -1", "threshold=-1.0; need 0 or more"),
        ("prune {lm} --out - --threshold 0", "a model goes to a file"),
        ("train {text} --out {new}.arpa.xz", "models are packed with gzip"),
        ("ppl {packed} {text}", "packed: an .ngram file that is packed or comes through a pipe"),
    ],
)
def test_wrong_use_is_told_in_one_line(run, texts, arguments, message):
    places = {name: texts / name for name in ("missing", "empty", "bytes", "marks", "new", "lm")}
    places |= {"text": texts / "text.txt", "lexicon": texts / "lexicon.txt"}
    places["empty"].write_text(" \n\n")
    places["bytes"].write_bytes(b"caf\xe9\n")
    places["marks"].write_text("<s> a </s>\na </s> <s> b\n")
    places["packed"] = texts / "packed"
    train(TEXT, 2).save(texts / "lm.ngram")
    places["packed"].write_bytes(gzip.compress((texts / "lm.ngram").read_bytes()))
    places["lm"].write_text("\\data\\\nngram 1=2\n\\1-grams:\n-0.3 a\n-0.3 </s>\n\\end\\\n")
    done = run("lm", *(part.format(**places) for part in arguments.split()))
    assert message in done.complaint and not places["new"].exists()


def test_perplexity_of_a_text_without_a_known_word(run, texts):
    out = texts / "lm.arpa"
    run("lm", "train", texts / "text.txt", "--order", 2, "--out", out)
    (texts / "strange.txt").write_text("qqq zzz\n")
    done = run("lm", "ppl", out, texts / "strange.txt")
    assert done.status == 1 and "nan" not in done.out and "no word of it is known" in done.complaint


def test_a_network_is_trained_and_measured(run, texts):
    pytest.importorskip("torch")
    out = texts / "lm.safetensors"
    arguments = ("--neural", "--held-out", texts / "other.txt", "--order", 2, "--out", out)
    done = run("lm", "train", texts / "text.txt", *arguments)
    assert done.status == 0 and "lm.safetensors: lstm, 10 words" in done.err
    figures = re.search(r"network ([\d.]+), 2-grams ([\d.]+), mixed ([\d.]+)", done.err)
    assert float(figures[2]) == pytest.approx(train(TEXT, 2).perplexity(OTHER).total(), abs=0.05)
    assert list(texts.glob("*.training")) == list(texts.glob(".*")) == []
    shown = run("lm", "ppl", out, texts / "other.txt")
    assert re.search(r"^unknown +5 \(31.25 %\)$", shown.out, re.MULTILINE)
    assert float(re.search(r"^perplexity +([\d.]+)$", shown.out, re.MULTILINE)[1]) == pytest.approx(
        float(figures[1]), abs=0.05
    )


def test_names_of_networks_and_ngrams_are_told_apart(run, texts):
    for arguments, message in (
        ("--neural --out lm.arpa", "a network is written to a file .safetensors"),
        ("--out lm.safetensors", "give --neural"),
        ("--held-out text.txt --out lm.arpa", "goes with --neural"),
    ):
        done = run("lm", "train", texts / "other.txt", *arguments.split())
        assert done.status == 2 and message in done.complaint
    pytest.importorskip("torch")
    (texts / "lm.safetensors").write_bytes(b"nothing of the kind")
    assert "not a neural language model" in run("lm", "ppl", texts / "lm.safetensors", texts / "other.txt").complaint
