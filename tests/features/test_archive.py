"""Feature matrices in files: what Kaldi's C++ wrote is read, what we write is what Kaldi writes, damage is named."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import CorpusError
from asr.features.archive import is_command, read_matrix, read_scp, scp_entries, write_archive, write_matrix
from asr.features.table import FeatureTable

RECORDED = Path(__file__).parents[1] / "references" / "archives.npz"  # see record_archives.py beside it


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as arrays:
        return dict(arrays)


def numpy_file(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize("kind", ["float", "double", "text", "CM", "CM2", "CM3"])
def test_archives_that_kaldi_wrote_are_read_as_kaldi_reads_them(recorded, tmp_path, monkeypatch, kind):
    (tmp_path / f"{kind}.ark").write_bytes(recorded[f"{kind}_bytes"].tobytes())
    (tmp_path / "feats.scp").write_text(str(recorded[f"{kind}_scp"]), encoding="utf-8")
    found = dict(read_scp(tmp_path / "feats.scp"))  # its paths are seen from its own folder
    assert list(found) == ["first", "sécond"]
    for name, matrix in found.items():
        expected = recorded[f"{kind}_{name}"]
        rounding = 5e-7 * np.ptp(expected) if kind.startswith("CM") else 0  # Kaldi decompresses in another order
        np.testing.assert_allclose(matrix, expected, rtol=0, atol=rounding)
        assert matrix.dtype == np.float32 and matrix.flags.c_contiguous
    monkeypatch.chdir(tmp_path)
    assert [place.split(":")[0] for _, _, place in scp_entries("feats.scp")] == [f"{kind}.ark"] * 2


def test_an_archive_is_written_byte_for_byte_as_kaldi_writes_it(recorded, tmp_path):
    pairs = [(name, recorded[f"matrix_{name}"]) for name in ("first", "sécond")]
    assert write_archive(tmp_path / "sub" / "float.ark", iter(pairs)) == 2
    assert (tmp_path / "sub" / "float.ark").read_bytes() == recorded["float_bytes"].tobytes()
    listed = (tmp_path / "sub" / "float.scp").read_text(encoding="utf-8")
    assert listed == str(recorded["float_scp"]).replace(" float.ark", f" {tmp_path}/sub/float.ark")
    assert sorted(p.name for p in (tmp_path / "sub").iterdir()) == ["float.ark", "float.scp"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=5), st.integers(0, 99))
def test_written_and_read_is_the_same(tmp_path_factory, shapes, seed):
    folder, rng = tmp_path_factory.mktemp("archive"), np.random.default_rng(seed)
    data = {f"u{i}": rng.normal(size=shape).astype(np.float32) for i, shape in enumerate(shapes)}
    write_archive(folder / "x.ark", data.items())
    ours, theirs = dict(read_scp(folder / "x.scp")), kaldiio.load_scp(str(folder / "x.scp"))
    write_matrix(folder / "u0.npy", data["u0"])
    ours["npy"], data["npy"] = read_matrix(folder / "u0.npy"), data["u0"]
    for name, matrix in data.items():
        assert np.array_equal(ours[name], matrix)
        assert name == "npy" or np.array_equal(theirs[name], matrix)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16, np.uint8, ">f4"])
def test_numpy_files_of_any_numbers(tmp_path, dtype):
    values = np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype))
    np.save(tmp_path / "x.npy", values)
    matrix = read_matrix(tmp_path / "x.npy")
    assert matrix.dtype == np.float32 and matrix.flags.c_contiguous and np.array_equal(matrix, values)


def test_ranges_of_frames_are_kaldis(tmp_path):
    """Both ends are included; a range may end up to 3 frames behind the last (Kaldi's ParseMatrixRangeSpecifier)."""
    frames = np.arange(40.0, dtype=np.float32).reshape(20, 2)
    write_archive(tmp_path / "x.ark", [("a", frames)])
    place = (tmp_path / "x.scp").read_text().split()[1]
    for text, first, last in (("0:5", 0, 5), ("3:3", 3, 3), ("3:22", 3, 19), ("2:4,:", 2, 4)):
        assert np.array_equal(read_matrix(f"{place}[{text}]"), frames[first : last + 1])
    for text in ("3:23", "20:21", "5:4", "", "2:4,0:1"):
        with pytest.raises(CorpusError, match=r"x\.ark:2\[.*range .* does not fit 20 frames"):
            read_matrix(f"{place}[{text}]")


GOOD = b"a \0BFM \4\2\0\0\0\4\3\0\0\0" + bytes(24)
BAD_ARCHIVES = {
    "cut short": (GOOD[:-1], "cut short: 2 frames of 3 values need 39 bytes, 38 are left"),
    "no bytes": (b"", "the file is empty"),
    "beyond": (b"a ", "byte 2 is beyond the file's 2 bytes"),
    "another offset": (b"a" + GOOD, r"no matrix at byte 2 \(found b' .*as its .scp lists it"),
    "vector": (b"a \0BFV \4\2\0\0\0" + bytes(8), "holds 'FV', which is no matrix"),
    "integers": (b"a \0B\4\2\0\0\0\4\1\0\0\0\4\1\0\0\0", "which is no matrix"),
    "impossible size": (b"a \0BFM " + b"\4\xff\xff\xff\x7f" * 2, "cut short: 2147483647 frames of 2147483647"),
    "negative size": (b"a \0BFM " + b"\4\xff\xff\xff\xff" * 2, "header is damaged: -1 frames"),
    "header cut": (b"a \0BFM \4\2", "not a feature matrix, or damaged"),
    "compressed and cut": (b"a \0BCM " + bytes(8) + b"\2\0\0\0\2\0\0\0" + bytes(19), "need 41 bytes, 40 are left"),
    "empty": (b"a \0BFM " + b"\4\0\0\0\0" * 2, r"shape \(0, 0\); need \(n_frames, dim\)"),
    "not a number": (GOOD[:-4] + b"\0\0\xc0\x7f", "frame 1, value 2 is nan; need finite"),
    "audio": (b"a RIFF0000WAVE", "no matrix at byte 2"),
    "text without end": (b"a  [\n 1 2\n 3 4\n", "no `]` ends the matrix"),
    "text of two widths": (b"a  [\n 1 2\n 3 ]\n", r"different numbers of values \(1 to 2\)"),
    "text without numbers": (b"a  [\n 1 x ]\n", "could not convert string to float: 'x'"),
    "text without frames": (b"a  [ ]\n", "shape"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_damaged_archives_are_named(tmp_path, case):
    content, message = BAD_ARCHIVES[case]
    (tmp_path / "x.ark").write_bytes(content)
    with pytest.raises(CorpusError, match=f"{tmp_path}/x.ark:2: .*{message}"):
        read_matrix(f"{tmp_path}/x.ark:2")


BAD_ARRAYS = {
    "vector": (np.zeros(3), r"shape \(3,\)"),
    "cube": (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
    "empty": (np.zeros((0, 13)), r"shape \(0, 13\)"),
    "number": (np.float64(3), r"shape \(\)"),
    "infinite": (np.array([[1, -np.inf]]), "frame 0, value 1 is -inf"),
    "too large for float32": (np.array([[1e300]]), r"frame 0, value 0 is 1e\+300"),
    "complex": (np.zeros((2, 2), complex), "type complex128"),
    "strings": (np.array([["a"]]), "type <U1"),
    "cut short": (np.ones((5, 5)), "not a feature matrix, or damaged"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_unusable_numpy_files_are_named(tmp_path, case):
    value, message = BAD_ARRAYS[case]
    path = tmp_path / "x.npy"
    np.save(path, value)
    if case == "cut short":
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorpusError, match=f"^{path}: .*{message}"):
        read_matrix(path)


def test_a_size_that_the_file_lacks_takes_no_memory(tmp_path):
    (tmp_path / "x.npy").write_bytes(numpy_file("(1000000000, 1000000)"))
    with pytest.raises(CorpusError, match="damaged"):
        read_matrix(tmp_path / "x.npy")


class _Trap:
    """What would leave a mark if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled_and_no_command_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "mark"
    poison = pickle.dumps(_Trap(mark))
    pickle.loads(poison)
    assert mark.exists()  # the trap works
    mark.unlink()
    Path("x.ark").write_bytes(b"a PKL" + poison)
    Path("x.npy").write_bytes(poison)
    np.save("object.npy", np.array([[_Trap(mark)]]), allow_pickle=True)
    commands = ("touch mark |", "touch mark|:1", "touch mark |[0:1]", "| touch mark", "ark:touch mark |")
    for place in ("x.ark:2", "x.npy", "object.npy", *commands):
        with pytest.raises(CorpusError, match="is a command" if "touch" in place else "x.ark|npy"):
            read_matrix(place)
    Path("x.scp").write_text("".join(f"u{i} {command}\n" for i, command in enumerate(commands)))
    problems = [str(place) for _, _, place in scp_entries("x.scp")]
    assert all(f"x.scp:{i}: 'u{i - 1}' is a command" in p for i, p in enumerate(problems, 1)) and len(problems) == 5
    assert not mark.exists()


def test_commands_are_known_in_every_dress():
    yes = ("gunzip -c x |", "|x", " cat x|  ", "ark,s,cs:cat x |", "ark,scp:a.ark,| cat", "x |:5", "x |[0:9]", "|")
    no = ("", "x.ark:12", "ark:x.ark", "scp,p:x.scp", "a|b.npy", "C:\\x|y.npy", "ark:-")
    assert [text for text in (*yes, *no) if is_command(text)] == list(yes)


def test_lines_of_a_scp_that_cannot_be_used(tmp_path):
    path = tmp_path / "x.scp"
    path.write_bytes("\ufeffa x.npy\r\n\r\na y.npy\nb\nc \xff\n".encode()[:-4] + b"\xff\n d  e f.npy \n")
    places = list(scp_entries(path))
    assert [where for where, _, _ in places] == [f"{path}:{i}" for i in (1, 3, 4, 5, 6)]
    assert places[0][1:] == ("a", "x.npy") and places[4][1:] == ("d", "e f.npy")
    assert "id 'a' was given before, in line 1" in str(places[1][2])
    assert "'b' has no place" in str(places[2][2]) and "not valid UTF-8" in str(places[3][2])
    with pytest.raises(CorpusError, match=rf"^{path}:1: a: x.npy: no such file"):
        list(read_scp(path))
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    with pytest.raises(CorpusError, match=rf"^{path}:3: id 'a' was given before"):
        list(read_scp(path))
    with pytest.raises(CorpusError, match=r"none\.scp: cannot be read"):
        list(read_scp(tmp_path / "none.scp"))


def test_places_that_are_no_files(tmp_path):
    cases = {"": "empty name", str(tmp_path): "is a folder", "nowhere.ark:3": "no such file", "a\0b.npy": "cannot be"}
    for place, message in cases.items():
        with pytest.raises(CorpusError, match=message):
            read_matrix(place)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.npy")
        with pytest.raises(CorpusError, match="is a pipe or device"):
            read_matrix(tmp_path / "pipe.npy")


def test_archives_are_written_whole_or_not_at_all(tmp_path):
    good = np.ones((2, 2))
    write_archive(tmp_path / "x.ark", [("a", good)])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for pairs, message in (
        ([("a", good), ("b", np.ones(3))], r"x.ark: 'b': holds an array of shape \(3,\)"),
        ([("a", good), ("a", good)], "id 'a' is there twice"),
        ([("a b", good)], "id 'a b' is empty or has white space"),
        ([("a", good * np.nan)], "frame 0, value 0 is nan"),
        ([], "no matrices to write"),
    ):
        with pytest.raises(CorpusError, match=message):
            write_archive(tmp_path / "x.ark", pairs)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    with pytest.raises(CorpusError, match=r"name ends in .ark"):
        write_archive(tmp_path / "x.npy", [("a", good)])
    with pytest.raises(CorpusError, match=r"x\.npy: holds values of type"):
        write_matrix(tmp_path / "x.npy", np.array([["a"]]))
    assert not (tmp_path / "x.npy").exists()


def test_a_killed_process_never_leaves_a_list_of_another_archive(tmp_path, killed_everywhere):
    path = tmp_path / "feats.ark"

    def save(value):
        write_archive(path, [("a", np.full((10 + value, 2), value, np.float32)), ("b", np.full((3, 2), value))])

    def check():
        if path.with_suffix(".scp").exists():
            found.add(tuple(matrix.mean() for _, matrix in read_scp(path.with_suffix(".scp"))))

    save(1)
    found = set()
    assert killed_everywhere(lambda: save(2), check) > 5
    assert found == {(1, 1), (2, 2)}


@pytest.mark.parametrize("kind", ["|V0", "<U0", "|S0"])
def test_values_of_no_bytes_are_refused_however_many_there_are(tmp_path, kind):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": (10**12, 39)})
    (tmp_path / "x.npy").write_bytes(header.getvalue())
    with pytest.raises(CorpusError, match=r"x\.npy: not a feature matrix, or damaged \(.* values of no bytes"):
        read_matrix(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name in ("ids", "frames", "offsets"):
            archive.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(CorpusError, match=r"x\.npz: .*values of no bytes"):
        FeatureTable.load(tmp_path / "x.npz")


def test_a_disk_that_is_full_after_a_part_is_told_as_the_system_does(tmp_path):
    """A limit of the size of files cuts it as a full disk does; numpy by itself tells how many values it wrote."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_matrix(tmp_path / "a.npy", np.ones((5000, 13), np.float32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
