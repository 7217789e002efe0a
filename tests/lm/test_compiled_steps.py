"""Sorting, numbers as text and text as numbers: compiled steps beside numpy and Python."""

import math
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asr.errors import LanguageModelError
from asr.lm import read_arpa, train, write_arpa
from asr.lm.names import NameTable, hash_of, mark_of, slot_of
from asr.lm.sorting import stable_order
from asr.lm.spool import Spool
from asr.lm.threads import in_order


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**62) | st.integers(0, 5), max_size=60))
def test_keys_are_sorted_as_numpy_sorts_them(keys):
    keys = np.array(keys, np.int64)
    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


def arpa_with(tmp_path, log_probs, back_offs):
    """A file of words w0, w1 ... with these numbers as they are written."""
    lines = [f"{p}\tw{i}\t{b}\n" for i, (p, b) in enumerate(zip(log_probs, back_offs, strict=True))]
    head = f"\\data\\\nngram 1={len(lines) + 1}\nngram 2=1\n\\1-grams:\n-1\t</s>\n"
    (tmp_path / "lm.arpa").write_text(f"{head}{''.join(lines)}\\2-grams:\n-1 w0 w0\n\\end\\\n")
    return tmp_path / "lm.arpa"


NUMBERS = ["-0.1", "-1e-5", "-.5", "-5.", "-0", "-1E+1", "-0.30102999566398119521", "-1_0", "-9007199254740993e-15"]
NUMBERS += ["-12345678901234567890e-19", "-1.7976931348623157e1", "-2.2250738585072014e-308", "-3e-30"]


def test_numbers_are_read_exactly_as_python_reads_them(tmp_path):
    rng = np.random.default_rng(0)
    numbers = [*NUMBERS, *(f"{-(10 ** rng.uniform(-12, 1.9)):.{rng.integers(1, 19)}g}" for _ in range(3000))]
    model = read_arpa(arpa_with(tmp_path, numbers, numbers))
    ids = [model.vocabulary.id(f"w{i}") + 1 for i in range(len(numbers))]
    expected = np.array([float(number) for number in numbers])
    assert (model.log_probs[ids] == expected * math.log(10)).all()
    assert (model.back_offs[ids] == expected * math.log(10)).all()


@settings(max_examples=300, deadline=None)
@given(st.floats(-98.9, 0) | st.floats(-1e-3, 0), st.floats(-1e8, 1e8) | st.floats(-1e-3, 1e-3))
@example(-0.0, -math.inf)
@example(-9.9999995, 9999999.6)
@example(-1e-5, 1e-4)
def test_numbers_are_written_as_python_writes_them(tmp_path_factory, log10, back_off):
    model = train(["a"], 2)
    model.log_probs[4], model.back_offs[4] = log10 * math.log(10), back_off * math.log(10)
    path = tmp_path_factory.mktemp("arpa") / "lm.arpa"
    write_arpa(model, path)
    line = next(line for line in path.read_text().splitlines() if "\ta\t" in line)
    shown = [x / math.log(10) + 0.0 for x in (model.log_probs[4], model.back_offs[4])]
    for field, number in zip((line.split("\t")[0], line.split("\t")[2]), shown, strict=True):
        # A product of two rounded numbers may fall on either side where the eighth digit on is 50 ... or 49 ...
        is_tie = math.isfinite(number) and f"{abs(number):.17e}"[8:15] in ("5000000", "4999999")
        assert field == f"{number:.7g}" or is_tie or abs(number) < 1e-300, (field, number)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.text("ab\u00e9", min_size=1, max_size=12), min_size=1, max_size=40), st.text("ab\u00e9", max_size=12))
def test_a_table_finds_its_words_and_no_others(words, other):
    listed = [word.encode() for word in sorted(words)]
    table = NameTable.of(listed)
    for word in (*listed, other.encode()):
        text = np.frombuffer(b"x" + word, np.uint8)
        mark = mark_of(text, 1, len(text))
        with np.errstate(over="ignore"):
            slot = slot_of(text, 1, len(text), mark, hash_of(text, 1, len(text), mark), *table)
        expected = listed.index(word) if word in listed else -1
        assert table.slots[slot, 1] == expected


def test_results_come_in_order_and_errors_when_it_is_their_turn():
    assert list(in_order(lambda x: x * x, range(50), 4)) == [x * x for x in range(50)]

    def fails(x):
        if x == 7:
            raise LanguageModelError("seven")
        return x

    done = []
    with pytest.raises(LanguageModelError, match="seven"):
        for x in in_order(fails, range(50), 3):
            done.append(x)
    assert done == list(range(7))


@pytest.mark.parametrize("most", [0, 40, 10**6])
def test_a_spool_gives_back_what_it_was_given(tmp_path, most):
    spool, arrays = Spool(most, tmp_path), [np.arange(n, dtype=np.int32) for n in (3, 0, 5, 9)]
    for array in arrays:
        spool.add(array)
    for _ in range(2):
        assert np.concatenate(list(spool)).tolist() == np.concatenate(arrays).tolist()
    assert spool.n_bytes == 17 * struct.calcsize("i") and not list(tmp_path.iterdir())
    spool.close()
