"""Records the archives that Kaldi's C++ writes of small matrices, and what it reads back, for test_archive.py.

Needs `pip install kaldi-native-io==1.23.0 numpy`, in any environment:

    python tests/references/record_archives.py tests/references/archives.npz
"""

import sys
import tempfile
from pathlib import Path

import kaldi_native_io as kaldi
import numpy as np

METHODS = {"CM": 2, "CM2": 3, "CM3": 5}  # Kaldi's numbers of its ways to compress


def matrices():
    """Matrices that float32 holds exactly; in the second, values that look like whole numbers come first."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(12, 3)).astype(np.float32)
    second = np.array([[0, 1.5], [-2, 1e-5], [3e10, 7]], dtype=np.float32)
    return {"first": first, "sécond": second}


def main(target):
    data = matrices()
    arrays = {f"matrix_{name}": matrix for name, matrix in data.items()}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("float", "text", "double", *METHODS):
            path = Path(folder) / f"{kind}.ark"
            writer = {"double": kaldi.DoubleMatrixWriter, "float": kaldi.FloatMatrixWriter}.get(kind)
            writer = writer or (kaldi.CompressedMatrixWriter if kind in METHODS else kaldi.FloatMatrixWriter)
            with writer(f"ark,{'t,' if kind == 'text' else ''}scp:{path},{path}.scp") as out:
                for name, matrix in data.items():
                    values = matrix.astype(np.float64) if kind == "double" else matrix
                    how = (kaldi.CompressionMethod(METHODS[kind]),) if kind in METHODS else ()
                    out.write(name, values, *how)
            arrays[f"{kind}_bytes"] = np.frombuffer(path.read_bytes(), dtype=np.uint8)
            arrays[f"{kind}_scp"] = np.array(Path(f"{path}.scp").read_text(encoding="utf-8").replace(f"{folder}/", ""))
            with kaldi.SequentialFloatMatrixReader(f"ark:{path}") as found:
                arrays |= {f"{kind}_{name}": matrix.copy() for name, matrix in found}
    np.savez(target, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
