"""The stage that trains a network: what it could not use is told, and where it is."""

import json

import pytest

from asr.nn.options import TrainingOptions
from asr.recipe.networks import CtcPlan, HybridPlan, JointPlan, LfmmiPlan, make_network, name_epochs
from asr.recipe.stages import Progress

FILTERS = {"kind": "fbank"}
PLANS = {
    "dnn-hmm": HybridPlan(),
    "tdnn-lfmmi": LfmmiPlan(),
    "rnn-ctc": CtcPlan(front_end=FILTERS),
    "ctc-attention": JointPlan(front_end=FILTERS),
}


@pytest.mark.parametrize("name", PLANS)
def test_utterances_that_a_network_was_not_trained_on_are_counted_with_an_example(tmp_path, monkeypatch, caplog, name):
    def trained(folder, job, gpus, progress):
        failures = {"u07": "the recording is too short for its transcript", "u09": "it has no frames"}
        (folder / "training.json").write_text(json.dumps({"failures": failures, "log": []}))

    monkeypatch.setattr("asr.recipe.networks.run_job", trained)
    folder = tmp_path / name
    folder.mkdir()
    ids = [f"u{i:02}" for i in range(10)]
    make_network(folder, tmp_path, ids[:8], ids[8:], tmp_path, PLANS[name], 0, 1, lambda done, total: None)
    assert [r.getMessage() for r in caplog.records] == [
        f"{name}: 2 of 10 utterances were of no use, such as u07: the recording is too short for its transcript"
    ]


def test_progress_is_told_in_networks_and_epochs():
    training = TrainingOptions(max_epochs=5)
    one, several = Progress("ctc"), Progress("dnn-hmm")
    name_epochs(one, CtcPlan(training=training, front_end=FILTERS))
    name_epochs(several, HybridPlan(training=training, n_networks=2, realignments=1))
    assert [one.place(part) for part in (0.0, 0.39, 0.4, 1.0)] == [f"epoch {n} of 5" for n in (1, 2, 3, 5)]
    assert several.place(0.3) == "network 2 of 4, epoch 2 of 5" and several.place(1.0) == "network 4 of 4, epoch 5 of 5"
