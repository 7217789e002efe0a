"""Kaldi's monophone recipe (steps/train_mono.sh) on the Free Spoken Digit Dataset, through kaldi-hmm-gmm.

Needs an environment of its own: kaldi-hmm-gmm==1.1.4 kaldifst==1.7.17 kaldi-native-fbank (1.1.4 does not load with
kaldifst 1.8). Prints one JSON object; bench_training.py runs it and compares.
kaldi_mono_given.py trains on other features, words and transcripts with the classes of this file.

    python kaldi_mono.py RECORDINGS --dump features.npz
    python kaldi_mono.py RECORDINGS --features features.npz --seed 3
"""

import argparse
import json
import os
import resource
import sys
import time
import wave
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import kaldi_hmm_gmm as khg  # before kaldifst: its libraries must be found first
import kaldi_native_fbank as knf
import kaldifst
import numpy as np

LEXICON = """ZERO Z IH R OW|ZERO Z IY R OW|ONE W AH N|TWO T UW|THREE TH R IY|FOUR F AO R|FIVE F AY V|SIX S IH K S|
SEVEN S EH V AH N|EIGHT EY T|NINE N AY N"""
DIGITS = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]
REALIGN = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38}
NUM_ITERS, TOTAL_GAUSSIANS, MAX_ITER_INC = 40, 1000, 30


