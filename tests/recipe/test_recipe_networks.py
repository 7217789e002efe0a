"""The step that trains a network: where it is."""

from asr.recipe.networks import epoch_in_words


def test_progress_is_told_in_networks_and_epochs():
    assert [epoch_in_words(5, 1, part) for part in (0.0, 0.39, 0.4, 1.0)] == [f"epoch {n} of 5" for n in (1, 2, 3, 5)]
    assert epoch_in_words(5, 4, 0.3) == "network 2 of 4, epoch 2 of 5"
    assert epoch_in_words(5, 4, 1.0) == "network 4 of 4, epoch 5 of 5"
