"""Model directories of strangers: whatever is wrong with one is an error at loading that names the file."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import asr
from asr.errors import AsrError, GraphError, ModelError
from asr.graph.const_fst import Graph


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("pwned"),)


def renew(folder):
    """Make model.json's checksums right again: a stranger's would be."""
    path = folder / "model.json"
    description = json.loads(path.read_text())
    for name in description["files"]:
        content = (folder / name).read_bytes()
        description["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(json.dumps(description))


def change(folder, path, value):
    """Replace a value in model.json, e.g. of "decoding.beam"; Ellipsis removes it."""
    *parents, last = path.split(".")
    description = json.loads((folder / "model.json").read_text())
    inner = description
    for key in parents:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[last] = value
    if value is ...:
        del inner[last]
    (folder / "model.json").write_text(json.dumps(description))


@pytest.fixture
def folder(digits_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return digits_model.save(tmp_path / "model")


def first(value):
    """A change of an array's first number."""

    def changed(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return changed


ARRAYS = {
    "means of 13 dimensions": ("am.npz", "means", lambda a: a[:, :13], "do not fit"),
    "NaN": ("am.npz", "means", first(np.nan), "not finite"),
    "overflow": ("am.npz", "variances", lambda a: a * 0 + np.float32(1e-44), "overflow"),
    "objects": ("am.npz", "means", lambda a: np.array([Evil()], object), "Object arrays"),
    "objects nobody asked for": ("am.npz", "more", lambda a: np.array([Evil()], object), "Object arrays"),
    "complex": ("am.npz", "means", lambda a: a.astype(complex), "no array of numbers"),
    "text": ("am.npz", "means", lambda a: np.array(["a"]), "could not convert"),
    "no array": ("am.npz", "means", None, "lacks the array 'means'"),
    "pdf too large": ("transitions.npz", "tuples", lambda a: np.where(a == a.max(), 10**6, a), "transition states"),
    "negative pdf": ("transitions.npz", "tuples", lambda a: np.where(a == a.max(), -1, a), "transition states"),
    "another order": ("transitions.npz", "tuples", lambda a: a[::-1], "transition states"),
    "one dimension": ("transitions.npz", "tuples", lambda a: a.ravel(), "transition states"),
    "no dimension": ("transitions.npz", "tuples", lambda a: a[0, 0], "transition states"),
    "no probability": ("transitions.npz", "log_probs", first(np.nan), "'log_probs' has values that are not finite"),
    "probability above 1": ("transitions.npz", "log_probs", lambda a: a * 0 + 5, "log_probs"),
    "too few probabilities": ("transitions.npz", "log_probs", lambda a: a[:-1], "transition ids"),
    "topology of nothing": ("transitions.npz", "topology", lambda a: np.array('{"entries": []}'), "has no HMM"),
    "deep topology": ("transitions.npz", "topology", lambda a: np.array("[" * 100_000), "RecursionError"),
    "no prior": ("transforms.npz", "cmvn_prior_1", None, "no prior statistics"),
    "prior not finite": ("transforms.npz", "cmvn_prior_1", first(np.inf), "not finite"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays(folder, case):
    name, key, make, complaint = ARRAYS[case]
    with np.load(folder / name) as archive:
        arrays = dict(archive)
    old = arrays.pop(key, np.zeros(0))
    if make is not None:
        arrays[key] = make(old)
    np.savez(folder / name, **arrays)
    renew(folder)
    with pytest.raises(ModelError, match=complaint) as error:
        asr.load(folder)
    assert str(folder) in str(error.value)
    assert not (folder.parent / "pwned").exists()


def test_a_shape_that_the_file_cannot_hold_and_compressed_arrays(folder):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 39)})
    with zipfile.ZipFile(folder / "am.npz", "w") as archive:
        archive.writestr("means.npy", header.getvalue())
    renew(folder)
    with pytest.raises(ModelError, match=r"am\.npz"):
        asr.load(folder)
    np.savez_compressed(folder / "am.npz", means=np.zeros(10**6, np.float32))
    renew(folder)
    with pytest.raises(ModelError, match=r"am\.npz: is compressed"):
        asr.load(folder)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000), b"[" * 100_000])
