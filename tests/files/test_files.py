"""Files written whole or not at all, lines with numbers, hashes, and options from keywords."""

import contextlib
import hashlib
import json
import os
import stat
import sys
from dataclasses import FrozenInstanceError, dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.files.whole import (
    _remove_left_overs,
    decoded_lines,
    give_usual_mode,
    is_stream,
    kind_of,
    numbered_lines,
    replacing,
    sha256,
    write_text,
)
from asr.options import field_names, with_keywords


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    target = tmp_path / "new" / "file"
    for content in ("first", "second"):
        with replacing(target) as temporary:
            temporary.write_text(content)
            assert not target.exists() or target.read_text() == "first"
        assert target.read_text() == content
    assert [p.name for p in target.parent.iterdir()] == ["file"]


def test_nothing_changes_when_the_block_fails(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_directory_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "model"
    for name in ("a", "b"):
        with replacing(target) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert target.read_text() == "old"


def test_text_is_utf8_with_unix_line_ends(tmp_path):
    write_text(tmp_path / "t", "caf\u00e9\n")
    assert (tmp_path / "t").read_bytes() == b"caf\xc3\xa9\n"


def test_hash_is_that_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "f").write_bytes(content)
    assert sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)), st.booleans(), st.booleans()
)
def test_lines_are_numbered_whatever_the_system_that_wrote_them(tmp_path_factory, lines, windows, bom):
    path = tmp_path_factory.getbasetemp() / "lines"
    lines = [line for line in lines if not line.startswith("\ufeff")]
    end = "\r\n" if windows else "\n"
    path.write_bytes(b"\xef\xbb\xbf" * bom + "".join(line + end for line in lines).encode())
    assert list(numbered_lines(path)) == list(enumerate(lines, 1))


def test_a_line_that_is_not_utf8_is_none_and_a_last_line_needs_no_end(tmp_path):
    (tmp_path / "t").write_bytes(b"a\n\xff\n\nb")
    assert list(numbered_lines(tmp_path / "t")) == [(1, "a"), (2, None), (3, ""), (4, "b")]


@dataclass(frozen=True)
class Options:
    """Two fields to set."""

    num_ceps: int = 13
    window: str = "povey"


def test_options_from_keywords():
    assert field_names(Options) == ["num_ceps", "window"]
    assert with_keywords(Options(), {"num_ceps": 20}, "mfcc()") == Options(20)
    with pytest.raises(TypeError, match=r"^mfcc\(\) has no option 'num_cep'; did you mean 'num_ceps'\?$"):
        with_keywords(Options(), {"num_cep": 20}, "mfcc()")
    with pytest.raises(FrozenInstanceError):
        Options().num_ceps = 1


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "target"]


def test_kinds_of_paths(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    kinds = {"file": "file", ".": "folder", "nowhere": "missing", "file/inner": "missing", "lost": "missing"}
    kinds |= {"loop": "unreachable", "a" * 5000: "unreachable", "a\0b": "unreachable"}
    assert {name: kind_of(tmp_path / name) for name in kinds} == kinds
    assert kind_of(os.devnull) == "other"


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff"), min_size=1), min_size=1),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]),
    st.booleans(),
)
def test_lines_are_the_same_whatever_the_encoding_and_the_ends(lines, end, encoding, last):
    mark = b"" if encoding.startswith("utf-8") else "\ufeff".encode(encoding)
    raw = mark + (end.join(lines) + end * last).encode(encoding)
    assert list(decoded_lines(raw)) == list(enumerate(lines, 1))


def test_half_a_character_of_utf16_costs_its_own_line_alone():
    whole = "\ufeffone\ntwo\nthree\n"
    raw = whole.encode("utf-16-le").replace("w".encode("utf-16-le"), b"\x00\xd8")
    assert list(decoded_lines(raw)) == [(1, "one"), (2, None), (3, "three")]
    assert list(decoded_lines(whole.encode("utf-16-be") + b"\0")) == [(1, "one"), (2, "two"), (3, "three"), (4, None)]


def test_marks_at_the_start_of_any_line_are_dropped_and_others_are_not():
    assert list(decoded_lines("\ufeffa\n\ufeffb\ufeff\n".encode())) == [(1, "a"), (2, "b\ufeff")]
    assert list(decoded_lines(b"")) == list(decoded_lines(b"\xef\xbb\xbf")) == list(decoded_lines(b"\xff\xfe")) == []


