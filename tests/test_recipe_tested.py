"""Choosing among systems fold by fold, from folders as the stages leave them."""

from pathlib import Path

from asr.recipe.tasks import write_json, write_pairs
from asr.recipe.tested import chosen, collect


def finished(folder: Path, name: str, held_out: tuple[int, int], heard: tuple[str, str]):
    """A system's test of two folds; held_out: errors of each fold's tuning, heard: its word for each fold's "one"."""
    tests, trainings, tunings = [], [], []
    for fold, (errors, word) in enumerate(zip(held_out, heard, strict=True)):
        here = folder / f"{name}{fold}"
        here.mkdir()
        write_json(
            here / "tuning.json",
            [{"acoustic_scale": 0.1, "insertion_penalty": 0.0, "errors": errors, "total": 10}],
        )
        write_json(here / "training.json", {"train_cpu_seconds": 1.0, "log": []})
        write_json(here / "test.json", {"decode_rtf": 0.5})
        write_pairs(here / "references.tsv", {f"u{fold}": "one"})
        write_pairs(here / "hypotheses.tsv", {f"u{fold}": word})
        tests.append(here)
        trainings.append(here)
        tunings.append([here])
    return collect(tests, trainings, tunings)


def test_each_fold_takes_the_system_that_was_best_on_its_held_out_data(tmp_path):
    a = finished(tmp_path, "a", held_out=(1, 9), heard=("one", "two"))
    b = finished(tmp_path, "b", held_out=(5, 3), heard=("three", "four"))
    best = chosen([a, b])
    assert best.hypotheses == {"u0": "one", "u1": "four"}  # not the best on the test: what the held-out data say
    assert best.score().errors == 1 and best.train_cpu_seconds == 2.0
    assert [t.name for t in best.tests] == ["a0", "b1"]