def cpu_seconds():
    """CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def lexicon():
    """(word, phones) pairs."""
    lines = [line.split() for line in LEXICON.replace("\n", "").split("|")]
    return [(line[0], line[1:]) for line in lines]


def deltas(x):
    """Features with first and second differences over windows of 5 and 9 frames, edges repeated."""
    slope = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    columns = [x]
    for window in (slope, np.convolve(slope, slope)):
        half = len(window) // 2
        padded = np.concatenate([np.repeat(x[:1], half, 0), x, np.repeat(x[-1:], half, 0)])
        columns.append(sum(w * padded[k : k + len(x)] for k, w in enumerate(window)))
    return np.concatenate(columns, axis=1)


def features(folder):
    """The training split (indices 5 and above): MFCC, mean normalised by speaker, deltas; id -> (n_frames, 39)."""
    options = knf.MfccOptions()
    options.frame_opts.samp_freq = 8000
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 23
    options.num_ceps = 13
    options.use_energy = False
    raw = {}
    for path in sorted(Path(folder).glob("*.wav")):
        if int(path.stem.split("_")[2]) < 5:
            continue
        with wave.open(str(path)) as stream:
            samples = np.frombuffer(stream.readframes(stream.getnframes()), "<i2").astype(np.float32)
        mfcc = knf.OnlineMfcc(options)
        mfcc.accept_waveform(8000, samples.tolist())
        mfcc.input_finished()
        raw[path.stem] = np.stack([mfcc.get_frame(i) for i in range(mfcc.num_frames_ready)]).astype(np.float64)
    by_speaker = {}
    for utterance, x in raw.items():
        by_speaker.setdefault(utterance.split("_")[1], []).append(x)
    means = {speaker: np.concatenate(x).mean(axis=0) for speaker, x in by_speaker.items()}
    return {u: deltas(x - means[u.split("_")[1]]).astype(np.float32) for u, x in raw.items()}


class Language:
    """Phones, words, topology and the lexicon transducer, as Kaldi's prepare_lang.sh makes them.

    entries: (word, phones) pairs.
    """

    def __init__(self, entries):
        self.phones = ["<eps>", "SIL", *sorted({p for _, phones in entries for p in phones})]
        words = ["<eps>", *dict.fromkeys(word for word, _ in entries)]
        self.word_id = {word: number for number, word in enumerate(words)}
        phone_id = {phone: number for number, phone in enumerate(self.phones)}
        self.entries = [(self.word_id[w], [phone_id[p] for p in phones]) for w, phones in entries]
        self.topology = khg.HmmTopology()
        self.topology.read(self.topology_text(5, 3))

    def topology_text(self, n_silence, n_speech):
        """Three states left to right for speech, five for silence with free inner ones."""
        phones = " ".join(str(i) for i in range(2, len(self.phones)))
        text = f"<Topology> <TopologyEntry> <ForPhones> {phones} </ForPhones> "
        for i in range(n_speech):
            text += f"<State> {i} <PdfClass> {i} <Transition> {i} 0.75 <Transition> {i + 1} 0.25 </State> "
        text += f"<State> {n_speech} </State> </TopologyEntry> <TopologyEntry> <ForPhones> 1 </ForPhones> "
        last, p = n_silence - 1, 1.0 / (n_silence - 1)
        for i in range(last):
            goes_to = range(last) if i == 0 else range(1, n_silence)
            text += f"<State> {i} <PdfClass> {i} " + "".join(f"<Transition> {k} {p} " for k in goes_to) + "</State> "
        text += f"<State> {last} <PdfClass> {last} <Transition> {last} 0.75 <Transition> {n_silence} 0.25 </State> "
        return text + f"<State> {n_silence} </State> </TopologyEntry> </Topology> "

    def transducer(self):
        """L with optional silence (probability one half), without disambiguation symbols."""
        fst = kaldifst.StdVectorFst()
        start, loop, silence = (fst.add_state() for _ in range(3))
        fst.start = start
        fst.set_final(loop, 0.0)
        half = float(np.log(2.0))

        def arc(source, ilabel, olabel, weight, target):
            fst.add_arc(source, kaldifst.StdArc(ilabel, olabel, weight, target))

        arc(start, 0, 0, half, loop)
        arc(start, 0, 0, half, silence)
        arc(silence, 1, 0, 0.0, loop)
        for word, phones in self.entries:
            here, label = loop, word
            for phone in phones[:-1]:
                following = fst.add_state()
                arc(here, phone, label, 0.0, following)
                here, label = following, 0
            arc(here, phones[-1], label, half, loop)
            arc(here, phones[-1], label, half, silence)
        kaldifst.arcsort(fst, sort_type="olabel")
        return fst


def utterance_seed(utterance, seed):
    """Kaldi's seed of an utterance's equal alignment (StringHasher), and others; int32.

    One seed for all utterances would have all of them begin with silence, or none: their paths would be alike.
    """
    value = 0
    for character in utterance.encode():
        value = (value * 7853 + character) % 2**64
    value = (value + seed) % 2**32
    return value - 2**32 if value >= 2**31 else value


def flat_start(table, tree):
    """One Gaussian a pdf with the mean and variance of the first ten utterances (gmm-init-mono)."""
    x = np.concatenate([table[u] for u in sorted(table)[:10]]).astype(np.float64)
    gmm = khg.DiagGmm(nmix=1, dim=x.shape[1])
    gmm.set_weights(np.ones(1, np.float32))
    gmm.set_means(x.mean(0, keepdims=True).astype(np.float32))
    gmm.set_invvars((1.0 / x.var(0, keepdims=True)).astype(np.float32))
    gmm.compute_gconsts()
    model = khg.AmDiagGmm()
    for _ in range(tree.num_pdfs):
        model.add_pdf(gmm)
    return model


class Training:
    """The state of train_mono.sh between its programs.

    table: utterance id -> float32 (n_frames, dim). transcripts: utterance id -> words. entries: of the lexicon.
    """

    def __init__(self, table, transcripts, entries, seed):
        self.table, self.ids, self.language = table, sorted(table), Language(entries)
        self.transcripts = transcripts
        topology = self.language.topology
        self.tree = khg.monophone_context_dependency(
            phones=topology.phones, phone2num_pdf_classes=topology.get_phone_to_num_pdf_classes()
        )
        self.model = flat_start(table, self.tree)
        self.transitions = khg.TransitionModel(ctx_dep=self.tree, hmm_topo=topology)
        self.cpu = {"graphs": 0.0, "align": 0.0, "accumulate": 0.0, "update": 0.0}
        self.graphs = self.timed("graphs", self.compile_graphs)
        self.alignments = self.timed("align", self.equal_alignments, seed)
        ids = range(1, self.transitions.num_transition_ids + 1)
        self.pdf_of_id = np.array([0, *(self.transitions.transition_id_to_pdf(t) for t in ids)])
        self.failed = self.retried = 0

    def timed(self, name, function, *arguments):
        """Call, adding the CPU time to a step's."""
        started = cpu_seconds()
        result = function(*arguments)
        self.cpu[name] += cpu_seconds() - started
        return result

    def compile_graphs(self):
        options = khg.TrainingGraphCompilerOptions()
        options.transition_scale = options.self_loop_scale = 0.0  # as compile-train-graphs; align adds them
        compiler = khg.TrainingGraphCompiler(
            trans_model=self.transitions, ctx_dep=self.tree, lex_fst=self.language.transducer(), disambig_syms=[],
            opts=options,
        )  # fmt: skip
        word_id = self.language.word_id
        return {u: compiler.compile_graph_from_text([word_id[w] for w in self.transcripts[u]]) for u in self.ids}

    def equal_alignments(self, seed):
        found = {}
        for u in self.ids:
            ok, path = kaldifst.equal_align(
                ifst=self.graphs[u], length=len(self.table[u]), rand_seed=utterance_seed(u, seed), num_retries=10
            )
            if ok:
                found[u] = kaldifst.get_linear_symbol_sequence(path)[1]
        return found

    def align(self, beam):
        config = khg.AlignConfig(beam=beam, retry_beam=40.0, careful=False)
        found, self.failed, self.retried = {}, 0, 0
        for u in self.ids:
            fst = self.graphs[u].copy()
            khg.add_transition_probs(trans_model=self.transitions, transition_scale=1.0, self_loop_scale=0.1, fst=fst)
            decodable = khg.DecodableAmDiagGmmScaled(am=self.model, tm=self.transitions, feats=self.table[u], scale=0.1)
            done, errors, retried, _, _, ids, _ = khg.align_utterance_wrapper(
                config=config, utt=u, acoustic_scale=0.1, fst=fst, decodable=decodable, num_done=0, num_error=0,
                num_retried=0, tot_like=0.0, frame_count=0,
            )  # fmt: skip
            self.failed += errors
            self.retried += retried
            if done:
                found[u] = ids
        return found

    def accumulate(self):
        statistics = khg.AccumAmDiagGmm()
        statistics.init(model=self.model, flags=khg.GmmUpdateFlags.kGmmAll)
        counts = np.zeros_like(self.transitions.init_stats())
        likelihood, n_frames = 0.0, 0
        add = statistics.accumulate_for_gmm
        for u, ids in self.alignments.items():
            counts += np.bincount(ids, minlength=len(counts))
            for x, pdf in zip(self.table[u], self.pdf_of_id[ids], strict=True):
                likelihood += add(self.model, x, pdf, 1.0)
            n_frames += len(ids)
        return statistics, counts, likelihood / n_frames

    def update(self, statistics, counts, target, min_occupancy):
        options = khg.MleDiagGmmOptions()
        options.min_gaussian_occupancy = min_occupancy
        self.transitions.mle_update(counts, khg.MleTransitionUpdateConfig())
        khg.mle_am_diag_gmm_update(
            config=options, amdiag_gmm_acc=statistics, flags=khg.str_to_gmm_flags("mvwt"), am_gmm=self.model
        )
        occupancies = [statistics.get_acc(i).occupancy.sum() for i in range(statistics.num_accs)]
        self.model.split_by_count(
            state_occs=np.array(occupancies, np.float32), target_components=target, perturb_factor=0.01, power=0.25,
            min_count=20.0,
        )  # fmt: skip


