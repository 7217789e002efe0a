"""The shipped model on connected digits: decoding finds the words' frames where forced alignment puts them."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import asr
from asr import audio
from asr.graph.const_fst import Graph

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def joined_recordings(folder, n_strings, seed=0):
    """(text, samples at 8 kHz) of digits by one speaker each, with pauses of 0 to 0.3 s of faint noise between them."""
    rng = np.random.default_rng(seed)
    paths = sorted(folder.glob("*.wav"))
    speakers = sorted({p.stem.split("_")[1] for p in paths})
    strings = []
    for i in range(n_strings):
        of_speaker = [p for p in paths if p.stem.split("_")[1] == speakers[i % len(speakers)]]
        chosen = [of_speaker[k] for k in rng.integers(0, len(of_speaker), rng.integers(1, 8))]
        pieces = [p for c in chosen for p in (audio.read(c).samples, 1e-3 * rng.standard_normal(rng.integers(0, 2400)))]
        strings.append((" ".join(DIGITS[int(c.stem[0])] for c in chosen), np.concatenate(pieces).astype(np.float32)))
    return strings


def synthesised(n_strings):
    """The same from espeak-ng's voices."""
    pytest.importorskip("espeakng_loader")
    from asr.audio.synth import speak

    rng = np.random.default_rng(0)
    strings = []
    for i in range(n_strings):
        text = " ".join(rng.choice(DIGITS, rng.integers(1, 6)))
        voice = ("gmw/en-US", "gmw/en+benjamin", "gmw/en-US+f4", "gmw/en-GB-scotland+linda")[i % 4]
        clean = speak(text, voice=voice, speed=int(rng.integers(130, 190)), rate_hz=8000)
        strings.append((text, clean + (1e-3 * rng.standard_normal(len(clean))).astype(np.float32)))
    return strings


@pytest.fixture(scope="module", params=["synthesised", "recorded"])
def speech(request):
    """(text, samples) pairs: a few that espeak-ng speaks, or a hundred from real recordings where there are some."""
    if request.param == "synthesised":
        return synthesised(12)
    return joined_recordings(request.getfixturevalue("fsdd"), 100)


@pytest.mark.parametrize("penalty", [0.0, 4.0])
def test_decoded_frames_are_those_of_a_forced_alignment(digits_model, speech, penalty):
    """Transition ids, words with times, and the score but for the grammar's cost of the words and their end."""
    model = digits_model.with_decoding(beam=1000.0, max_active=10**5, insertion_penalty=penalty)
    n_words = 0
    for _, samples in speech:
        decoded = model.transcribe(samples, 8000)
        forced = model.align(samples, decoded.text, 8000)
        np.testing.assert_array_equal(decoded.alignment, forced.alignment)
        assert decoded.words == forced.words and decoded.phones == forced.phones
        grammar = (len(decoded.words) + 1) * math.log(len(DIGITS) + 1) + penalty * len(decoded.words)
        assert decoded.score + grammar == pytest.approx(forced.score, abs=2e-3)
        n_words += len(decoded.words)
    assert n_words >= len(speech)  # it is not all silence


def test_the_graph_of_one_sentence_aligns_it(digits_model, speech):
    from asr.graph import compile_hclg, sequence

    for text, samples in speech[:10]:
        m = digits_model
        graph = compile_hclg(m.lexicon, sequence(m.lexicon, text.split()), m.hmms.tree, m.hmms.transitions)
        model = replace(m, graph=graph).with_decoding(beam=1000.0, insertion_penalty=0.0)
        decoded, forced = model.transcribe(samples, 8000), m.align(samples, text, 8000)
        assert decoded.text == text and decoded.reached_final
        np.testing.assert_array_equal(decoded.alignment, forced.alignment)
        assert decoded.words == forced.words
        assert decoded.score == pytest.approx(forced.score, abs=2e-3)


def test_chunks_of_causal_features_give_the_path_of_the_whole(digits_model, speech):
    """To the last bit: any chunks of frames; and a prefix of the raw features gives a prefix of the normalised ones."""
    rng, pipeline, decoder = np.random.default_rng(0), digits_model.features, digits_model.decoder
    reach = 4  # frames that deltas of deltas look ahead
    for _, samples in speech[:30]:
        raw = pipeline.front_end(samples)
        (features,) = pipeline.finish([raw], ["s"])
        whole = decoder.decode(digits_model.acoustic.log_likelihoods(features))
        decoder.start()
        while decoder.n_frames < len(features):
            chunk = features[decoder.n_frames :][: rng.integers(0, 40)]
            decoder.advance(digits_model.acoustic.log_likelihoods(chunk))
        for part, of_whole in zip(decoder.finish(), whole, strict=True):
            np.testing.assert_array_equal(part, of_whole)
        cut = int(rng.integers(reach + 1, len(raw)))
        np.testing.assert_array_equal(pipeline.finish([raw[:cut]], ["s"])[0][:-reach], features[: cut - reach])


def test_a_new_graph_decodes_the_same_from_memory_and_from_its_file(digits_model, speech, tmp_path):
    from asr.graph import compile_hclg, word_loop

    m = digits_model
    built = replace(m, graph=compile_hclg(m.lexicon, word_loop(m.lexicon), m.hmms.tree, m.hmms.transitions))
    loaded = asr.load(built.save(tmp_path / "model"))
    assert isinstance(loaded.graph, Graph) and not loaded.graph.arcs.flags.writeable  # mapped, not read
    for _, samples in speech[:10]:
        first, second = built.transcribe(samples, 8000), loaded.transcribe(samples, 8000)
        assert first == second
        np.testing.assert_array_equal(first.alignment, second.alignment)


def test_transcribing_and_aligning_need_neither_pynini_nor_torch(sample):
    code = """
import sys
for name in ("pynini", "pywrapfst", "torch", "torchaudio"):
    sys.modules[name] = None  # any import of it now fails
import asr
model = asr.load("digits")
words = model.transcribe(sys.argv[1])
assert words.text and len(model.align(sys.argv[1], words.text).words) == len(words.words)
"""
    subprocess.run([sys.executable, "-c", code, str(sample)], check=True, timeout=120)
