"""What Kaldi's code (kaldi-hmm-gmm 1.1.4, kaldifst 1.7.17) says of phones that share pdfs and weighted pronunciations.

    python tests/references/record_positions.py tests/references/positions.npz   (in an environment with these packages)

Recorded: transition ids of a monophone tree with shared roots, a transition update, forced alignments of random
log-likelihoods through the lexicon's weighted pronunciations. Phones are silence, then A and B, each in the positions
B, E, I and S; the lexicon is Kaldi's lexiconp.txt, with word position as prepare_lang.sh adds it.
"""

import math
import re
import sys

import kaldi_hmm_gmm as khg  # before kaldifst: it brings the FST types that both use
import kaldifst
import numpy as np

PHONES = ["SIL", *(f"{base}_{position}" for base in "AB" for position in "BEIS")]  # ids from 1
SETS = [[1], [2, 3, 4, 5], [6, 7, 8, 9]]
SILENCE_PROB = 0.3
# Word id, probability, phones. Word 1 is spelled u, 2 v, 3 w.
WORDS = [(1, 1.0, "A_S"), (1, 0.2, "A_B B_E"), (2, 0.6, "B_B A_I A_E"), (2, 0.4, "B_S"), (3, 1.0, "B_B B_I A_E")]
# Word ids, frames, spread of the random log-likelihoods; with little spread the pronunciations' weights decide.
CASES = [
    ([1], 30, 0.0),
    ([2], 30, 0.0),
    ([2, 1], 40, 1.0),
    ([1, 2, 3, 1], 90, 10.0),
    ([2, 2, 1, 1], 90, 3.0),
    ([3], 40, 5.0),
]
ACOUSTIC_SCALE = 0.1


def topology():
    text = f"<Topology> <TopologyEntry> <ForPhones> {' '.join(map(str, range(2, 10)))} </ForPhones> "
    for i in range(3):
        text += f"<State> {i} <PdfClass> {i} <Transition> {i} 0.75 <Transition> {i + 1} 0.25 </State> "
    text += "<State> 3 </State> </TopologyEntry> <TopologyEntry> <ForPhones> 1 </ForPhones> "
    text += "<State> 0 <PdfClass> 0 " + "".join(f"<Transition> {i} 0.25 " for i in range(4)) + "</State> "
    for i in (1, 2, 3):
        text += f"<State> {i} <PdfClass> {i} " + "".join(f"<Transition> {j} 0.25 " for j in range(1, 5)) + "</State> "
    text += "<State> 4 <PdfClass> 4 <Transition> 4 0.75 <Transition> 5 0.25 </State> "
    text += "<State> 5 </State> </TopologyEntry> </Topology> "
    result = khg.HmmTopology()
    result.read(text)
    return result


def lexicon_fst():
    """As make_lexicon_fst.py writes it: a pronunciation's cost is on its first arc."""
    result = kaldifst.StdVectorFst()
    start, loop, silence = (result.add_state() for _ in range(3))
    result.start = start
    result.set_final(loop, 0.0)
    no, yes = -math.log(1 - SILENCE_PROB), -math.log(SILENCE_PROB)

    def arc(source, ilabel, olabel, weight, target):
        result.add_arc(state=source, arc=kaldifst.StdArc(ilabel=ilabel, olabel=olabel, weight=weight, nextstate=target))

    arc(start, 0, 0, no, loop)
    arc(start, 0, 0, yes, silence)
    arc(silence, 1, 0, 0.0, loop)
    for word, probability, names in WORDS:
        phones = [1 + PHONES.index(name) for name in names.split()]
        here, label, cost = loop, word, -math.log(probability)
        for phone in phones[:-1]:
            there = result.add_state()
            arc(here, phone, label, cost, there)
            here, label, cost = there, 0, 0.0
        arc(here, phones[-1], label, cost + no, loop)
        arc(here, phones[-1], label, cost + yes, silence)
    kaldifst.arcsort(result, sort_type="olabel")
    return result


def main(path):
    rng = np.random.default_rng(20261124)
    topo = topology()
    tree = khg.monophone_context_dependency_shared(
        phone_classes=SETS, phone2num_pdf_classes=topo.get_phone_to_num_pdf_classes()
    )
    model = khg.TransitionModel(ctx_dep=tree, hmm_topo=topo)
    ids = range(1, model.num_transition_ids + 1)
    out = {
        "tuples": np.array([[int(n) for n in re.findall(r"\d+", str(t))] for t in model.tuples]),
        "pdf_of_id": np.array([model.transition_id_to_pdf(t) for t in ids]),
        "n_pdfs": np.array(model.num_pdfs),
        "silence_prob": np.array(SILENCE_PROB),
        "n_cases": np.array(len(CASES)),
    }
    counts = rng.integers(0, 60, model.num_transition_ids + 1).astype(np.float64) * (rng.random(len(ids) + 1) < 0.8)
    counts[0] = 0
    model.mle_update(counts, khg.MleTransitionUpdateConfig())
    out.update(counts=counts, updated_log_probs=np.array(model.log_probs)[1:])
    options = khg.TrainingGraphCompilerOptions()
    options.transition_scale = options.self_loop_scale = 0.0  # add_transition_probs puts them in below
    compiler = khg.TrainingGraphCompiler(
        trans_model=model, ctx_dep=tree, lex_fst=lexicon_fst(), disambig_syms=[], opts=options
    )
    for case, (words, n_frames, spread) in enumerate(CASES):
        likes = (rng.standard_normal((n_frames, model.num_pdfs)) * spread - 50).astype(np.float32)
        fst = compiler.compile_graph_from_text(words)
        khg.add_transition_probs(trans_model=model, transition_scale=1.0, self_loop_scale=0.1, fst=fst)
        decodable = khg.DecodableCtc((likes[:, out["pdf_of_id"]] * np.float32(ACOUSTIC_SCALE)).astype(np.float32))
        config = khg.AlignConfig(beam=200.0, retry_beam=400.0, careful=False)
        done, _, _, like, _, alignment, _ = khg.align_utterance_wrapper(
            config=config, utt=str(case), acoustic_scale=ACOUSTIC_SCALE, fst=fst, decodable=decodable,
            num_done=0, num_error=0, num_retried=0, tot_like=0.0, frame_count=0,
        )  # fmt: skip
        assert done == 1
        out[f"{case}.words"], out[f"{case}.likes"] = np.array(words), likes
        out[f"{case}.alignment"] = np.array(alignment, np.int32)
        out[f"{case}.score"] = np.array(like * ACOUSTIC_SCALE)  # Kaldi divides it by the acoustic scale
    np.savez_compressed(path, **out)


if __name__ == "__main__":
    main(sys.argv[1])
