"""The bench without data: what is chosen, compared and refused, from steps of planted numbers."""

from dataclasses import replace
from pathlib import Path

import pytest

from asr.corpus import Corpus, Utterance
from asr.errors import ConfigError
from asr.options import from_table
from asr.recipe.bench import Bench, Fold, FoldResult, Result, System, compared, folds_of, in_order, with_those_below
from asr.recipe.networks import CtcTable, HybridTable, JointTable, LfmmiTable
from asr.recipe.run import Kept, Run
from asr.recipe.searches import GraphSearch, GreedySearch, JointSearch, Point, PrefixSearch, Recognised
from asr.recipe.systems import Part
from asr.train.stage import TrainedStage
from asr.train.tuning import add_tuning, best_point


def system(model="mono", variant="", **more) -> System:
    return System(model, "mfcc", train_nothing, {}, None, variant, **more)


def train_nothing() -> TrainedStage:
    raise AssertionError


def result(of: System, words: str, test="official", **more) -> Result:
    """A system's test of one utterance, in which "one" was said."""
    return Result(of, test, 0, (), {"u": "one"}, {"u": words}, 1.0, 0.1, **more)


class NoModel:
    def save(self, folder: Path) -> None:
        folder.mkdir()


def some_test(word: str, fold: int) -> Recognised:
    return Recognised(NoModel(), {f"u{fold}": "one"}, {f"u{fold}": word}, 0.5, {})


@pytest.fixture
def several(tmp_path, monkeypatch):
    """A bench, and a function that makes a system's test of two folds."""
    run = Run(tmp_path / "out")
    bench = Bench(run, Corpus([Utterance("u0", "s", Path("u0.wav"), "one")]))

    def finished(name: str, held_out: tuple[int, int], words: tuple[str, str]) -> Result:
        tested = [run.kept(f"test-{name}{fold}", some_test, word, fold) for fold, word in enumerate(words)]
        trained = [run.kept(f"train-{name}{n}", train_nothing) for n in range(2)]
        tunings = [[Point({"acoustic_scale": 0.1}, errors, 10)] for errors in held_out]
        folds = tuple(map(FoldResult, trained, tunings, tested))
        return Result(system(variant=name), "loso", 0, folds, {}, {}, 0.0, 0.0)

    monkeypatch.setattr(Kept, "cpu_seconds", 1.0)
    return bench, finished


def test_each_fold_takes_the_system_that_was_best_on_its_held_out_data(several):
    bench, finished = several
    a = finished("a", held_out=(1, 9), words=("one", "two"))
    b = finished("b", held_out=(5, 3), words=("three", "four"))
    best = bench.chosen([a, b], "chosen")
    assert best.hypotheses == {"u0": "one", "u1": "four"}  # not the best on the test: what the held-out data say
    assert best.score.errors == 1 and best.train_cpu_seconds == 2.0 and best.decode_rtf == 0.5
    assert [fold.recognised.name for fold in best.folds] == ["test-a0", "test-b1"] and best.row.variant == "chosen"


def test_each_model_is_compared_with_the_nearest_one_below():
    mono = system()
    tri = system("tri", below=mono)
    lda = system("lda-mllt", below=tri)
    sat = system("sat", below=lda)
    larger = system("sat", "large", below=lda, tuned_as=sat)
    assert [s.model for s in larger.chain()] == ["mono", "tri", "lda-mllt", "sat"]
    results = [
        result(of, words, test)
        for test in ("official", "loso")
        for of, words in {mono: "two", tri: "one", sat: "one", larger: "two"}.items()
    ]
    found = compared(with_those_below(results))
    for test, pairs in (("official", found[:4]), ("loso", found[4:])):
        assert [(a, b, c.difference) for a, b, c in pairs] == [
            (f"mono {test} WER", f"tri {test} WER", pytest.approx(-100.0)),
            (f"tri {test} WER", f"sat {test} WER", pytest.approx(0.0)),
            (f"tri {test} WER", f"sat large {test} WER", pytest.approx(100.0)),
            (f"sat {test} WER", f"sat large {test} WER", pytest.approx(100.0)),
        ]


def test_what_is_compared_with_what():
    """Models with the next one by their graphs, ways of decoding among themselves, augmentation with none."""

    def of(model, decoding="", variant=""):
        return replace(result(system(model, variant, decoding=decoding), "one", "dev"), metric="per")

    ways = [("net", "greedy"), ("net", "tlg"), ("other", "greedy"), ("other", "tlg")]
    plain = [of("net", "greedy", "plain"), of("net", "tlg", "plain")]
    rows = [of("mono"), of("tri"), *(of(s, d) for s, d in ways), *plain]
    assert [(a, b) for a, b, _ in compared(in_order(rows))] == [
        ("mono dev PER", "tri dev PER"),
        ("tri dev PER", "net tlg dev PER"),
        ("net greedy dev PER", "net tlg dev PER"),
        ("net tlg dev PER", "other tlg dev PER"),
        ("other greedy dev PER", "other tlg dev PER"),
        ("net greedy dev PER", "net plain-greedy dev PER"),
        ("net plain-greedy dev PER", "net plain-tlg dev PER"),
        ("net tlg dev PER", "net plain-tlg dev PER"),
    ]
    words = [
        replace(result(system("sat"), "one", "dev", kind=kind), metric=m)
        for kind in ("closed", "open")
        for m in ("wer", "cer")
    ]
    assert [(a, b) for a, b, _ in compared(in_order(words))] == [
        ("sat closed dev WER", "sat open dev WER"),
        ("sat closed dev CER", "sat open dev CER"),
    ]


