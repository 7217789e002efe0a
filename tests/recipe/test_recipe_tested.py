"""Choosing among systems fold by fold, from folders as the stages leave them."""

from pathlib import Path

import pytest
from asr.recipe.ctc_tests import JointGrid, PrefixGrid
from asr.recipe.ending import compared
from asr.recipe.ladder_ending import compared as compared_rows
from asr.recipe.ladder_ending import scored
from asr.recipe.rungs import best_setting
from asr.recipe.tasks import write_json, write_pairs
from asr.recipe.tested import Result, chosen, collect

from asr.errors import ConfigError
from asr.features.pipeline import FeaturePipeline
from asr.gmm.mono import MonoOptions
from asr.options import from_table
from asr.recipe import ladder_bench
from asr.recipe.grammars import Grammar
from asr.recipe.networks import CtcPlan, JointPlan
from asr.recipe.systems import System, rungs_above
from asr.scoring import score
from asr.train.ladder import Sizes


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


def test_what_is_best_for_several_folders_together(tmp_path):
    tables = {"a": [(0, 5), (1, 2), (2, 3)], "b": [(0, 1), (1, 9), (2, 3)], "c": [(1, 0), (2, 4)]}
    for name, points in tables.items():
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "tuning.json", [{"bonus": b, "errors": e, "total": 10} for b, e in points])
    best = best_setting([tmp_path / name for name in "ab"])
    assert best == {"bonus": 0, "errors": 6, "total": 20}  # of two that are equal the first
    assert best_setting([tmp_path / name for name in "abc"]) == {"bonus": 2, "errors": 10, "total": 30}  # tried in all


FRONT_END = {"front_end": {"kind": "fbank"}}


@pytest.mark.parametrize(
    ("kind", "table", "message"),
    [
        (CtcPlan, {}, "needs a front_end"),
        (CtcPlan, {**FRONT_END, "prior_scale": 7.0}, "prior_scale=7.0"),
        (CtcPlan, {**FRONT_END, "plain": {"epochs": 3}}, "plain.epochs is not a setting"),
        (CtcPlan, {**FRONT_END, "plain": {"max_epochs": 2.5}}, "plain.max_epochs is 2.5"),
        (JointPlan, {**FRONT_END, "decoder": {"widht": 3}}, "decoder.widht is not a setting; did you mean 'width'"),
        (JointPlan, {**FRONT_END, "ctc_weight": 1.0}, "ctc_weight=1.0"),
        (PrefixGrid, {"lm_weights": []}, "no lm_weight is tried"),
        (PrefixGrid, {"beam_size": 0}, "beam_size=0"),
        (JointGrid, {"attention_weights": []}, "no attention_weight is tried"),
        (JointGrid, {"beam_size": 0}, "beam_size=0"),
    ],
)
def test_wrong_settings_of_ctc_are_told_before_anything_is_trained(kind, table, message):
    with pytest.raises(ConfigError, match=message.replace("?", "[?]")):
        from_table(kind, table)


def test_masks_may_stay_without_augmentation():
    """What `plain` says wins over what it stands for."""
    table = {**FRONT_END, "training": {"max_epochs": 9, "spec_augment": {"time_masks": 2}}, "speeds": [0.9, 1.0]}
    plain = from_table(CtcPlan, {**table, "plain": {"max_epochs": 4}}).as_plain()
    assert (plain.speeds, plain.training.max_epochs, plain.training.spec_augment.time_masks) == ((1.0,), 4, 0)
    kept = from_table(CtcPlan, {**table, "plain": {"spec_augment": {"frequency_masks": 1}}}).as_plain()
    assert kept.training.spec_augment.frequency_masks == 1 and kept.training.max_epochs == 9


def test_a_network_begins_as_one_of_ctc_alone(tmp_path):
    plans = {"ctc": from_table(CtcPlan, FRONT_END), "joint": from_table(JointPlan, {**FRONT_END, "start": "ctc"})}
    for start in ("sat", "joint", "nothing"):
        wrong = {**plans, "joint": from_table(JointPlan, {**FRONT_END, "start": start})}
        bench = ladder_bench.Bench(None, None, tmp_path, tmp_path, None, None, 0, 1, networks=wrong)
        with pytest.raises(ConfigError, match=f"joint: start is '{start}'; it must be a system trained with CTC alone"):
            bench._start("joint")
    assert ladder_bench.Bench(None, None, tmp_path, tmp_path, None, None, 0, 1, networks=plans)._start("joint") == "ctc"
