"""Composition, determinisation and minimisation beside kaldifst's, and the time and memory of a whole graph.

`python tests/benchmarks/bench_graph.py [--reps 3]` measures on the 5,000-word graph of decoder_graph.py;
`... --model MODEL --lm LM.arpa [--lexicon cmudict]` on a model's HMMs and a language model, `--text FILE` instead of
`--lm` on a bigram of the sentences in a file. Both sides get the same graphs, which our own steps made before. Every
step runs in a process of its own: CPU seconds, and the most memory beyond that of the imported packages, so with the
graphs that were read. Runs are interleaved, and medians are taken. C, H and self-loops have no counterpart in kaldifst
without Kaldi's transition model; they are in the whole graph's figures alone. Needs pynini, to hand graphs over, and
Linux, for peaks.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DELTA = 2.0**-16  # that of our determinisation, on both sides


def memory(kind):
    """GiB of memory in use ("VmRSS"), or at most since the last reset ("VmHWM")."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 2**20


def measured(read, work):
    """Run `work` on what `read` returns and print the CPU seconds of the work, the GiB of both, and the states."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, given = memory("VmRSS"), read()
    begin = time.process_time()
    made = work(*given)
    seconds = time.process_time() - begin
    n_states = made.num_states if hasattr(made, "num_states") else made.n_states
    print(json.dumps({"seconds": seconds, "memory": memory("VmHWM") - before, "states": n_states}))


def our_step(step, paths):
    from asr.graph import arc_kernels, determinise_kernels, minimise_kernels, pair_kernels
    from asr.graph.budget import Budget
    from asr.graph.composition import compose
    from asr.graph.const_fst import Graph
    from asr.graph.determinise import determinise
    from asr.graph.minimise import minimise
    from asr.jit import prepare

    prepare(arc_kernels, determinise_kernels, minimise_kernels, pair_kernels)
    budget = Budget(10**9)
    works = {
        "compose": lambda words, grammar: compose(words, grammar, budget=budget),
        "det": lambda graph: determinise(graph, budget=budget),
        "min": minimise,
    }
    measured(lambda: [Graph.read(f"{path}.fst", check=False) for path in paths], works[step])


def kaldis_step(step, paths):
    import kaldifst

    def determinise(graph):
        if kaldifst.determinize_star(graph, use_log=True, delta=DELTA):
            raise RuntimeError("kaldifst's determinize_star did not finish")
        return graph

    def minimise(graph):
        kaldifst.minimize_encoded(graph)
        return graph

    def compose(words, grammar):
        kaldifst.arcsort(words, "olabel")
        return kaldifst.compose(words, grammar)

    works = {"compose": compose, "det": determinise, "min": minimise}
    measured(lambda: [kaldifst.StdVectorFst.read(f"{path}.vector.fst") for path in paths], works[step])


def whole_graph(model, lm, sources):
    """Seconds and memory of `asr graph MODEL --lm LM`, from the files to the graph."""
    from asr.graph import arc_kernels, determinise_kernels, epsilon_kernels, hmm_kernels, minimise_kernels, pair_kernels
    from asr.jit import prepare
    from asr.lm import arpa_kernels, read_arpa, trie_kernels
    from asr.model import load
    from asr.model.regraph import with_language_model

    prepare(arc_kernels, determinise_kernels, epsilon_kernels, hmm_kernels, minimise_kernels, pair_kernels)
    prepare(arpa_kernels, trie_kernels)
    measured(list, lambda: with_language_model(load(model), read_arpa(lm), sources)[0].graph)


def run(*arguments):
    """What a process of its own measures; None where it fails, with the reason printed."""
    command = [sys.executable, __file__, "--step", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {' '.join(map(str, arguments))}: {(done.stderr.strip().splitlines() or ['killed'])[-1]}")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def save(graph, path):
    """A graph for both sides."""
    import pywrapfst

    from asr.graph.openfst import to_pynini

    graph.write(f"{path}.fst")
    pywrapfst.convert(to_pynini(graph), "vector").write(f"{path}.vector.fst")


def made_graphs(folder, words, grammar, expand, n_labels):
    """The graphs that each step is given: (step, files, their name); made by our own steps."""
    from asr.graph.budget import Budget
    from asr.graph.composition import compose
    from asr.graph.determinise import determinise
    from asr.graph.epsilons import remove_epsilons_locally
    from asr.graph.hclg import without_symbols
    from asr.graph.minimise import minimise

    def kept(name, graph):
        save(graph, folder / name)
        print(f"  {name:<10}{graph.n_states:>12,} states {graph.n_arcs:>12,} arcs")
        return graph

    kept("L", words)
    kept("G", grammar)
    spoken = kept("LG", compose(words, grammar, budget=Budget()))
    spoken = kept("det-LG", determinise(spoken))
    hmms = kept("HCLG", expand(minimise(spoken)))
    hmms = determinise(hmms)
    kept("det-HCLG", remove_epsilons_locally(without_symbols(hmms, n_labels)))
    steps = (
        ("compose", ("L", "G")),
        ("det", ("LG",)),
        ("min", ("det-LG",)),
        ("det", ("HCLG",)),
        ("min", ("det-HCLG",)),
    )
    return [(step, [folder / name for name in names]) for step, names in steps]


def of_5000_words(folder):
    import decoder_graph as peer

    from asr.graph.openfst import from_pynini, to_pynini

    _, prons = peer.pronunciations()
    triphones = peer.Triphones(prons)
    first_symbol = len(triphones.ids) + 1
    words = from_pynini(peer.lexicon_fst(triphones, first_symbol))
    grammar = from_pynini(peer.grammar_fst(*peer.grammar()))

    def expand(spoken):
        return from_pynini(peer.expand(to_pynini(spoken), triphones, first_symbol)[0])

    return made_graphs(folder, words, grammar, expand, triphones.n_pdfs)


def of_a_model(folder, model, lm, sources):
    from asr.graph.arpa import arpa_grammar
    from asr.graph.context import compose_context
    from asr.graph.grammar import checked_grammar
    from asr.graph.hmm_fst import expand_hmms
    from asr.graph.lexicon_fst import lexicon_graph
    from asr.lang.sources import extended
    from asr.lm import read_arpa
    from asr.model import load

    model, lm = load(model), read_arpa(lm)
    lexicon, _ = extended(model.lexicon, lm.vocabulary.names[3:], sources, model.letters)
    lexicon = model.units.of_graph(lexicon)
    tree, transitions = model.units.tree, model.units.transitions
    grammar = checked_grammar(arpa_grammar(lm, lexicon), lexicon)

    def expand(spoken):
        shape = {"width": tree.context_width, "central": tree.central_position}
        return expand_hmms(compose_context(spoken, lexicon.n_phones, **shape), tree, transitions)

    return made_graphs(folder, lexicon_graph(lexicon), grammar, expand, transitions.n_transition_ids)


def compare(steps, reps):
    """Print each step's medians on both sides, and the ratios; the last line adds the steps up."""
    print("  step             ours s   Kaldi s   ratio     ours GiB   Kaldi GiB   ratio     states ours, Kaldi")
    total = []
    for step, paths in steps:
        runs = [[run("ours", step, *paths), run("kaldi", step, *paths)] for _ in range(reps)]
        sides = [[r[side] for r in runs if r[side]] for side in (0, 1)]
        if not all(sides):
            continue
        (s, t), (a, b) = ([statistics.median(r[key] for r in side) for side in sides] for key in ("seconds", "memory"))
        total.append((s, t, a, b))
        n = " ".join(f"{side[0]['states']:,}" for side in sides)
        name = f"{step} {' o '.join(path.name for path in paths)}"
        print(f"  {name:<14}{s:>9.2f}{t:>10.2f}{s / t:>8.2f}x{a:>12.3f}{b:>12.3f}{a / b:>8.2f}x     {n}")
    s, t = (sum(row[i] for row in total) for i in (0, 1))
    a, b = (max(row[i] for row in total) for i in (2, 3))
    print(f"  {'all':<14}{s:>9.2f}{t:>10.2f}{s / t:>8.2f}x{a:>12.3f}{b:>12.3f}{a / b:>8.2f}x")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a model directory; none: the 5,000-word graph")
    parser.add_argument("--lm", help="its language model, an ARPA file")
    parser.add_argument("--text", help="or sentences, for a bigram")
    parser.add_argument("--lexicon", action="append", default=[], help="sources of pronunciations")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        side, step, *paths = options.step
        if side == "graph":
            whole_graph(step, paths[0], paths[1:])
        else:
            (our_step if side == "ours" else kaldis_step)(step, paths)
        return
    with tempfile.TemporaryDirectory() as folder:
        folder, lm = Path(folder), options.lm
        if options.text:
            from asr.lm import count, estimate, write_arpa

            lm = folder / "text.arpa"
            write_arpa(estimate(count(Path(options.text).read_text(encoding="utf-8").splitlines(), 2)), lm)
        print(f"{options.model} with {options.lm or options.text}" if options.model else "5,000 words")
        if options.model and (done := run("graph", options.model, lm, *options.lexicon)):
            seconds, peak = done["seconds"], done["memory"]
            print(f"  whole graph: {seconds:.1f} s on one core, {peak:.2f} GiB, {done['states']:,} states")
        steps = of_a_model(folder, options.model, lm, options.lexicon) if options.model else of_5000_words(folder)
        compare(steps, options.reps)


if __name__ == "__main__":
    main()