def test_one_rule_chooses_settings_whatever_their_numbers_are():
    """The middle of what is as good as the best, of one number, two or three."""
    errors = {0.1: 9, 0.2: 5, 0.4: 4, 0.8: 5, 1.6: 20}
    one = [Point({"lm_weight": w}, n, 100) for w, n in errors.items()]
    assert best_point(one).setting == {"lm_weight": 0.4}
    flat = [Point({"a": a, "b": b, "c": c}, 3, 9) for a in (1, 2, 3) for b in (1, 2, 3) for c in (7, 8, 9)]
    assert best_point(flat).setting == {"a": 2, "b": 2, "c": 8}
    table = [Point({"bonus": b}, n, 10) for b, n in ((0, 5), (1, 2), (2, 3))]
    other = [Point({"bonus": b}, n, 10) for b, n in ((0, 1), (1, 99), (2, 30))]
    assert best_point(add_tuning([table, other])) == Point({"bonus": 0}, 6, 20)


def test_every_setting_is_tried():
    search = JointSearch((0.3, 0.5), (0.1,), (0.0, 1.0))
    assert search.settings() == [
        {"attention_weight": a, "lm_weight": 0.1, "insertion_bonus": b} for a in (0.3, 0.5) for b in (0.0, 1.0)
    ]
    assert GreedySearch().settings() == [{}] and len(GraphSearch().settings()) == 56


def test_every_nth_utterance_is_held_out_in_turn():
    (first, held), (second, others) = folds_of(("a", "b", "c", "d", "e"), 2)
    assert (first.train, held, second.train, others) == (("b", "d"), ("a", "c", "e"), ("a", "c", "e"), ("b", "d"))


def test_a_recording_without_features_counts_as_deleted_words():
    bench = Bench(None, Corpus([Utterance("u", "s", Path("u.wav"), "one two")]))  # type: ignore[arg-type]
    assert bench.references(("u",), system()) == {"u": "one two"}
    of_test = replace(result(system(), ""), references={"u": "one two", "v": "one"}, hypotheses={"v": "one"})
    assert (of_test.row.deletions, of_test.row.total) == (2, 3)
    assert Fold("x", Part("x", ("u",)), ("u",), ()).few == ()


FRONT_END = {"front_end": {"kind": "fbank"}}


@pytest.mark.parametrize(
    ("kind", "table", "message"),
    [
        (CtcTable, {}, "needs a front_end"),
        (CtcTable, {**FRONT_END, "options": {"prior_scale": 7.0}}, "prior_scale=7.0"),
        (CtcTable, {**FRONT_END, "plain": {"epochs": 3}}, "plain.epochs is not a setting"),
        (CtcTable, {**FRONT_END, "plain": {"max_epochs": 2.5}}, "plain.max_epochs is 2.5"),
        (
            CtcTable,
            {**FRONT_END, "options": {"trainning": {}}},
            "options.trainning is not a setting; did you mean 'training'",
        ),
        (JointTable, {"options": {"decoder": {"widht": 3}}}, "decoder.widht is not a setting; did you mean 'width'"),
        (JointTable, {"options": {"ctc_weight": 1.0}}, "ctc_weight=1.0"),
        (HybridTable, {"speeds": [0.9]}, r"speeds = \(0.9,\) need a front_end"),
        (HybridTable, {"network": {"kind": "dnn", "hiden": [8]}}, "did you mean 'hidden'"),
        (HybridTable, {"options": {"training": {"max_epoch": 3}}}, "max_epoch"),
        (LfmmiTable, {"options": {"supervision": {"leakyy": 1.0}}}, "did you mean 'leaky'"),
        (PrefixSearch, {"lm_weights": []}, "no lm_weight is tried"),
        (PrefixSearch, {"beam_size": 0}, "beam_size=0"),
        (JointSearch, {"attention_weights": []}, "no attention_weight is tried"),
        (JointSearch, {"beam_size": 0}, "beam_size=0"),
        (GraphSearch, {"acoustic_scales": []}, "no acoustic_scale is tried"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_trained(kind, table, message):
    with pytest.raises(ConfigError, match=message.replace("?", "[?]")):
        from_table(kind, table)


def test_masks_may_stay_without_augmentation():
    """What `plain` says wins over what it stands for."""
    training = {"max_epochs": 9, "spec_augment": {"time_masks": 2}}
    table = {**FRONT_END, "options": {"training": training}, "speeds": [0.9, 1.0]}
    plain = from_table(CtcTable, {**table, "plain": {"max_epochs": 4}}).without_augmentation()
    found = plain.options.training
    assert (plain.speeds, found.max_epochs, found.spec_augment.time_masks) == ((1.0,), 4, 0)
    kept = from_table(CtcTable, {**table, "plain": {"spec_augment": {"frequency_masks": 1}}}).without_augmentation()
    assert kept.options.training.spec_augment.frequency_masks == 1 and kept.options.training.max_epochs == 9


def test_a_decoder_is_trained_above_the_network_that_it_begins_as():
    below = from_table(CtcTable, {**FRONT_END, "norm_vars": True, "plain": {"max_epochs": 3}})
    joint = from_table(JointTable, {"start": "ctc", "options": {"ctc": {"training": {"max_epochs": 2}}}})
    table = joint.above(below)
    assert (table.front_end, table.network, table.norm_vars) == (below.front_end, below.network, True)
    assert table.options.training.max_epochs == 2 and table.without_augmentation().options.training.max_epochs == 2
