"""Records what Kaldi's own code builds for a small lexicon: H o CLG, self-loops, and the whole HCLG.

Written by hand from Kaldi's scripts (make_lexicon_fst.py, mkgraph.sh); imports nothing of this project.
Made with kaldi-hmm-gmm 1.1.4 and kaldifst 1.7.17 (Kaldi's C++), Linux x86-64:

    python tests/references/record_graph.py tests/references/graph.json
"""

import json
import math
import sys
from pathlib import Path

import kaldi_hmm_gmm as khg  # before kaldifst: the other order hangs
import kaldifst
import numpy as np

WORDS = {  # two homophones, a prefix ("for" of "four" + ...), two variants of "the"
    "zero": ["Z IH R OW"],
    "one": ["W AH N"],
    "two": ["T UW"],
    "to": ["T UW"],
    "three": ["TH R IY"],
    "four": ["F AO R"],
    "forty": ["F AO R T IY"],
    "the": ["DH AH", "DH IY"],
    "nine": ["N AY N"],
    "ninety": ["N AY N T IY"],
}
SIL_PROB = 0.3


def topology(n_phones):
    """3 states for speech; 5 for silence (phone 1), the inner ones reaching each other."""

    def state(i, pairs):
        return f"<State> {i} <PdfClass> {i} " + "".join(f"<Transition> {j} {p} " for j, p in pairs) + "</State> "

    speech = "".join(state(i, [(i, 0.75), (i + 1, 0.25)]) for i in range(3)) + "<State> 3 </State> "
    silence = state(0, [(j, 0.25) for j in range(4)])
    silence += "".join(state(i, [(j, 0.25) for j in range(1, 5)]) for i in range(1, 4))
    silence += state(4, [(4, 0.75), (5, 0.25)]) + "<State> 5 </State> "
    others = " ".join(str(i) for i in range(2, n_phones + 1))
    result = khg.HmmTopology()
    result.read(
        f"<Topology> <TopologyEntry> <ForPhones> {others} </ForPhones> {speech} </TopologyEntry> "
        f"<TopologyEntry> <ForPhones> 1 </ForPhones> {silence} </TopologyEntry> </Topology> "
    )
    return result


def arcs_of(fst):
    """Start, final costs and arcs (source, ilabel, olabel, weight, next) of an FST."""
    arcs = [
        [s, a.ilabel, a.olabel, round(float(a.weight.value), 6), a.nextstate]
        for s in kaldifst.StateIterator(fst)
        for a in kaldifst.ArcIterator(fst, s)
    ]
    final = [float(fst.final(s).value) for s in range(fst.num_states)]
    return {"start": fst.start, "final": [None if math.isinf(f) else round(f, 6) for f in final], "arcs": arcs}