def train(table, transcripts, entries, seed, tell=None):
    """All passes; the model, and a JSON object with the log-likelihoods a frame, CPU seconds and sizes.

    tell: called with a line about each pass.
    """
    wall, started = time.time(), cpu_seconds()
    run = Training(table, transcripts, entries, seed)
    target = run.model.num_gauss
    increment = (TOTAL_GAUSSIANS - target) // MAX_ITER_INC
    log = []
    for iteration in range(NUM_ITERS):
        if iteration in REALIGN:
            run.alignments = run.timed("align", run.align, 6.0 if iteration == 1 else 10.0)
        n_gaussians = run.model.num_gauss
        statistics, counts, likelihood = run.timed("accumulate", run.accumulate)
        log.append(likelihood)
        if tell:
            tell(
                f"pass {iteration}: {likelihood:.4f} nats a frame over {counts.sum():.0f} frames, {n_gaussians} "
                f"Gaussians, {run.failed} failed, {run.retried} retried, {cpu_seconds() - started:.0f} s\n"
            )
        run.timed("update", run.update, statistics, counts, target, 10.0 if iteration else 3.0)
        if 1 <= iteration <= MAX_ITER_INC:
            target += increment
    return run, {
        "log_likelihood": log[-1],
        "log": log,
        "cpu_seconds": cpu_seconds() - started,
        "cpu_parts": run.cpu,
        "wall_seconds": time.time() - wall,
        "n_frames": sum(map(len, table.values())),
        "n_gaussians": run.model.num_gauss,
        "n_failed": run.failed,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, help="the folder of wav files")
    parser.add_argument("--dump", type=Path, help="write the features to this npz file and stop")
    parser.add_argument("--features", type=Path, help="train on the features in this npz file")
    parser.add_argument("--seed", type=int, default=0, help="0 is Kaldi's own")
    arguments = parser.parse_args()
    if arguments.features:
        with np.load(arguments.features) as stored:
            table = {u: stored[u] for u in stored.files}
    else:
        table = features(arguments.recordings)
    if arguments.dump:
        np.savez(arguments.dump, **table)
        return
    transcripts = {u: [DIGITS[int(u.split("_")[0])]] for u in table}
    _, told = train(table, transcripts, lexicon(), arguments.seed)
    json.dump(told, sys.stdout)
    print()


if __name__ == "__main__":
    main()
