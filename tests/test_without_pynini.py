"""Where pynini is not installed, all is trained, built and recognised without it."""

import subprocess
import sys

SCRIPT = """
import sys
for name in ("pynini", "pywrapfst", "_pynini", "_pywrapfst"):
    sys.modules[name] = None          # any import of it now fails

from pathlib import Path
from asr.corpus import Corpus
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.lang.lexicon import Lexicon
from asr.audio.synth import synthesise_digits
from asr.model import with_graph
from asr.train import Data, decode_all, train_monophone
import asr

out = Path(sys.argv[1])
lexicon = asr.load("digits").lexicon
folder = synthesise_digits(out / "speech", n_train_voices=4, n_test_voices=2, train_utterances=20, test_utterances=8)
pipeline = FeaturePipeline(8000, ({"kind": "mfcc", "options": {"use_energy": False}},
                                  {"kind": "cmvn", "mode": "causal"}, {"kind": "delta"}))
data = {}
for part in ("train", "test"):
    data[part] = Data.of(Corpus.from_folder(folder / part), pipeline)
    assert not data[part].problems
model, _ = train_monophone(data["train"], lexicon, pipeline, MonoOptions(num_iters=12, total_gaussians=200))
model = with_graph(model)
model.save(out / "model")
result = decode_all(asr.load(out / "model"), data["test"]).score(data["test"].references)
print("WER", result.rate)
assert result.total > 30 and result.rate < 50, result
assert "pynini" not in {k for k, v in sys.modules.items() if v is not None}
"""


LADDER = """
from pathlib import Path
import asr
from asr.cli import app
from asr.audio.synth import synthesise_digits

out = Path(sys.argv[1])
speech = synthesise_digits(out / "speech", n_train_voices=3, n_test_voices=1, train_utterances=24, test_utterances=2)
app(["train", str(speech / "train"), str(out / "mine"), "--jobs", "1"], standalone_mode=False)
model, path = asr.load(out / "mine" / "model"), next(speech.glob("test/**/*.wav"))
assert model.graph is not None and model.adaptation.adapts
assert model.transcribe(path).text
text = path.with_suffix(".txt").read_text()
assert model.align(path, text).text == " ".join(text.split())
print("aligned")
assert "pynini" not in {k for k, v in sys.modules.items() if v is not None}
"""


def test_features_training_decoding_and_scoring(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_recogniser_of_your_own_is_trained_transcribes_and_aligns(tmp_path):
    """The whole ladder, in a process that cannot import pynini."""
    script = SCRIPT.partition("from pathlib")[0] + LADDER
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "graph: done" in done.stderr and "sat: done" in done.stderr and "aligned" in done.stdout
    assert "WER, %" in done.stdout
