"""Records what Kaldi's code (kaldi-hmm-gmm) says of Gaussians that a decision tree compares, for tests/hmm.

Its binding has no build-tree: what is recorded is the likelihood of clusters, of joining and of taking apart.
Needs the environment of tests/benchmarks/kaldi_mono.py (kaldi-hmm-gmm==1.1.4 kaldifst==1.7.17):

    python tests/references/record_tree.py tests/references/tree.npz
"""

import sys

import kaldi_hmm_gmm as khg  # before kaldifst: its libraries must be found first
import numpy as np

N_CLUSTERS, DIM, VARIANCE_FLOOR = 12, 5, 0.01


def main(path):
    rng = np.random.default_rng(4)
    clusters, sums = [], []
    for index in range(N_CLUSTERS):
        n_frames = [0, 1, 2, 40][index] if index < 4 else int(rng.integers(5, 200))
        frames = (rng.normal(size=(n_frames, DIM)) * rng.uniform(0.05, 3, DIM) + rng.normal(size=DIM) * 4).astype("f4")
        if index == 5:
            frames[:, 2] = 1.5  # a variance of zero is floored
        cluster = khg.GaussClusterable(dim=DIM, var_floor=VARIANCE_FLOOR)
        for frame in frames:
            cluster.add_stats(vec=frame, weight=1.0)
        clusters.append(cluster)
        frames = frames.astype(np.float64)
        sums.append(np.concatenate([[n_frames], frames.sum(axis=0), (frames**2).sum(axis=0)]))
    out = {"sums": np.array(sums), "objf": np.array([c.objf() for c in clusters])}
    out["distance"] = np.array([[a.distance(b) for b in clusters] for a in clusters])
    total = clusters[0].copy()
    for cluster in clusters[1:]:
        total.add(cluster)
    out["objf_of_all"] = np.array(total.objf())
    out["objf_minus"] = np.array([total.objf_minus(c) for c in clusters])
    np.savez_compressed(path, **out)


if __name__ == "__main__":
    main(sys.argv[1])
