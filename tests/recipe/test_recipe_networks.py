"""The step that trains a network: where it is."""

from asr.recipe.networks import name_epochs
from asr.recipe.progress import Progress


def test_progress_is_told_in_networks_and_epochs():
    one, several = Progress("ctc"), Progress("dnn-hmm")
    name_epochs(one, 5)
    name_epochs(several, 5, 4)
    assert [one.place(part) for part in (0.0, 0.39, 0.4, 1.0)] == [f"epoch {n} of 5" for n in (1, 2, 3, 5)]
    assert several.place(0.3) == "network 2 of 4, epoch 2 of 5" and several.place(1.0) == "network 4 of 4, epoch 5 of 5"
    name_epochs(print, 5)  # which is no such progress, and stays as it is