def streams(folder):
    """A named pipe, and where the system lets us make one a device like /dev/null."""
    os.mkfifo(folder / "pipe")
    with contextlib.suppress(PermissionError):
        os.mknod(folder / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    return [p for p in (folder / "pipe", folder / "null") if p.exists()]


def test_pipes_and_devices_are_written_to_and_never_replaced(tmp_path):
    for path in streams(tmp_path):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(path.name)
        for place in (path, tmp_path / "link"):
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            write_text(place, "hello\n")
            assert os.read(reader, 100) == (b"hello\n" if path.name == "pipe" else b"")
            os.close(reader)
            assert kind_of(path) == "other" and kind_of(place) == "other"
        with pytest.raises(NotADirectoryError), replacing(path) as temporary:
            temporary.mkdir()
    assert {p.name for p in tmp_path.iterdir()} <= {"pipe", "null", "link"}


def test_shared_memory_is_a_folder_like_any_other_and_standard_output_is_not():
    assert [is_stream(p) for p in ("/dev/shm/x", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/null", "x")] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]


def test_names_that_can_be_no_file(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", "a\0b", "a" * 300, "file/x"):
        (tmp_path / "file").touch()
        with pytest.raises(OSError), replacing(tmp_path / name) as temporary:
            temporary.touch()
    write_text(tmp_path / ("é" * 120), "a name as long as there can be\n")
    assert (tmp_path / "loop").is_symlink()
    assert sorted(p.name[:4] for p in tmp_path.iterdir()) == ["file", "loop", "éééé"]


def test_a_folder_of_other_files_is_not_replaced(tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").touch()
    complaint = pytest.raises(OSError, match=r"folder of other files, without model\.json")
    with complaint, replacing(tmp_path / "papers", mark="model.json") as temporary:
        temporary.mkdir()
    assert (tmp_path / "papers" / "thesis.tex").exists()
    (tmp_path / "papers" / "thesis.tex").rename(tmp_path / "papers" / "model.json")
    with replacing(tmp_path / "papers", mark="model.json") as temporary:
        temporary.mkdir()
    assert not list((tmp_path / "papers").iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux swaps folders at one go")
def test_a_killed_process_leaves_the_old_or_the_new_folder_and_the_next_one_tidies_up(tmp_path, killed_everywhere):
    target = tmp_path / "model"

    def save(letter):
        with replacing(target) as temporary:
            temporary.mkdir()
            for name in ("one", "two"):
                (temporary / name).write_text(letter)

    def check():
        found.add(tuple((target / name).read_text() for name in ("one", "two")))

    save("a")
    found = set()
    assert killed_everywhere(lambda: save("b"), check) > 5
    assert found == {("a", "a"), ("b", "b")}
    _remove_left_overs.cache_clear()
    assert len(list(tmp_path.iterdir())) > 1
    write_text(tmp_path / "other", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "other"]


def test_what_is_being_written_is_no_left_over(tmp_path):
    with replacing(tmp_path / "slow") as temporary:
        temporary.write_text("half")
        _remove_left_overs.cache_clear()
        write_text(tmp_path / "quick", "")
        assert temporary.read_text() == "half"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["quick", "slow"]


def test_without_swapping_a_new_folder_gets_its_place_later(tmp_path):
    holder = tmp_path / ".model.writing-abcdefgh"
    for name in (".previous", "model"):  # as it is between the two steps
        (holder / name).mkdir(parents=True)
        (holder / name / "which").write_text(name)
    (tmp_path / ".model.settings").mkdir()  # somebody else's
    _remove_left_overs.cache_clear()
    write_text(tmp_path / "other", "")
    assert (tmp_path / "model" / "which").read_text() == "model"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".model.settings", "model", "other"]


def test_files_get_the_usual_mode(tmp_path):
    (tmp_path / "file").touch(0o600)
    old = os.umask(0o027)
    try:
        give_usual_mode(tmp_path / "file")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def whole_model(folder):
    """The seed of a model's folder, whose files are those that its model.json lists."""
    description = json.loads((folder / "model.json").read_text())
    for name, expected in description["files"].items():
        assert sha256(folder / name) == expected["sha256"]
    return description["seed"]


def test_a_model_has_the_usual_modes_and_is_there_whenever_a_process_is_killed(
    digits_model, tmp_path, killed_everywhere
):
    target = digits_model.save(tmp_path / "model")
    (tmp_path / "new").touch()
    assert {p.stat().st_mode for p in target.iterdir()} == {(tmp_path / "new").stat().st_mode}
    other = replace(digits_model, seed=digits_model.seed + 1, graph=None, card="")
    seeds = set()
    assert killed_everywhere(lambda: other.save(target), lambda: seeds.add(whole_model(target))) > 20
    assert seeds == {digits_model.seed, digits_model.seed + 1}
