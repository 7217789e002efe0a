"""Mono, deltas, LDA+MLLT and SAT on real speech of a speaker that the models have not heard."""

import numpy as np
import pytest

from asr import audio
from asr.features import delta, mfcc
from asr.features.table import FeatureTable
from asr.gmm.lda_mllt import LdaMlltOptions, train_lda_mllt, transformed
from asr.gmm.mono import MonoOptions, train_mono
from asr.gmm.sat import SatOptions, adapted, estimate_transforms, train_sat
from asr.gmm.triphone import TriphoneOptions, train_deltas
from asr.hmm.tree_building import TreeOptions
from asr.lang.lexicon import Lexicon

WORDS = """zero Z IH R OW|one W AH N|two T UW|three TH R IY|four F AO R|five F AY V|six S IH K S|seven S EH V AH N|
eight EY T|nine N AY N"""
LEXICON = Lexicon([(line.split()[0], tuple(line.split()[1:])) for line in WORDS.split("|")])
HELD_OUT = "lucas"
SIZE = {"total_gaussians": 500, "tree": TreeOptions(max_leaves=150)}


def recordings(folder):
    """Every third recording of each speaker: MFCC, its mean by speaker taken off; speakers; transcripts."""
    raw, speakers, transcripts = {}, {}, {}
    for path in sorted(folder.glob("*.wav")):
        digit, speaker, index = path.stem.split("_")
        if int(index) % 3 == 0:
            raw[path.stem], speakers[path.stem] = mfcc(*audio.read(path)), speaker
            transcripts[path.stem] = [LEXICON.words[line.split()[0]] for line in WORDS.split("|")][int(digit)]
    means = {s: np.concatenate([x for u, x in raw.items() if speakers[u] == s]).mean(axis=0) for s in speakers.values()}
    table = FeatureTable.from_dict({u: x - means[speakers[u]] for u, x in raw.items()})
    return table, speakers, {u: [word] for u, word in transcripts.items()}


def recognise(result, table, ids, gmms):
    """Utterance -> the word that a word loop hears, and its alignment."""
    from asr.decoding.viterbi import SearchOptions, ViterbiDecoder
    from asr.graph.grammar import word_loop
    from asr.graph.hclg import compile_hclg

    graph = compile_hclg(LEXICON, word_loop(LEXICON), result.tree, result.transitions)
    decoder = ViterbiDecoder(graph, result.transitions.pdf_of_id, SearchOptions(beam=15.0, insertion_penalty=5.0))
    return {u: decoder.decode(gmms.log_likelihoods(table[u])) for u in ids}


@pytest.mark.slow
def test_adaptation_wins_on_a_speaker_never_heard(fsdd):
    static, speakers, transcripts = recordings(fsdd)
    train = {u: words for u, words in transcripts.items() if speakers[u] != HELD_OUT}
    test = [u for u in transcripts if speakers[u] == HELD_OUT]
    dynamic = FeatureTable.from_pairs((u, delta(static[u])) for u in static)
    mono = train_mono(dynamic, train, LEXICON, MonoOptions(total_gaussians=300))
    tri = train_deltas(dynamic, train, LEXICON, mono, TriphoneOptions(**SIZE))
    lda = train_lda_mllt(static, train, LEXICON, tri, LdaMlltOptions(**SIZE))
    reduced = transformed(static, static, lda.transform, LdaMlltOptions())
    sat = train_sat(reduced, train, LEXICON, lda, speakers, SatOptions(**SIZE))

    def errors(paths):
        return sum(path.words.tolist() != transcripts[u] for u, path in paths.items())

    plain = errors(recognise(mono, dynamic, test, mono.gmms))
    paths = recognise(sat, reduced, test, sat.alignment_gmms)
    speaker = {u: speakers[u] for u in test}
    how = {"silence": [LEXICON.silence_id], "posterior_gmms": sat.alignment_gmms}
    for _ in range(2):
        labels = {u: path.labels for u, path in paths.items()}
        transforms = estimate_transforms(sat.gmms, sat.transitions, reduced, labels, speaker, **how)
        paths = recognise(sat, adapted(reduced.select(test), speaker, transforms), test, sat.gmms)
        how = {"silence": [LEXICON.silence_id], "earlier": transforms}
    assert errors(paths) <= 0.75 * plain, f"{errors(paths)} errors adapted, {plain} of monophones, of {len(test)}"
