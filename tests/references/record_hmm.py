"""What Kaldi's code (kaldi-hmm-gmm 1.1.4, kaldifst 1.7.17) says of a small HMM set, for tests/hmm.

    python tests/references/record_hmm.py tests/references/hmm.npz   (in an environment with these packages and numpy)

Recorded: transition ids, a transition update, forced alignments of random log-likelihoods, phone boundaries of the
alignments by composition with the H transducer.
"""

import math
import re
import sys

import kaldi_hmm_gmm as khg  # before kaldifst: it brings the FST types that both use
import kaldifst
import numpy as np

SILENCE, N_PHONES = 1, 6  # phones 2-6 are speech
SILENCE_PROB = 0.3
WORDS = [(1, (2, 3)), (1, (2, 4)), (2, (5,)), (3, (3, 6, 3)), (4, (4, 5, 6, 2))]  # word id, phones
# Word ids, frames, spread of the random log-likelihoods (large spread: the acoustics decide), beam, retry beam.
CASES = [
    ([1], 30, 10.0, 200.0, 400.0),
    ([2], 12, 10.0, 200.0, 400.0),
    ([3, 1], 60, 20.0, 200.0, 400.0),
    ([4, 2, 1], 80, 5.0, 200.0, 400.0),
    ([1, 1, 1], 50, 40.0, 200.0, 400.0),
    ([3, 4, 2, 2, 1], 120, 30.0, 400.0, 800.0),
    ([4], 40, 0.0, 200.0, 400.0),
    ([2, 3], 100, 3.0, 10.0, 40.0),
    ([2, 2, 4], 90, 1.0, 10.0, 40.0),
    ([4, 4], 23, 10.0, 200.0, 400.0),  # one frame fewer than the shortest path
    ([4, 4], 24, 10.0, 200.0, 400.0),
]
ACOUSTIC_SCALE = 0.1


def topology():
    text = "<Topology> <TopologyEntry> <ForPhones> 2 3 4 5 6 </ForPhones> "
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
    """Optional silence at the start and after each word, as Kaldi's lexicon without disambiguation symbols."""
    result = kaldifst.StdVectorFst()
    start, loop, silence = (result.add_state() for _ in range(3))
    result.start = start
    result.set_final(loop, 0.0)
    no, yes = -math.log(1 - SILENCE_PROB), -math.log(SILENCE_PROB)

    def arc(source, ilabel, olabel, weight, target):
        result.add_arc(state=source, arc=kaldifst.StdArc(ilabel=ilabel, olabel=olabel, weight=weight, nextstate=target))

    arc(start, 0, 0, no, loop)
    arc(start, 0, 0, yes, silence)
    arc(silence, SILENCE, 0, 0.0, loop)
    for word, phones in WORDS:
        here = loop
        for position, phone in enumerate(phones[:-1]):
            there = result.add_state()
            arc(here, phone, word if position == 0 else 0, 0.0, there)
            here = there
        label = word if len(phones) == 1 else 0
        arc(here, phones[-1], label, no, loop)
        arc(here, phones[-1], label, yes, silence)
    kaldifst.arcsort(result, sort_type="olabel")
    return result


def phone_starts(alignment, tree, model):
    """(frame, phone) wherever the H transducer, with self-loops, puts out a phone for the alignment."""
    info = [[], *([phone] for phone in range(1, N_PHONES + 1))]
    h, _ = khg.get_h_transducer(
        ilabel_info=info, ctx_dep=tree, trans_model=model, config=khg.HTransducerConfig(transition_scale=1.0)
    )
    h = khg.add_self_loops(self_loop_scale=0.1, disambig_syms=[], reorder=True, trans_model=model, ifst=h)
    line = kaldifst.make_linear_acceptor([int(t) for t in alignment])
    path = kaldifst.shortest_path(kaldifst.compose(line, h))
    state, frame, starts = path.start, 0, []
    while True:
        arcs = list(kaldifst.ArcIterator(path, state))
        if not arcs:
            return starts
        if arcs[0].olabel:
            starts.append((frame, info[arcs[0].olabel][0]))
        frame += arcs[0].ilabel != 0
        state = arcs[0].nextstate


def main(path):
    rng = np.random.default_rng(20261123)
    topo = topology()
    tree = khg.monophone_context_dependency(
        phones=topo.phones, phone2num_pdf_classes=topo.get_phone_to_num_pdf_classes()
    )
    model = khg.TransitionModel(ctx_dep=tree, hmm_topo=topo)
    ids = range(1, model.num_transition_ids + 1)
    out = {
        "tuples": np.array([[int(n) for n in re.findall(r"\d+", str(t))] for t in model.tuples]),
        "pdf_of_id": np.array([model.transition_id_to_pdf(t) for t in ids]),
        "phone_of_id": np.array([model.transition_id_to_phone(t) for t in ids]),
        "is_self_loop": np.array([model.is_self_loop(t) for t in ids]),
        "is_final": np.array([model.is_final(t) for t in ids]),
        "initial_log_probs": np.array(model.log_probs)[1:],
    }
    counts = rng.integers(0, 60, model.num_transition_ids + 1).astype(np.float64) * (rng.random(len(ids) + 1) < 0.8)
    counts[0] = 0
    gain = model.mle_update(counts, khg.MleTransitionUpdateConfig())
    out.update(counts=counts, updated_log_probs=np.array(model.log_probs)[1:], update_gain_and_count=np.array(gain))
    out["non_self_loop_log_probs"] = np.array(model.non_self_loop_log_probs)[1:]
    options = khg.TrainingGraphCompilerOptions()
    options.transition_scale = options.self_loop_scale = 0.0  # add_transition_probs puts them in below
    compiler = khg.TrainingGraphCompiler(
        trans_model=model, ctx_dep=tree, lex_fst=lexicon_fst(), disambig_syms=[], opts=options
    )
    out["n_cases"], out["silence_prob"] = np.array(len(CASES)), np.array(SILENCE_PROB)
    for case, (words, n_frames, spread, beam, retry_beam) in enumerate(CASES):
        likes = (rng.standard_normal((n_frames, model.num_pdfs)) * spread - 50).astype(np.float32)
        fst = compiler.compile_graph_from_text(words)
        khg.add_transition_probs(trans_model=model, transition_scale=1.0, self_loop_scale=0.1, fst=fst)
        decodable = khg.DecodableCtc((likes[:, out["pdf_of_id"]] * np.float32(ACOUSTIC_SCALE)).astype(np.float32))
        config = khg.AlignConfig(beam=beam, retry_beam=retry_beam, careful=False)
        done, errors, retried, like, _, alignment, _ = khg.align_utterance_wrapper(
            config=config, utt=str(case), acoustic_scale=ACOUSTIC_SCALE, fst=fst, decodable=decodable,
            num_done=0, num_error=0, num_retried=0, tot_like=0.0, frame_count=0,
        )  # fmt: skip
        assert done + errors == 1
        out[f"{case}.words"], out[f"{case}.likes"] = np.array(words), likes
        out[f"{case}.alignment"] = np.array(alignment, np.int32)
        out[f"{case}.score"] = np.array(like * ACOUSTIC_SCALE)  # Kaldi divides it by the acoustic scale
        out[f"{case}.beams"], out[f"{case}.retried"] = np.array([beam, retry_beam]), np.array(retried)
        if done:
            out[f"{case}.phone_starts"] = np.array(phone_starts(alignment, tree, model))
    np.savez_compressed(path, **out)


if __name__ == "__main__":
    main(sys.argv[1])
