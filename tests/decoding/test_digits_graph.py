"""The recipe's graph, a loop over the digits: our decoder, Kaldi's and the reference, the beam wide open."""

from pathlib import Path

import numpy as np
import pytest

from asr.decoding import SearchOptions, ViterbiDecoder, reference_decode

kaldifst = pytest.importorskip("kaldifst")
kaldi_decoder = pytest.importorskip("kaldi_decoder")

LEXICON = Path(__file__).parents[2] / "lang" / "digits" / "lexicon.tsv"


@pytest.fixture(scope="module")
def digits():
    """(graph, pdf of each transition id) for a monophone model with random transition probabilities."""
    from asr.graph import compile_hclg, word_loop
    from asr.hmm.topology import Topology
    from asr.hmm.transitions import TransitionModel
    from asr.hmm.tree import MonophoneTree
    from asr.lang.lexicon import Lexicon

    lexicon = Lexicon.load(LEXICON)
    silence = lexicon.silence_id
    topology = Topology.kaldi([p for p in range(1, lexicon.n_phones + 1) if p != silence], [silence])
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    counts = np.random.default_rng(0).uniform(10, 100, transitions.n_transition_ids + 1)
    transitions = transitions.updated(counts)  # else paths through equal probabilities tie
    graph = compile_hclg(lexicon, word_loop(lexicon), tree, transitions)
    return graph, np.asarray(transitions.pdf_of_id, np.int32)


def test_equal_cost_words_and_transition_ids(digits, tmp_path):
    graph, pdf_of_id = digits
    graph.write(tmp_path / "HCLG.fst")
    fst = kaldifst.StdConstFst.read(str(tmp_path / "HCLG.fst"))
    rng, n_pdfs, ties = np.random.default_rng(1), int(pdf_of_id.max()) + 1, 0
    options = SearchOptions(beam=1e6, max_active=10**6, acoustic_scale=1.0)
    decoder = ViterbiDecoder(graph, pdf_of_id, options)
    for n_frames in (1, 5, 17, 60, 200, 200, 200, 300):
        loglikes = rng.normal(0, 3, (n_frames, n_pdfs)).astype(np.float32)
        ours = decoder.decode(loglikes)
        theirs = kaldi_decoder.FasterDecoder(fst, kaldi_decoder.FasterDecoderOptions(beam=1e6))
        theirs.decode(kaldi_decoder.DecodableCtc(np.ascontiguousarray(loglikes[:, pdf_of_id[1:]])))
        found, lattice = theirs.get_best_path()
        assert found
        _, labels, words, weight = kaldifst.get_linear_symbol_sequence(lattice)
        assert ours.reached_final == theirs.reached_final()
        assert -ours.score == pytest.approx(weight.value1 + weight.value2, rel=1e-5, abs=1e-3)
        if ours.words.tolist() != words:
            ties += 1
        else:
            assert ours.labels.tolist() == labels
        if n_frames <= 60:
            exact = reference_decode(graph, pdf_of_id, loglikes, acoustic_scale=1.0)
            assert ours.score == pytest.approx(exact.score, abs=1e-6)
    assert ties <= 1
