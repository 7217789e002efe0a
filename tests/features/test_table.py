"""Feature tables: views, selection, files."""

import numpy as np
import pytest

from asr.errors import CorpusError
from asr.features import FeatureTable


def table() -> FeatureTable:
    rng = np.random.default_rng(0)
    return FeatureTable.from_dict({key: rng.normal(size=(n, 3)) for key, n in [("b", 4), ("a", 0), ("ü", 7)]})


def test_lookup_is_a_view_in_order():
    features = table()
    assert (len(features), list(features), features.dim) == (3, ["b", "a", "ü"], 3)
    assert [len(features[key]) for key in features] == [4, 0, 7]
    assert np.shares_memory(features["ü"], features.frames)
    assert features.frames.dtype == np.float32 and features.frames.flags.c_contiguous
    assert "b" in features and "c" not in features
    with pytest.raises(KeyError, match=r"utt1.*did you mean 'utt2'"):
        FeatureTable.from_dict({"utt2": np.zeros((1, 1))})["utt1"]


def test_select():
    chosen = table().select(["ü", "b"])
    assert list(chosen) == ["ü", "b"]
    assert np.array_equal(chosen["b"], table()["b"])
    assert len(table().select([])) == 0 and table().select([]).dim == 3


def test_save_and_load(tmp_path):
    table().save(tmp_path / "x.npz")
    again = FeatureTable.load(tmp_path / "x.npz")
    assert again.ids == table().ids
    assert np.array_equal(again.frames, table().frames) and np.array_equal(again.offsets, table().offsets)


def test_errors(tmp_path):
    with pytest.raises(CorpusError, match=r"features of 'b' have shape \(2, 4\); need \(n_frames, 3\)"):
        FeatureTable.from_dict({"a": np.zeros((2, 3)), "b": np.zeros((2, 4))})
    with pytest.raises(CorpusError, match="'a' is there twice"):
        FeatureTable(["a", "a"], np.zeros((2, 1)), np.array([0, 1, 2]))
    with pytest.raises(CorpusError, match="offsets"):
        FeatureTable(["a"], np.zeros((2, 1)), np.array([0, 3]))
    with pytest.raises(CorpusError, match="no such file"):
        FeatureTable.load(tmp_path / "none.npz")
    table().save(tmp_path / "x.npz")
    whole = (tmp_path / "x.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"hello"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(CorpusError, match=r"or damaged .*; copy or make it again"):
            FeatureTable.load(tmp_path / "bad.npz")
