"""Kaldi's lattice files: against OpenFst's own reader and writer of them, bytes put together by hand, and damage."""

import gzip
import struct

import numpy as np
import pytest

from asr.errors import AsrError, GraphError
from asr.lang.symbols import SymbolTable
from asr.lattice import CompactLattice, WordLattice, lattice_text, read_lattices, write_lattices

from .test_lattice import ordered, paths_of

WORDS = SymbolTable(["<eps>", "a", "b", "c", "d", "e"])


def sequences(words):
    return sorted((p.words.tolist(), p.labels.tolist(), round(p.score, 3)) for p in words.nbest(10_000))


def close(mine, theirs):
    """Whether paths are the same, costs to what float32 holds."""
    mine, theirs = sorted(paths_of(mine)), sorted(paths_of(theirs))
    assert [p[:2] for p in mine] == [p[:2] for p in theirs]
    np.testing.assert_allclose([p[2:] for p in mine], [p[2:] for p in theirs], atol=1e-4)


@pytest.mark.parametrize("text", [False, True])
def test_lattices_come_back(lattices, tmp_path, text):
    pairs = [(f"u{i}", case[2]) for i, case in enumerate(lattices)]
    assert write_lattices(tmp_path / "x.ark", pairs, text=text, scp=tmp_path / "x.scp") == 200
    (tmp_path / "x.ark.gz").write_bytes(gzip.compress((tmp_path / "x.ark").read_bytes()))
    for name in ("x.ark", "x.scp", "x.ark.gz"):
        for (key, lattice), (given, expected) in zip(read_lattices(tmp_path / name), pairs, strict=True):
            assert key == given
            close(lattice, expected)
            assert lattice.n_frames == expected.n_frames


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("beam", [4.0, 1.5])
def test_compact_lattices_come_back_with_words_costs_and_labels(lattices, tmp_path, text, beam):
    made = [WordLattice.of(case[2], beam) for case in lattices]
    words = WORDS if text else None
    write_lattices(tmp_path / "x.ark", ((f"u{i}", w) for i, w in enumerate(made)), text=text, words=words)
    n = 0
    for (_, lattice), expected in zip(read_lattices(tmp_path / "x.ark", words=words), made, strict=True):
        found, wanted = sequences(WordLattice.of(lattice)), sequences(expected)
        assert [s[:2] for s in found] == [s[:2] for s in wanted]
        np.testing.assert_allclose([s[2] for s in found], [s[2] for s in wanted], atol=2e-3)
        n += len(found)
    assert n > 250


def test_a_compact_lattice_has_each_sequence_on_one_path_with_its_labels(lattices):
    for case in lattices[:60]:
        words = WordLattice.of(case[2], 4.0)
        compact = CompactLattice.of(words)
        paths = paths_of(compact.expanded())
        assert len({p[0] for p in paths}) == len(paths) == len(sequences(words))
        assert all(len(p[1]) == case[2].n_frames for p in paths)


def test_kaldis_own_reader_and_writer(lattices, tmp_path):
    """The class Lattice, by the library that Kaldi uses for it."""
    kaldifst = pytest.importorskip("kaldifst")
    for case in lattices[:40]:
        lattice = case[2]
        write_lattices(tmp_path / "x.ark", [("u", lattice)])
        (tmp_path / "x.fst").write_bytes((tmp_path / "x.ark").read_bytes().removeprefix(b"u "))
        theirs = kaldifst.Lattice.read(str(tmp_path / "x.fst"))
        rows = [line.split() for line in theirs.to_str().splitlines() if line.strip()]
        mine = [line.split() for line in lattice_text(lattice).splitlines()]
        assert len(rows) == len(mine)
        for row, own in zip(rows, mine, strict=True):
            n = len(row) - (len(row) in (2, 5))
            assert row[:n] == own[:n]
            if len(row) > n:
                a, b = ([float(x) for x in r[-1].split(",")] for r in (row, own))
                assert a == pytest.approx(b, rel=1e-5, abs=1e-5)  # they print six digits
        theirs.write(str(tmp_path / "y.fst"))
        (tmp_path / "y.ark").write_bytes(b"u " + (tmp_path / "y.fst").read_bytes())
        close(dict(read_lattices(tmp_path / "y.ark"))["u"], lattice)


def by_hand(number="f", name=b"compactlattice44"):
    """Two ways from state 1, the start: word 3 with labels 7 7, then 8 at the end; or word 4 with 5 6 6."""

    def weight(graph, acoustic, *labels):
        return struct.pack(f"<2{number}i{len(labels)}i", graph, acoustic, len(labels), *labels)

    def arc(word, target, *rest):
        return struct.pack("<2i", word, word) + weight(*rest) + struct.pack("<i", target)

    infinite = float("inf")
    head = struct.pack("<i", 2125659606) + struct.pack("<i", 6) + b"vector" + struct.pack("<i", len(name)) + name
    head += struct.pack("<iiQqqq", 2, 0, 0x10003, 1, 3, 2)
    states = weight(0.5, 0.25, 8) + struct.pack("<q", 0)
    states += (
        weight(infinite, infinite) + struct.pack("<q", 2) + arc(3, 0, 1.0, 2.0, 7, 7) + arc(4, 2, 1.5, 2.5, 5, 6, 6)
    )
    return head + states + weight(0.0, 0.0) + struct.pack("<q", 0)


