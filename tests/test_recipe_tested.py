"""Choosing among systems fold by fold, from folders as the stages leave them."""

from pathlib import Path

import pytest

from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.ladder import Sizes
from asr.recipe import ladder_bench
from asr.recipe.ending import Result, compared
from asr.recipe.grammars import Grammar
from asr.recipe.ladder_ending import compared as compared_rows
from asr.recipe.ladder_ending import scored
from asr.recipe.systems import System, rungs_above
from asr.recipe.tasks import write_json, write_pairs
from asr.recipe.tested import chosen, collect
from asr.scoring import score


def finished(folder: Path, name: str, held_out: tuple[int, int], heard: tuple[str, str]):
    """A system's test of two folds; held_out: errors of each fold's tuning, heard: its word for each fold's "one"."""
    tests, trainings, tunings = [], [], []
    for fold, (errors, word) in enumerate(zip(held_out, heard, strict=True)):
        here = folder / f"{name}{fold}"
        here.mkdir(parents=True)
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


def test_each_model_is_compared_with_the_nearest_one_below(tmp_path):
    deltas = FeaturePipeline(0, ({"kind": "given", "dim": 3}, {"kind": "cmvn", "mode": "speaker"}, {"kind": "delta"}))
    mono = System(deltas, MonoOptions(), "speaker")
    tri, lda, sat = rungs_above(mono, Sizes())
    assert (tri.below, lda.below, sat.below) == (mono, tri, lda)
    assert [s.model for s in (mono, tri, lda, sat)] == ["mono", "tri", "lda-mllt", "sat"]
    assert tri.features.steps == deltas.steps[:-1]
    larger = System(sat.features, sat.options, "speaker", "large", "sat", below=lda, tuned_as=sat)
    heard = {mono: ("two", "two"), tri: ("one", "two"), sat: ("one", "one"), larger: ("two", "one")}
    results = [
        Result(system, test, 0, finished(tmp_path / f"{test}{n}", "x", (0, 0), words))
        for test in ("official", "loso")
        for n, (system, words) in enumerate(heard.items())
    ]
    for test, found in (("official", compared(results)[:4]), ("loso", compared(results)[4:])):
        assert [(a, b, c.difference) for a, b, c in found] == [
            (f"mono {test} WER", f"tri {test} WER", pytest.approx(-50.0)),
            (f"tri {test} WER", f"sat {test} WER", pytest.approx(-50.0)),
            (f"tri {test} WER", f"sat large {test} WER", pytest.approx(0.0)),
            (f"sat {test} WER", f"sat large {test} WER", pytest.approx(50.0)),
        ]


def test_what_is_compared_with_what():
    """Models with the next one by their graphs, ways of decoding among themselves, augmentation with none."""
    grammar = Grammar("units", 2)

    def of(system, decoding="", variant=""):
        test = ladder_bench.Test(
            "dev", variant, system, "mfcc", grammar, {"a": "x y"}, {"a": "x"}, 1.0, 0.1, (), (), decoding=decoding
        )  # fmt: skip
        return scored(test, "", "per", score(test.references, test.hypotheses), 0)

    ways = [("net", "greedy"), ("net", "tlg"), ("other", "greedy"), ("other", "tlg")]
    rows = [
        of("mono"),
        of("tri"),
        *(of(s, d) for s, d in ways),
        of("net", "greedy", "plain"),
        of("net", "tlg", "plain"),
    ]
    assert [(a, b) for a, b, _ in compared_rows(rows)] == [
        ("mono dev PER", "tri dev PER"),
        ("tri dev PER", "net tlg dev PER"),
        ("net greedy dev PER", "net tlg dev PER"),
        ("net tlg dev PER", "other tlg dev PER"),
        ("other greedy dev PER", "other tlg dev PER"),
        ("net greedy dev PER", "net plain-greedy dev PER"),
        ("net plain-greedy dev PER", "net plain-tlg dev PER"),
        ("net tlg dev PER", "net plain-tlg dev PER"),
    ]
