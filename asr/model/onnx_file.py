"""What an ONNX file holds, looked at before onnxruntime sees it: nothing that loops, and no data of other files.

The format is protocol buffers: a message is a row of fields, each a number with a kind (together one varint) and a
value. Of the messages of ONNX (onnx.proto) only those are followed in which operators and tensors can be.
"""

from collections import Counter
from collections.abc import Iterator

from ..errors import ModelError

# Operators that layers, recurrent networks and attention need, in what torch exports and in 8-bit networks.
_OPERATORS = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Celu Clip Concat Constant
    ConstantOfShape Conv ConvInteger ConvTranspose Cos CumSum DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum
    Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool
    Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN LSTM
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool
    Mean Min Mish Mod Mul Neg Not Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Range
    Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    Relu Reshape Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign Split
    Sqrt Squeeze Sub Sum Swish Tanh ThresholdedRelu Tile Transpose Trilu Unsqueeze Where Xor
    """
# Message -> numbers of its fields that are messages to follow; and those that are refused, with what they would be.
_INNER = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_LOOPS = "operators inside operators, as loops and conditions have"
_ELSEWHERE = "data of other files"
_REFUSED = {
    "model": {20: "training", 25: "functions of its own"},
    "attribute": {6: _LOOPS, 11: _LOOPS},
    "tensor": {13: _ELSEWHERE, 14: _ELSEWHERE},
}
_OPERATOR, _DOMAIN = 4, 7  # of a node
_DIMS, _DATA_TYPE = 1, 2  # of a tensor
_WEIGHTS = frozenset({1, 2, 3, 10, 11, 16})  # float32, uint8, int8, float16, float64, bfloat16; not numbers of shapes
_MOST_FIELDS = 1_000_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # kinds of values


def check_onnx(content: bytes, where: str) -> Counter[str]:
    """How often each operator is there.

    Args:
        content: the file's.
        where: its name, for messages.

    Raises:
        ModelError: for a network that could run for ever or read other files, or is no ONNX file.
    """
    operators: Counter[str] = Counter()
    waiting = [("model", 0, len(content))]
    n_fields = 0
    while waiting:
        message, start, end = waiting.pop()
        names = {_OPERATOR: b"", _DOMAIN: b""}
        for number, kind, value, size in _fields(content, start, end, where):
            n_fields += 1
            if n_fields > _MOST_FIELDS:
                raise ModelError(f"{where}: has more than {_MOST_FIELDS:,} fields; export it again")
            refused = _REFUSED.get(message, {}).get(number)
            if refused and not (kind == _VARINT and value == 0):  # 0: the data is in this file
                raise ModelError(f"{where}: has {refused}, which no network here needs; export it again")
            if kind == _BYTES and number in _INNER[message]:
                waiting.append((_INNER[message][number], value, value + size))
            elif message == "node" and kind == _BYTES and number in names:
                names[number] = content[value : value + size]  # of several the last one counts
        if message == "node":
            name, domain = (part.decode("utf-8", "replace") for part in names.values())
            _check_operator(name, domain, where)
            operators[name] += 1
    return operators


def count_parameters(content: bytes, where: str) -> int:
    """How many weights the tensors of a network's graph have: those of floats and of 8-bit numbers.

    Args:
        content: as of `check_onnx`, which has let it through.
        where: as of `check_onnx`, which has let it through.
    """
    total = 0
    waiting = [("model", 0, len(content))]
    while waiting:
        message, start, end = waiting.pop()
        size, data_type = 1, 0
        for number, kind, value, n_bytes in _fields(content, start, end, where):
            inner = _INNER[message].get(number) if kind == _BYTES else None
            if inner is not None:
                waiting.append((inner, value, value + n_bytes))
            elif message == "tensor" and number == _DIMS:
                for length in _numbers(content, kind, value, n_bytes, where):
                    size *= length
            elif message == "tensor" and number == _DATA_TYPE:
                data_type = value
        total += size if message == "tensor" and data_type in _WEIGHTS else 0
    return total


def _numbers(content: bytes, kind: int, value: int, n_bytes: int, where: str) -> Iterator[int]:
    """The numbers of a repeated field: one, or several packed together."""
    if kind == _VARINT:
        yield value
        return
    position = value
    while position < value + n_bytes:
        number, position = _varint(content, position, value + n_bytes, where)
        yield number


def _check_operator(name: str, domain: str, where: str) -> None:
    if domain not in ("", "ai.onnx") or name not in _OPERATORS.split():
        full = f"{domain}.{name}" if domain else name
        raise ModelError(f"{where}: has the operator {full[:80]!r}; this version of asr runs none of that kind")


def _fields(content: bytes, start: int, end: int, where: str) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, kind, and the value of a varint or else where the value begins; its bytes."""
    position = start
    while position < end:
        key, position = _varint(content, position, end, where)
        number, kind = key >> 3, key & 7
        value, size = position, {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
        if kind == _VARINT:
            value, position = _varint(content, position, end, where)
        elif kind == _BYTES:
            size, position = _varint(content, position, end, where)
            value = position
        elif not size:
            raise ModelError(f"{where}: not an ONNX file, or damaged at byte {position}")
        position += size
        if position > end or not 0 < number < 1 << 29:
            raise ModelError(f"{where}: not an ONNX file, or damaged or cut short at byte {min(position, end)}")
        yield number, kind, value, size


def _varint(content: bytes, position: int, end: int, where: str) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next one begins. Only the shortest way to write it is taken."""
    number = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:  # readers differ in what they make of it
                break
            return number, position
    raise ModelError(f"{where}: not an ONNX file, or damaged or cut short at byte {position}")