@pytest.mark.parametrize("name", ["am.npz", "transitions.npz", "transforms.npz", "tree.json", "HCLG.fst", "words.txt"])
def test_foreign_content(folder, name, content):
    (folder / name).write_bytes(content)
    renew(folder)
    with pytest.raises(AsrError, match=name):
        asr.load(folder)


DESCRIPTIONS = {
    "seed": ("x", "invalid literal"),
    "decoding": ([1], "no attribute"),
    "decoding.beam": (-1, "beam=-1"),
    "decoding.acoustic_scale": (None, "acoustic_scale is None"),
    "decoding.max_active": (5, "max_active=5"),
    "decoding.bean": (1, "bean"),
    "sample_rate": (16000, "sample_rate is 16000"),
    "features.sample_rate": (10**9, "sample_rate=1000000000"),
    "features.steps": ([1], "feature pipeline step 0: 1 is no step; need a table with a kind of cmvn, delta"),
    "features.steps.0.options": ({"num_ceps": 10}, "prior"),
    "features": (..., "features"),
    "frame_shift": (0.02, "frame_shift is 0.02"),
    "subsampling": (3, "subsampling is 3"),
    "graph": ({"reorder": False}, "reorder"),
    "files": ({}, "lists no checksum of phones.txt"),
    "format": (2, "format 2; this version of asr reads format 1: use the version that wrote it, hclg"),
}


@pytest.mark.parametrize("path", DESCRIPTIONS)
def test_descriptions(folder, path):
    value, complaint = DESCRIPTIONS[path]
    if path == "features.steps.0.options":
        old = json.loads((folder / "model.json").read_text())["features"]["steps"][0]["options"]
        value = {**old, **value}
    if path == "features.steps":
        change(folder, path, value)
    elif path.startswith("features.steps"):
        steps = json.loads((folder / "model.json").read_text())["features"]["steps"]
        steps[0]["options"] = value
        change(folder, "features.steps", steps)
    else:
        change(folder, path, value)
    with pytest.raises(ModelError, match=complaint) as error:
        asr.load(folder)
    assert str(folder / "model.json") in str(error.value)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "a\0b"])
def test_files_elsewhere_are_never_opened(folder, name):
    (folder.parent / "secret").write_text("x")
    description = json.loads((folder / "model.json").read_text())
    description["files"][name] = {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(ModelError, match="is missing or not a file"):
        asr.load(folder)


@pytest.mark.parametrize(
    ("table", "field", "value", "complaint"),
    [
        ("arcs", "ilabel", 10**6, "label 1000000; the model has .* transition ids"),
        ("arcs", "olabel", 500, "label 500; the model has 10 words"),
        ("arcs", "weight", -np.inf, "minus infinity"),
        ("states", "final", -np.inf, "minus infinity"),
        ("arcs", "next", 10**6, "goes to state 1000000"),
    ],
)
def test_graphs_of_another_model(folder, table, field, value, complaint):
    graph = Graph.read(folder / "HCLG.fst")
    parts = {"states": graph.states.copy(), "arcs": graph.arcs.copy()}
    used = np.flatnonzero(parts["arcs"]["olabel"]) if field == "olabel" else np.array([len(parts[table]) - 1])
    parts[table][field][used] = value
    Graph(graph.start, parts["states"], parts["arcs"]).write(folder / "HCLG.fst")
    renew(folder)
    with pytest.raises(GraphError, match=complaint):
        asr.load(folder)


def test_a_card_in_any_encoding(folder):
    (folder / "README.md").write_bytes(b"caf\xe9\n")
    assert asr.load(folder).card == "caf\ufffd\n"
