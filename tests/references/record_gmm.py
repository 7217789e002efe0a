"""Records what Kaldi's GMM code (kaldi-hmm-gmm) makes of a small model, for tests/gmm to compare with.

Needs the environment of tests/benchmarks/kaldi_mono.py (kaldi-hmm-gmm==1.1.4 kaldifst==1.7.17):

    python tests/references/record_gmm.py tests/references/gmm.npz
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import kaldi_hmm_gmm as khg
import kaldi_mono
import numpy as np

N_GAUSS = (1, 3, 4, 2, 6)
DIM, N_FRAMES = 5, 600


def model(rng):
    """Mixtures; the first Gaussian of pdf 1 is far from all data, the last of pdf 2 is starved."""
    mixtures = []
    for pdf, n in enumerate(N_GAUSS):
        weights = rng.random(n) + 0.2
        means = rng.normal(size=(n, DIM)) * 2
        variances = rng.random((n, DIM)) + 0.3
        if pdf == 1:
            means[0] += 40
        if pdf == 2:
            means[-1] -= 30
        mixtures.append([x.astype(np.float32) for x in (weights / weights.sum(), means, variances)])
    return mixtures


def frames(rng, mixtures):
    """Frames and the pdf of each. Pdf 3 has 8 frames (below the least occupancy); one feature of pdf 4 is constant."""
    pdf = rng.integers(0, 5, N_FRAMES)
    pdf[pdf == 3] = 0
    pdf[:8] = 3
    x = np.stack([mixtures[p][1][-1 if p == 1 else 0] + 1.5 * rng.normal(size=DIM) for p in pdf])
    x[pdf == 4, 2] = 0.5
    return x.astype(np.float32), pdf.astype(np.int32)


def kaldi_model(mixtures):
    am = khg.AmDiagGmm()
    for weights, means, variances in mixtures:
        gmm = khg.DiagGmm(nmix=len(weights), dim=DIM)
        gmm.set_weights(weights)
        gmm.set_invvars_and_means((1.0 / variances).astype(np.float32), means)
        gmm.compute_gconsts()
        am.add_pdf(gmm)
    return am


def flat(am, name):
    """weights, means or variances of all pdfs, one after another."""
    gmms = [am.get_pdf(i) for i in range(am.num_pdfs)]
    get = {"weights": lambda g: g.weights, "means": lambda g: g.means, "variances": lambda g: 1.0 / g.inv_vars}[name]
    return np.concatenate([np.array(get(g)) for g in gmms])


def counts(am):
    return np.array([am.num_gauss_in_pdf(i) for i in range(am.num_pdfs)])


def training(rng):
    """Kaldi's Viterbi training without mixing up on planted phones: data, first alignment, what five passes give."""
    entries = [("ZERO", ["A", "B"]), ("ZERO", ["B", "A"]), ("ONE", ["B", "C"]), ("TWO", ["C", "A", "B"])]
    means = {"SIL": (0, 0), "A": (2, 0), "B": (0, 2), "C": (-2, -2)}
    table = {}
    for i in range(30):
        phones = [["A", "B"], ["B", "A"], ["B", "C"], ["C", "A", "B"]][i % 4]
        digit = [0, 0, 1, 2][i % 4]
        frames = [means[p] for p in ["SIL", *phones, "SIL"] for _ in range(rng.integers(5, 14))]
        table[f"{digit}_u{i:02}"] = (np.array(frames) + rng.normal(size=(len(frames), 2))).astype(np.float32)
    transcripts = {u: [["ZERO", "ONE", "TWO"][int(u[0])]] for u in table}
    run = kaldi_mono.Training(table, transcripts, entries, 0)
    out = {
        "training_ids": np.array(run.ids),
        "training_lengths": np.array([len(table[u]) for u in run.ids]),
        "training_features": np.concatenate([table[u] for u in run.ids]),
        "training_first": np.concatenate([run.alignments[u] for u in run.ids]).astype(np.int32),
    }
    log = []
    for iteration in range(5):
        if iteration:
            run.alignments = run.align(6.0 if iteration == 1 else 10.0)
        statistics, counts, likelihood = run.accumulate()
        log.append(likelihood)
        run.update(statistics, counts, run.model.num_gauss, 10.0 if iteration else 3.0)
    assert run.failed == 0
    out["training_log"] = np.array(log)
    out["training_last"] = np.concatenate([run.alignments[u] for u in run.ids]).astype(np.int32)
    out["training_means"] = flat(run.model, "means")
    out["training_variances"] = flat(run.model, "variances")
    out["training_log_probs"] = np.array(run.transitions.log_probs)
    return out


def main(path):
    rng = np.random.default_rng(20261123)
    mixtures = model(rng)
    features, pdf_of_frame = frames(rng, mixtures)
    out = {"features": features, "pdf_of_frame": pdf_of_frame, "counts": np.array(N_GAUSS)}
    am = kaldi_model(mixtures)
    for k, name in enumerate(("weights", "means", "variances")):
        out[name] = np.concatenate([m[k] for m in mixtures])
    out["log_likelihoods"] = np.array([[am.log_likelihood(p, x) for p in range(am.num_pdfs)] for x in features])
    accs = khg.AccumAmDiagGmm()
    accs.init(model=am, flags=khg.GmmUpdateFlags.kGmmAll)
    total = sum(accs.accumulate_for_gmm(am, x, int(p), 1.0) for x, p in zip(features, pdf_of_frame, strict=True))
    out["total_log_likelihood"] = np.array(total)
    parts = [accs.get_acc(i) for i in range(accs.num_accs)]
    out["occupancy"] = np.concatenate([np.array(a.occupancy) for a in parts])
    out["first"] = np.concatenate([np.array(a.mean_accumulator) for a in parts])
    out["second"] = np.concatenate([np.array(a.variance_accumulator) for a in parts])
    khg.mle_am_diag_gmm_update(
        config=khg.MleDiagGmmOptions(), amdiag_gmm_acc=accs, flags=khg.str_to_gmm_flags("mvwt"), am_gmm=am
    )
    out["updated_counts"] = counts(am)
    for name in ("weights", "means", "variances"):
        out["updated_" + name] = flat(am, name)
    occupancies = np.array([a.occupancy.sum() for a in parts], np.float32)
    for target in (20, 40, 100):
        split = khg.AmDiagGmm()
        split.copy_from_am_diag_gmm(am)
        split.split_by_count(
            state_occs=occupancies, target_components=target, perturb_factor=0.01, power=0.25, min_count=20.0
        )
        out[f"split{target}_counts"] = counts(split)
        out[f"split{target}_weights"] = flat(split, "weights")
        out[f"split{target}_means"] = flat(split, "means")
    np.savez_compressed(path, **out, **training(np.random.default_rng(1)))


if __name__ == "__main__":
    main(sys.argv[1])
