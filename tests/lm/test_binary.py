"""Language models as files that open at once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LanguageModelError
from asr.lm import SMOOTHINGS, NgramModel, read_arpa, read_model, train, write_arpa, write_model
from asr.lm.binary import MAGIC, is_binary
from asr.lm.states import StateTable


@pytest.fixture(scope="module")
def model(slow):
    return train(slow.random_text(np.random.default_rng(1), 60), 3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from(SMOOTHINGS), st.booleans())
def test_what_is_saved_is_loaded(tmp_path_factory, slow, seed, order, smoothing, closed):
    sentences = slow.random_text(np.random.default_rng(seed), 20)
    model = train(sentences, order, words="abcdeé" if closed else None, smoothing=smoothing)
    path = tmp_path_factory.mktemp("binary") / "lm.ngram"
    model.save(path)
    again = NgramModel.load(path)
    assert again.vocabulary == model.vocabulary and again.is_closed == closed and again.n_ngrams == model.n_ngrams
    assert (again.trie.keys == model.trie.keys).all() and (again.trie.offsets == model.trie.offsets).all()
    assert (again.trie.suffix == model.trie.suffix).all() and (again.states == model.states).all()
    assert (again.log_probs == model.log_probs.astype(np.float32)).all()
    assert (again.back_offs == model.back_offs.astype(np.float32)).all()
    for sentence in sentences[:5]:
        assert again.score(sentence) == pytest.approx(model.score(sentence), rel=1e-6)
    first = path.read_bytes()
    again.save(path)  # over the file that it is mapped from
    assert path.read_bytes() == first and again.score(sentences[0]) == NgramModel.load(path).score(sentences[0])


def test_arrays_are_mapped_not_copied(tmp_path, model):
    model.save(tmp_path / "lm.ngram")
    loaded = NgramModel.load(tmp_path / "lm.ngram")
    arrays = (loaded.trie.first_child, loaded.trie.word, loaded.trie.suffix, loaded.states, loaded.log_probs)
    assert not any(array.flags.owndata or array.flags.writeable for array in arrays)
    assert (StateTable.of(loaded).state_of == StateTable.of(model).state_of).all()


def test_states_are_the_longest_endings_that_matter(model):
    trie, states = model.trie, StateTable.of(model).state_of
    matters = trie.has_children | (model.back_offs != 0)
    for node in range(1, trie.n_nodes):
        expected = node
        while expected and not matters[expected]:
            expected = trie.suffix[expected]
        assert states[node] == expected


def test_either_kind_is_read_whatever_its_name(tmp_path, model):
    write_model(model, tmp_path / "lm.ngram")
    write_model(model, tmp_path / "lm.arpa.gz")
    assert is_binary(tmp_path / "lm.ngram") and not is_binary(tmp_path / "lm.arpa.gz") and not is_binary(tmp_path)
    (tmp_path / "lm.ngram").rename(tmp_path / "lm.arpa")
    for name in ("lm.arpa", "lm.arpa.gz"):
        assert read_model(tmp_path / name).score("a b") == pytest.approx(model.score("a b"), rel=1e-6)
    write_arpa(read_model(tmp_path / "lm.arpa"), tmp_path / "again.arpa")
    assert read_arpa(tmp_path / "again.arpa").score("a b") == pytest.approx(model.score("a b"), rel=1e-6)


def test_a_flipped_bit_or_a_cut_anywhere_is_told(tmp_path, model):
    path = tmp_path / "lm.ngram"
    model.save(path)
    raw = path.read_bytes()
    rng = np.random.default_rng(0)
    header_ends = raw.index(b"}", 24) + 1
    for place in [*range(24), *rng.integers(24, len(raw), 300).tolist()]:
        if header_ends <= place < header_ends + -header_ends % 64 or 20 <= place < 24:
            continue  # zeros that nobody reads
        damaged = bytearray(raw)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(LanguageModelError, match=r"lm\.ngram: "):
            NgramModel.load(path)
    for size in (0, 8, 23, 24, 100, 300, *range(400, len(raw), 997), len(raw) - 64):
        path.write_bytes(raw[:size])
        with pytest.raises(LanguageModelError, match=r"lm\.ngram: .*(cut short|cannot be read|damaged)"):
            NgramModel.load(path)


def test_other_files_and_versions_are_told(tmp_path, model):
    path = tmp_path / "lm.ngram"
    with pytest.raises(LanguageModelError, match="cannot be read: No such file"):
        NgramModel.load(path)
    path.write_text("\\data\\\nngram 1=2\nand so on, for some more letters")
    with pytest.raises(LanguageModelError, match="not a language model of this toolkit"):
        NgramModel.load(path)
    model.save(path)
    raw = bytearray(path.read_bytes())
    raw[len(MAGIC)] = 2
    path.write_bytes(raw)
    with pytest.raises(LanguageModelError, match="version 2 of the format, and this program reads 1"):
        NgramModel.load(path)


@pytest.mark.parametrize(
    "name, place, value",
    [
        ("first_child", 3, 10**6),
        ("first_child", 0, 0),
        ("word", -1, 99),
        ("word", -1, -1),
        ("suffix", -1, 10**6),
        ("suffix", 1, 1),
        ("states", -1, 10**6),
        ("log_probs", -1, math.nan),
        ("log_probs", -1, 1.0),
        ("back_offs", 5, math.inf),
    ],
)
def test_numbers_that_lead_outside_are_refused_although_the_checksum_is_right(tmp_path, model, name, place, value):
    from asr.lm.binary import write_arrays

    trie = model.trie
    arrays = {"first_child": trie.first_child, "word": trie.word, "suffix": trie.suffix, "states": model.states}
    arrays |= {"log_probs": model.log_probs, "back_offs": model.back_offs}
    arrays[name] = arrays[name].copy()
    arrays[name][place] = value
    write_arrays(tmp_path / "lm.ngram", model.vocabulary.names, trie.offsets, arrays)
    with pytest.raises(LanguageModelError, match="its arrays do not fit together"):
        NgramModel.load(tmp_path / "lm.ngram")


def test_a_failed_save_leaves_the_old_file(tmp_path, model):
    path = tmp_path / "lm.ngram"
    path.write_text("old")
    with pytest.raises(ValueError):
        NgramModel(model.vocabulary, model.trie, model.log_probs[:-1], model.back_offs).save(path)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["lm.ngram"]


@pytest.mark.parametrize("content, said", [(b"", "empty"), (MAGIC[:6], "6 bytes"), (b"x" + MAGIC * 20, "bytes")])
def test_what_is_left_of_a_file_is_not_taken_for_an_arpa_file(tmp_path, content, said):
    path = tmp_path / "lm.ngram"
    path.write_bytes(content)
    with pytest.raises(LanguageModelError, match=f"lm.ngram: .*{said}.* copy or make it again"):
        read_model(path)
