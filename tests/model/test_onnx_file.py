"""ONNX files of strangers: none reads other files, whatever way it is written, and none runs for ever."""

import numpy as np
import pytest

from asr.errors import ModelError
from asr.model.onnx import OnnxAcoustic
from asr.model.onnx_file import check_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402

WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)


def network(nodes, initializers=(), functions=()):
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("features", [1, "frames", 2]), ("scores", [1, "rows", 3]))
    ]
    graph = helper.make_graph(nodes, "network", *ends, list(initializers))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)


def product(weights):
    return network([helper.make_node("MatMul", ["features", "weights"], ["scores"])], [weights])


def whole():
    return product(onnx.numpy_helper.from_array(WEIGHTS, "weights"))


def elsewhere():
    """A tensor whose data is in the file "secret" in the current folder."""
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[2, 3])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "secret"), ("offset", "0"), ("length", "24")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def varint(number, spare=0):
    """A number as protocol buffers write it, or with `spare` more bytes than it needs."""
    parts = []
    while True:
        parts.append(number & 0x7F)
        number >>= 7
        if not number:
            break
    parts += [0] * spare
    return bytes([p | 0x80 for p in parts[:-1]] + parts[-1:])


def field(number, content, spare=0):
    return varint(number << 3 | 2) + varint(len(content), spare) + content


def written(tensor, spare):
    """A network with a tensor that is already bytes; lengths take `spare` more bytes than they need."""
    graph = whole().graph
    del graph.initializer[:]
    model = whole()
    model.ClearField("graph")
    return model.SerializeToString() + field(7, graph.SerializeToString() + field(5, tensor, spare), spare)


def with_entries(tensor, parts):
    """The tensor's bytes, where parts(key, value) says how each entry of its external data is written."""
    entries = [field(13, b"".join(parts(e.key.encode(), e.value.encode()))) for e in tensor.external_data]
    plain = TensorProto()
    plain.CopyFrom(tensor)
    plain.ClearField("external_data")
    return plain.SerializeToString() + b"".join(entries)


def test_a_plain_network_runs():
    features = np.array([[1, 2], [3, 4]], np.float32)
    acoustic = OnnxAcoustic(whole().SerializeToString(), [])
    np.testing.assert_allclose(acoustic.log_likelihoods(features), features @ WEIGHTS)


FORMS = {
    "as usual": lambda: product(elsewhere()).SerializeToString(),
    "values before keys": lambda: written(with_entries(elsewhere(), lambda k, v: (field(2, v), field(1, k))), 0),
    "long keys": lambda: written(with_entries(elsewhere(), lambda k, v: (field(1, k, 1), field(2, v))), 0),
    "long tensors": lambda: written(elsewhere().SerializeToString(), 1),
    "in a constant": lambda: network(
        [
            helper.make_node("Constant", [], ["weights"], value=elsewhere()),
            helper.make_node("MatMul", ["features", "weights"], ["scores"]),
        ]
    ).SerializeToString(),
    "in two parts": lambda: whole().SerializeToString() + field(7, field(5, elsewhere().SerializeToString())),
}


@pytest.mark.parametrize("form", FORMS)
def test_data_of_other_files_is_refused_however_it_is_written(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())
    with pytest.raises(ModelError, match=r"am\.onnx: (has data of other files|not an ONNX file, or damaged)"):
        OnnxAcoustic(FORMS[form](), [])


def test_onnxruntime_itself_would_read_them(tmp_path, monkeypatch):
    import onnxruntime

    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for form, make in FORMS.items():
        session = onnxruntime.InferenceSession(make(), options, providers=["CPUExecutionProvider"])
        (found,) = session.run(["scores"], {"features": np.ones((1, 1, 2), np.float32)})
        np.testing.assert_allclose(found[0], [[3, 5, 7]], err_msg=form)


def endless():
    """A loop that goes on as long as its condition holds, which it always does."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    true = helper.make_node("Constant", [], ["true"], value=helper.make_tensor("", TensorProto.BOOL, [], [1]))
    return network([true, helper.make_node("Loop", ["", "true", "features"], ["scores"], body=body)])


def test_loops_functions_and_operators_of_others_are_refused():
    with pytest.raises(ModelError, match=r"operators inside operators|operator 'Loop'"):
        OnnxAcoustic(endless().SerializeToString(), [])
    with pytest.raises(ModelError, match=r"operator 'own\.Relu'; this version of asr runs none of that kind"):
        OnnxAcoustic(
            network([helper.make_node("Relu", ["features"], ["scores"], domain="own")]).SerializeToString(), []
        )
    inner = [helper.make_node("Relu", ["x"], ["y"])]
    function = helper.make_function("own", "f", ["x"], ["y"], inner, [helper.make_opsetid("", 17)])
    with pytest.raises(ModelError, match="functions of its own"):
        OnnxAcoustic(network(inner, functions=[function]).SerializeToString(), [])


def test_many_fields_are_refused_before_they_take_hours():
    check_onnx(field(14, b"") * 10, "x")
    with pytest.raises(ModelError, match="more than 1,000,000 fields"):
        check_onnx(field(7, field(13, b"") * 1_000_001), "x")


@pytest.mark.parametrize(
    "content", [b"\xff" * 20, b"\x80" * 9, b"\x00\x00", b"\x0b", b"\x3a\x05\x0a", b"\x39\x01", b"hello"]
)
def test_what_is_no_protocol_buffer(content):
    with pytest.raises(ModelError, match="x: not an ONNX file, or damaged"):
        check_onnx(content, "x")


@pytest.mark.parametrize("value", [0, -3, 2.5, True, "3", None, 10**9])
def test_impossible_subsampling(value):
    with pytest.raises(ModelError, match="subsampling is"):
        OnnxAcoustic(whole().SerializeToString(), [{"kind": "dnn", "subsampling": value}])