def main(path):
    names = sorted({p for prons in WORDS.values() for q in prons for p in q.split()})
    phone = {p: i for i, p in enumerate(["<eps>", "SIL", *names])}
    n_phones = len(phone) - 1
    word = {w: i for i, w in enumerate(["<eps>", *sorted(WORDS)])}
    word["#0"] = len(word)
    entries = [(w, q.split()) for w in WORDS for q in WORDS[w]]
    strings = [tuple(q) for _, q in entries]
    used, marks = {}, []
    for q in strings:
        if strings.count(q) > 1 or any(r[: len(q)] == q and r != q for r in strings):
            used[q] = used.get(q, 0) + 1
            marks.append(used[q])
        else:
            marks.append(0)
    n_marks = max(marks) + 2  # #0, #1 ..., and the last for silence
    symbols = [n_phones + 1 + k for k in range(n_marks)]

    lexicon = kaldifst.StdVectorFst()
    start, loop, pause, after = (lexicon.add_state() for _ in range(4))
    lexicon.start = start
    lexicon.set_final(loop, 0.0)

    def add(s, i, o, w, n):
        lexicon.add_arc(state=s, arc=kaldifst.StdArc(ilabel=i, olabel=o, weight=w, nextstate=n))

    no, yes = -math.log(1 - SIL_PROB), -math.log(SIL_PROB)
    add(start, 0, 0, no, loop)
    add(start, 0, 0, yes, pause)
    add(pause, 1, 0, 0.0, after)
    add(after, symbols[-1], 0, 0.0, loop)
    for (w, q), mark in zip(entries, marks, strict=True):
        labels = [phone[p] for p in q] + ([symbols[mark]] if mark else [])
        state = loop
        for i, label in enumerate(labels[:-1]):
            following = lexicon.add_state()
            add(state, label, word[w] if i == 0 else 0, 0.0, following)
            state = following
        add(state, labels[-1], 0, no, loop)
        add(state, labels[-1], 0, yes, pause)
    add(loop, symbols[0], word["#0"], 0.0, loop)
    kaldifst.arcsort(lexicon, sort_type="olabel")

    # Back-off bigram: any word after any, "two" after "one" more often.
    grammar = kaldifst.StdVectorFst()
    first, back, after_one = (grammar.add_state() for _ in range(3))
    grammar.start = first

    def add_g(s, i, o, w, n):
        grammar.add_arc(state=s, arc=kaldifst.StdArc(ilabel=i, olabel=o, weight=w, nextstate=n))

    add_g(first, word["#0"], 0, 0.1, back)
    add_g(after_one, word["#0"], 0, 0.7, back)
    add_g(after_one, word["two"], word["two"], 0.9, first)
    for w in sorted(WORDS):
        add_g(back, word[w], word[w], 2.0 + 0.01 * word[w], after_one if w == "one" else first)
    grammar.set_final(first, 1.5)
    grammar.set_final(after_one, 2.5)
    kaldifst.arcsort(grammar, sort_type="ilabel")

    topo = topology(n_phones)
    tree = khg.monophone_context_dependency(
        phones=topo.phones, phone2num_pdf_classes=topo.get_phone_to_num_pdf_classes()
    )
    model = khg.TransitionModel(ctx_dep=tree, hmm_topo=topo)
    counts = np.random.default_rng(0).uniform(10, 100, len(model.init_stats()))
    counts[0] = 0
    model.mle_update(counts, khg.MleTransitionUpdateConfig())

    spoken = kaldifst.compose(lexicon, grammar)
    kaldifst.determinize_star(spoken, use_log=True)
    kaldifst.minimize_encoded(spoken)
    context, info = kaldifst.compose_context(disambig_syms=symbols, context_width=1, central_position=0, ifst=spoken)
    kaldifst.arcsort(context, sort_type="ilabel")
    transducer, marks_out = khg.get_h_transducer(
        ilabel_info=info, ctx_dep=tree, trans_model=model, config=khg.HTransducerConfig(transition_scale=1.0)
    )
    kaldifst.arcsort(transducer, sort_type="olabel")
    hmms = kaldifst.compose(transducer, context)
    kaldifst.connect(hmms)
    record = {
        "silence_prob": SIL_PROB,
        "entries": [[w, q] for w, q in entries],
        "counts": counts.tolist(),
        "log_probs": [0.0, *(float(x) for x in np.asarray(model.log_probs)[1:])],
        "pdfs": [-1, *(model.transition_id_to_pdf(t) for t in range(1, model.num_transition_ids + 1))],
        "grammar": arcs_of(grammar),
        "context": arcs_of(context),
        "windows": info,
        "h_symbols": list(marks_out),
        "hmms": arcs_of(hmms),
    }
    kaldifst.determinize_star(hmms, use_log=True)
    record["determinized_states"] = hmms.num_states
    plain = kaldifst.StdVectorFst()
    for _ in range(hmms.num_states):
        plain.add_state()
    plain.start = hmms.start
    for s in kaldifst.StateIterator(hmms):
        if math.isfinite(hmms.final(s).value):
            plain.set_final(s, hmms.final(s).value)
        for a in kaldifst.ArcIterator(hmms, s):
            label = 0 if a.ilabel in marks_out else a.ilabel
            plain.add_arc(
                state=s, arc=kaldifst.StdArc(ilabel=label, olabel=a.olabel, weight=a.weight, nextstate=a.nextstate)
            )
    kaldifst.minimize_encoded(plain)
    record["without_loops"] = arcs_of(plain)
    looped = khg.add_self_loops(trans_model=model, disambig_syms=[], self_loop_scale=0.1, reorder=True, ifst=plain)
    record["hclg"] = arcs_of(looped if looped is not None else plain)
    Path(path).write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