@pytest.mark.parametrize(("number", "name"), [("f", b"compactlattice44"), ("d", b"compactlattice84")])
def test_a_compact_lattice_that_was_put_together_by_hand(tmp_path, number, name):
    (tmp_path / "x.ark").write_bytes(b"one " + by_hand(number, name) + b"two " + by_hand(number, name))
    found = list(read_lattices(tmp_path / "x.ark"))
    assert [key for key, _ in found] == ["one", "two"]
    for _, lattice in found:
        assert ordered(paths_of(lattice)) == [((3,), (7, 7, 8), 1.5, 2.25), ((4,), (5, 6, 6), 1.5, 2.5)]


def test_our_bytes_are_those_put_together_by_hand(tmp_path):
    text = "u \n1\t0\t3\t1,2,7_7\n1\t2\t4\t1.5,2.5,5_6_6\n0\t0.5,0.25,8\n2\n\n"
    (tmp_path / "x.txt").write_text(text)
    ((_, lattice),) = read_lattices(tmp_path / "x.txt")
    assert ordered(paths_of(lattice)) == [((3,), (7, 7, 8), 1.5, 2.25), ((4,), (5, 6, 6), 1.5, 2.5)]
    compact = CompactLattice.of(WordLattice.of(lattice))
    write_lattices(tmp_path / "x.ark", [("u", compact)])
    begins = compact.begins.tolist()
    expected = struct.pack("<i", 2125659606) + b"\6\0\0\0vector\x10\0\0\0compactlattice44"
    expected += struct.pack("<iiQqqq", 2, 0, 0x10003, 0, len(compact.finals), len(compact.arcs))
    for state, final in enumerate(compact.finals):
        at = len(compact.arcs) + state
        labels = compact.labels[begins[at] : begins[at + 1]].tolist()
        own = [(i, arc) for i, arc in enumerate(compact.arcs.tolist()) if arc[0] == state]
        expected += struct.pack(f"<2fi{len(labels)}iq", *final, len(labels), *labels, len(own))
        for i, (_, target, word, graph, acoustic) in own:
            labels = compact.labels[begins[i] : begins[i + 1]].tolist()
            expected += struct.pack(f"<2i2fi{len(labels)}ii", word, word, graph, acoustic, len(labels), *labels, target)
    assert (tmp_path / "x.ark").read_bytes() == b"u " + expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u \n0\t1\t3\t1,x,7\n1\n\n", r"x.ark:2: lattice 'u': 'x' where a cost is due"),
        (
            "u \n0\t1\t3\t1,2,7\n0\t1\tcat\t1,2,7\n1\n\n",
            r"x.ark:3: lattice 'u': 'cat' where the number of a word is due",
        ),
        ("u \n0\t1\t3\t1,2,7\n1\t0\t3\t1,2,7\n1\n\n", r"x.ark:2: lattice 'u': a path returns to a state"),
        ("u \n0\t1\t3\t1,2,7\n\n", r"x.ark:2: lattice 'u': a lattice without a path"),
        ("u \n0\t1\t3\tnan,2,7\n1\n\n", r"an arc's cost is no finite number"),
        ("u \n0\t1\t3\t1,2,7\n1", r"x.ark:3: the file ends amid a line"),
        ("u \n\n", r"x.ark:2: lattice 'u': no line"),
        ("u 0\t1\t3\n1\n", r"x.ark: lattice 'u': byte 2: neither a lattice of OpenFst"),
    ],
)
def test_what_is_wrong_in_a_text_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "x.ark").write_text(text)
    with pytest.raises(GraphError, match=message):
        list(read_lattices(tmp_path / "x.ark"))


def test_what_is_wrong_in_bytes_is_named_with_their_number(tmp_path):
    path = tmp_path / "x.ark"
    path.write_bytes(b"u " + by_hand()[:-30])
    with pytest.raises(GraphError, match=r"x.ark: lattice 'u': byte 1\d\d: the file ends amid the lattice"):
        list(read_lattices(path))
    path.write_bytes(b"u " + by_hand().replace(b"compactlattice44", b"standardlattices"))
    with pytest.raises(GraphError, match=r"byte 2: an FST of type 'vector' with 'standardlattices' arcs"):
        list(read_lattices(path))
    (tmp_path / "x.scp").write_text(f"u {path}:9999\n")
    with pytest.raises(GraphError, match=r"x.scp:1: .*byte 9999 is beyond"):
        list(read_lattices(tmp_path / "x.scp"))
    with pytest.raises(GraphError, match=r"missing.ark: cannot be read"):
        list(read_lattices(tmp_path / "missing.ark"))
    with pytest.raises(GraphError, match="the id 'a b' is empty or has white space"):
        write_lattices(path, [("a b", None)])


@pytest.mark.parametrize("kind", ["binary", "compact binary", "text", "compact text"])
def test_mutations_and_truncations_are_read_or_refused(lattices, tmp_path, kind):
    cases = [case[2] for case in lattices[:8]]
    made = [WordLattice.of(c, 4.0) if "compact" in kind else c for c in cases]
    path = tmp_path / "x.ark"
    write_lattices(path, ((f"u{i}", m) for i, m in enumerate(made)), text="text" in kind)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for number in range(300):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[int(rng.integers(len(data))) :]
        for _ in range(int(rng.integers(0, 4)) if number % 3 == 0 else int(rng.integers(1, 6))):
            if data:
                data[int(rng.integers(len(data)))] = int(
                    rng.choice([0, 9, 10, 44, 48, 57, 127, 128, 255, rng.integers(256)])
                )
        path.write_bytes(bytes(data))
        try:
            for _, lattice in read_lattices(path):
                assert np.isfinite(lattice.best_cost)
        except AsrError as error:
            assert "x.ark" in str(error)
            refused += 1
    assert refused > 50
