"""Small files that ask for endless work: each is refused at once, and the limit is said."""

import json
import time

import numpy as np
import pytest

import asr
from asr.errors import AsrError, ConfigError, ModelError
from asr.features.deltas import delta, splice
from asr.features.options import LpcOptions, MfccOptions
from asr.features.pipeline import FeaturePipeline
from asr.hmm.decision_tree import LEAF, DecisionTree, TreeRoot
from asr.hmm.topology import Topology
from asr.info import describe
from asr.nn.networks import config_from_json


@pytest.fixture(autouse=True)
def quick():
    """What is refused is refused within seconds, on a busy machine too."""
    begin = time.process_time()
    yield
    assert time.process_time() - begin < 10


FRAMES = np.zeros((5, 13), np.float32)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: delta(FRAMES, order=10**6), "order=1000000, window=2; need order 0 to 20"),
        (lambda: delta(FRAMES, window=10**9), "window 1 to 1000"),
        (lambda: splice(FRAMES, left=10**8), "need 0 to 1000"),
        (lambda: MfccOptions(num_mel_bins=10**8), "num_mel_bins=100000000; need 3 to 1000"),
        (lambda: MfccOptions(frame_shift=1e-6), "need a 3000th of the frame length or more"),
        (lambda: LpcOptions(order=10**5), "order=100000; need 1 to 500"),
    ],
)
def test_features(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ([{"kind": "cmvn", "mode": "utterance"}] * 5000, "5001 steps; need 50 or fewer"),
        ([{"kind": "delta"}] * 40, r"step \d+: \d+ values a frame behind it; need"),
        ([{"kind": "splice", "left": 1000, "right": 1000}] * 3, r"step \d+: \d+ values a frame behind it; need"),
        ([{"kind": "delta", "order": 10**6}], "step 1: order=1000000, window=2; need order 0 to 20"),
        ([{"kind": "delta", "order": 1, "window": 10**9}], "window 1 to 1000"),
    ],
)
def test_pipelines(steps, complaint):
    with pytest.raises(ConfigError, match=complaint):
        FeaturePipeline(8000, ({"kind": "mfcc"}, *steps))


def roots(n_phones, n_classes, node=0):
    return (TreeRoot(tuple(range(1, n_phones + 1)), tuple(range(n_classes)), node),)


def test_trees_of_impossible_size():
    leaf = np.array([[LEAF, 0, 0, 0]])
    with pytest.raises(ModelError, match="more than any model has"):
        DecisionTree(1, 0, (), leaf, roots(30_000, 30_000))
    with pytest.raises(ModelError, match="questions are too many for their numbers"):
        DecisionTree(1, 0, ((99_999,),) * 50_000, leaf, roots(3, 3))
    chain = np.array([[0, 0, i + 1, i + 1] for i in range(20_000)] + [[LEAF, 0, 0, 0]])
    with pytest.raises(ModelError, match="more than any model has"):
        DecisionTree(2, 1, ((1,),), chain, roots(100, 100))


def test_ways_through_a_tree_that_meet_again_are_walked_once():
    chain = np.array([[0, 0, i + 1, i + 1] for i in range(200)] + [[LEAF, 0, 0, 0]])  # 2 ** 200 ways
    assert DecisionTree(2, 1, ((1,),), chain, roots(3, 3)).pdfs_of_state(1, 0) == [0]


def test_a_small_file_with_a_large_tree_or_topology(tmp_path, digits_model):
    numbers = list(range(30_000))
    (tmp_path / "tree.json").write_text(
        json.dumps(
            {
                "kind": "decision-tree",
                "context_width": 1,
                "central_position": 0,
                "questions": [],
                "nodes": [[LEAF, 0]],
                "roots": [{"phones": numbers, "pdf_classes": numbers, "node": 0}],
            }
        )
    )
    with pytest.raises(ModelError, match=r"tree\.json: .*more than any model has"):
        describe(tmp_path / "tree.json")
    state = {"pdf_class": 0, "self_loop_pdf_class": 0, "transitions": [[0, 0.5], [1, 0.5]]}
    with pytest.raises(ModelError, match="states and transitions; need 2000000 or fewer"):
        Topology.from_json({"entries": [{"phones": numbers, "states": [state] * 3000}]})


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"kind": "dnn", "hidden": [8] * 100_000}, "hidden has 100000 values; need 1000 or fewer"),
        ({"kind": "tdnn", "offsets": [[0]] * 100_000}, "offsets has 100000 values"),
        ({"kind": "tdnn", "offsets": [[-(10**8), 0]]}, "offsets=-100000000; need 10000 or less"),
        ({"kind": "recurrent", "layers": 100_000}, "layers=100000; need 1000 or less"),
        ({"kind": "attention", "layers": 10**7}, "layers=10000000; need 1000 or less"),
        ({"kind": "dnn", "context": 10**9}, "context=1000000000; need 10000 or less"),
        ({"kind": "dnn", "subsampling": 10**9}, "subsampling=1000000000; need 1000 or less"),
        ({"kind": "tdnn", "bypass": float("nan")}, "bypass=nan"),
    ],
)
def test_networks(table, complaint):
    with pytest.raises(ConfigError, match=complaint):
        config_from_json(table)


@pytest.mark.parametrize("key", ["versions", "network"])
def test_descriptions_of_another_type(digits_model, tmp_path, key):
    folder = digits_model.save(tmp_path / "model")
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**description, key: 5}))
    for read in (asr.load, describe):
        with pytest.raises(AsrError, match=rf"model\.json: {key} is 5; need a "):
            read(folder)
