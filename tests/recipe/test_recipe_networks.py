"""The stage that trains a network: where it is."""

from asr.nn.options import TrainingOptions
from asr.recipe.networks import CtcPlan, HybridPlan, name_epochs
from asr.recipe.stages import Progress

FILTERS = {"kind": "fbank"}


def test_progress_is_told_in_networks_and_epochs():
    training = TrainingOptions(max_epochs=5)
    one, several = Progress("ctc"), Progress("dnn-hmm")
    name_epochs(one, CtcPlan(training=training, front_end=FILTERS))
    name_epochs(several, HybridPlan(training=training, n_networks=2, realignments=1))
    assert [one.place(part) for part in (0.0, 0.39, 0.4, 1.0)] == [f"epoch {n} of 5" for n in (1, 2, 3, 5)]
    assert several.place(0.3) == "network 2 of 4, epoch 2 of 5" and several.place(1.0) == "network 4 of 4, epoch 5 of 5"
