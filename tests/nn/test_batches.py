"""Batches: every frame once, chunks that see what the whole utterance would, the same plan for the same seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from asr.errors import CorpusError, ModelError
from asr.features.table import FeatureTable
from asr.nn import DnnConfig, build
from asr.nn.batches import Cut, Examples
from asr.nn.losses import FrameCrossEntropy
from asr.nn.parallel import Group

DIM, N_OUTPUTS = 3, 7


def examples_of(lengths, subsampling=1, seed=0):
    rng = np.random.default_rng(seed)
    features = {f"u{i}": rng.standard_normal((n, DIM)).astype(np.float32) for i, n in enumerate(lengths)}
    targets = {k: rng.integers(-1, N_OUTPUTS, -(-len(x) // subsampling)) for k, x in features.items()}
    return Examples(FeatureTable.from_dict(features), targets)


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=8),
    chunk=st.integers(0, 20),
    context=st.integers(0, 5),
    subsampling=st.integers(1, 3),
    batch_frames=st.integers(1, 150),
    seed=st.none() | st.integers(0, 5),
)
@settings(deadline=None, max_examples=100)
def test_every_target_is_there_once_beside_its_own_frame(lengths, chunk, context, subsampling, batch_frames, seed):
    examples = examples_of(lengths, subsampling)
    cut = Cut(batch_frames, chunk, context, subsampling)
    rng = None if seed is None else np.random.default_rng(seed)
    seen = {i: np.zeros(len(examples.targets[i]), int) for i in examples.features}
    for rows in cut.plan(examples, rng):
        batch = cut.read(examples, rows)
        assert len(rows) == 1 or batch.features.shape[0] * batch.features.shape[1] <= batch_frames
        first, _ = cut.seen(rows, examples)
        for r, key in enumerate(batch.ids):
            x, target = examples.features[key], examples.targets[key]
            n = int(batch.lengths[r])
            assert chunk == 0 or rows[r, 2] - rows[r, 1] <= max(chunk, subsampling)
            np.testing.assert_array_equal(batch.features[r, :n], x[first[r] : first[r] + n])
            assert not batch.features[r, n:].any()
            own = np.arange(rows[r, 1] // subsampling, -(-rows[r, 2] // subsampling))
            zero = first[r] // subsampling
            expected = np.full(batch.targets.shape[1], -1)
            expected[own - zero] = target[own]
            np.testing.assert_array_equal(batch.targets[r], expected)
            seen[key][own] += 1
    assert all((count == 1).all() for count in seen.values())


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=8),
    chunk=st.integers(0, 20),
    context=st.integers(0, 5),
    seed=st.none() | st.integers(0, 5),
)
@settings(deadline=None, max_examples=100)
def test_of_targets_for_every_frame_one_of_three_is_there_beside_its_own_frame(lengths, chunk, context, seed):
    examples = replace(examples_of(lengths), every_frame=True)
    examples.check(N_OUTPUTS, 3)
    cut, rng = Cut(90, chunk, context, 3), None if seed is None else np.random.default_rng(seed)
    seen = {key: [] for key in examples.features}
    for rows in cut.plan(examples, rng):
        batch = cut.read(examples, rows)
        first, end = cut.seen(rows, examples)
        for r, key in enumerate(batch.ids):
            x, target = examples.features[key], examples.targets[key]
            np.testing.assert_array_equal(batch.features[r, : end[r] - first[r]], x[first[r] : end[r]])
            own = np.arange(rows[r, 1], rows[r, 2], 3)
            expected = np.full(batch.targets.shape[1], -1)
            expected[(own - first[r]) // 3] = target[own]
            np.testing.assert_array_equal(batch.targets[r], expected)
            seen[key] += own.tolist()
    for key, frames in seen.items():
        n = len(examples.targets[key])
        begin = min(frames, default=0)
        assert begin < 3 and (seed is not None or begin == 0)
        assert sorted(frames) == list(range(begin, n, 3))


def test_each_epoch_begins_at_other_frames():
    examples = replace(examples_of([30] * 20), every_frame=True)
    begins = [Cut(300, subsampling=3).rows(examples, np.random.default_rng([0, epoch]))[:, 1] for epoch in range(2)]
    assert set(begins[0]) == {0, 1, 2} and (begins[0] != begins[1]).any()


@pytest.mark.parametrize("subsampling", [1, 3])
def test_chunks_with_context_have_the_loss_of_the_whole_utterance(subsampling):
    examples = examples_of([50, 31, 7], subsampling)
    network = build(
        DnnConfig(hidden=(8,), context=4, normalization="none", zero_output=False, subsampling=subsampling),
        DIM,
        N_OUTPUTS,
    ).eval()

    def total(cut):
        batches = [cut.read(examples, rows) for rows in cut.plan(examples)]
        out = [
            FrameCrossEntropy()(network(b.features, b.lengths), -(-b.lengths // subsampling), b.targets)
            for b in batches
        ]
        return sum(o.total.item() for o in out), sum(o.n_frames for o in out), sum(o.errors for o in out)

    whole = total(Cut(10**6, subsampling=subsampling))
    assert total(Cut(64, 9, 4, subsampling)) == pytest.approx(whole, rel=1e-6)
    assert total(Cut(64, 9, 0, subsampling)) != pytest.approx(whole, rel=1e-6)


def test_a_plan_depends_on_the_seed_alone_and_two_processes_share_its_batches():
    examples = examples_of(np.random.default_rng(1).integers(5, 80, 50).tolist())
    cut = Cut(400, 20, 2)
    plan, again, other = (cut.plan(examples, np.random.default_rng([7, epoch])) for epoch in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(plan, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(plan, other, strict=False))
    for rows in plan:
        shares = [Group(rank, 2).share(rows) for rank in (0, 1)]
        assert sum(weight * len(part) for part, weight in shares) == len(rows)
        assert {tuple(r) for part, _ in shares for r in part.tolist()} == {tuple(r) for r in rows.tolist()}


def test_padding_is_little():
    lengths = np.random.default_rng(2).integers(50, 1000, 400)
    examples, cut = examples_of(lengths.tolist()), Cut(8000)
    read = [cut.read(examples, rows) for rows in cut.plan(examples, np.random.default_rng(0))]
    padded = sum(batch.features.shape[0] * batch.features.shape[1] for batch in read)
    assert padded < 1.12 * lengths.sum()


def test_objects_as_targets_come_by_row_and_cannot_be_cut():
    features = FeatureTable.from_dict({k: np.zeros((n, DIM), np.float32) for k, n in (("a", 4), ("b", 9))})
    examples = Examples(features, {"a": "graph of a", "b": "graph of b"})
    (rows,) = Cut(100).plan(examples)
    batch = Cut(100).read(examples, rows)
    assert batch.targets == [f"graph of {i}" for i in batch.ids] and set(batch.ids) == {"a", "b"}
    with pytest.raises(ModelError, match="chunk_frames = 0"):
        Cut(100, 4).plan(examples)


def test_wrong_examples_are_told_with_utterance_and_values():
    table = FeatureTable.from_dict({"a": np.zeros((4, DIM), np.float32), "b": np.zeros((2, DIM), np.float32)})
    good = {"a": np.zeros(4, np.int64), "b": np.zeros(2, np.int64)}
    Examples(table, good).check(N_OUTPUTS)
    with pytest.raises(CorpusError, match="'b' has features but no target"):
        Examples(table, {"a": good["a"]})
    with pytest.raises(CorpusError, match=r"'b': targets are int64 \(3,\); need whole numbers \(2,\)"):
        Examples(table, {**good, "b": np.zeros(3, np.int64)}).check(N_OUTPUTS)
    with pytest.raises(CorpusError, match="'a': targets from 0 to 7; the network has 7 outputs"):
        Examples(table, {**good, "a": np.array([0, 1, 2, 7])}).check(N_OUTPUTS)
    table.frames[5, 1] = np.nan
    with pytest.raises(CorpusError, match="'b', frame 1: a feature is not finite"):
        Examples(table, good).check(N_OUTPUTS)


def test_cross_entropy_is_torchs_over_the_frames_that_count():
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 5, N_OUTPUTS, generator=rng, requires_grad=True)
    targets = torch.randint(0, N_OUTPUTS, (2, 5), generator=rng)
    targets[0, 2] = -1
    for smoothing in (0.0, 0.1):
        found = FrameCrossEntropy(smoothing)(scores, torch.tensor([5, 3]), targets)
        wanted = targets.clone()
        wanted[1, 3:] = -100
        wanted[0, 2] = -100
        expected = functional.cross_entropy(
            scores.flatten(0, 1), wanted.flatten(), reduction="sum", label_smoothing=smoothing
        )
        assert found.total.item() == pytest.approx(expected.item(), rel=1e-6)
        assert found.n_frames == 7
        assert found.errors == ((scores.argmax(2) != targets) & (wanted >= 0)).sum()
    nothing = FrameCrossEntropy()(scores, torch.tensor([0, 0]), targets)
    assert (nothing.total.item(), nothing.n_frames, nothing.errors) == (0.0, 0.0, 0.0)
