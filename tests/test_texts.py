"""Texts and JSON of strangers' files: limits on what is read, and every damage is an error that names the file."""

import gzip
import json

import pytest

import asr.texts
from asr.errors import AsrError, CorpusError, ModelError
from asr.files import numbered_lines, read_bytes, size_in_words
from asr.texts import read_json, text_blocks, text_bytes


def test_plain_and_packed_texts_are_the_same(tmp_path):
    text = "één\ntwo\n".encode() * 400_000
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "packed").write_bytes(gzip.compress(text[:999]) + gzip.compress(text[999:]))
    assert text_bytes(tmp_path / "plain") == text_bytes(tmp_path / "packed") == text
    assert max(map(len, text_blocks(tmp_path / "packed"))) <= 1 << 20


def test_what_unpacks_to_a_thousand_times_its_size_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(bytes(70 << 20)))
    with pytest.raises(AsrError, match=r"bomb\.gz: unpacks to more than 100 times its size"):
        text_bytes(bomb)
    monkeypatch.setattr(asr.texts, "_ALWAYS", 80 << 20)
    assert len(text_bytes(bomb)) == 70 << 20  # texts of one line again and again are packed well, too
    with pytest.raises(CorpusError, match=r"bomb\.gz: holds more than 1 MiB"):
        text_bytes(bomb, most=1 << 20, error=CorpusError)


def test_a_sparse_file_and_a_device_are_refused_at_the_limit(tmp_path):
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(50 << 30)
    for path in (tmp_path / "sparse", "/dev/zero"):
        for read in (text_bytes, lambda path, most: list(numbered_lines(path, most=most)), read_bytes):
            with pytest.raises((AsrError, OSError), match="holds more than 3 MiB"):
                read(path, most=3 << 20)
    with pytest.raises(AsrError, match="sparse: holds more than 64 MiB"):
        read_json(tmp_path / "sparse")


@pytest.mark.parametrize("cut", [3, 10, 30, -1])
def test_a_gzip_file_cut_short(tmp_path, cut):
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"some words\n" * 10)[:cut])
    with pytest.raises(AsrError, match=r"cut\.gz: damaged gzip file"):
        text_bytes(tmp_path / "cut.gz")


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "lost").symlink_to("nowhere")
    for name in ("nothing", "lost", ".", "a\0b"):
        with pytest.raises(ModelError, match="cannot be read: "):
            text_bytes(tmp_path / name, error=ModelError)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not JSON"),
        (b"[1]", r"holds a list of JSON; need an object, \{"),
        (b"5", "holds a int of JSON"),
        (b"\xff{}", "not JSON, or damaged"),
        (b"{" * 10, "not JSON"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON"),
    ],
)
def test_json_that_is_none(tmp_path, content, complaint):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ModelError, match=rf"x\.json: .*{complaint}"):
        read_json(tmp_path / "x.json", error=ModelError)


def test_json_of_any_kind(tmp_path):
    for content, kind in (({"a": 1}, dict), ([1], list), (3, object)):
        (tmp_path / "x.json").write_text(json.dumps(content))
        assert read_json(tmp_path / "x.json", kind=kind) == content


def test_sizes_in_words():
    assert [size_in_words(n) for n in (5, 1 << 20, 3 << 29)] == ["5 bytes", "1 MiB", "1.5 GiB"]
