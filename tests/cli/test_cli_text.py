"""`asr text normalize`: files and standard input, line by line, and what is told on stderr."""

import gzip
import io
import sys
import time

import pytest

from asr.cli.text import _lines


def test_a_file_becomes_words_and_the_changes_are_told(run, tmp_path):
    (tmp_path / "a.txt").write_text("Nyinga, WA.\r\n\r\nwa 25!\n", encoding="utf-8")
    done = run("text", "normalize", tmp_path / "a.txt", "--language", "en")
    assert done.status == 0 and done.out == "nyinga wa\n\nwa twenty five\n"
    assert "1 word in several spellings by case: WA/wa" in done.err.splitlines()
    done = run(
        "text", "normalize", tmp_path / "a.txt", "--out", tmp_path / "b", "--case", "keep", "--punctuation", "keep"
    )
    assert (tmp_path / "b").read_text() == "Nyinga, WA.\n\nwa 25!\n" and done.out == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_and_gzip(run, tmp_path, encoding):
    text = "Été, ça!\n" * 3
    (tmp_path / "a").write_bytes(text.encode(encoding))
    (tmp_path / "a.gz").write_bytes(gzip.compress(text.encode(encoding)))
    for name in ("a", "a.gz"):
        assert run("text", "normalize", tmp_path / name).out == "été ça\n" * 3


def test_standard_input_and_ids(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Utt-1 Hello, World!\nutt-2\tOh.")))
    assert run("text", "normalize", "-", "--ids").out == "Utt-1 hello world\nutt-2\toh\n"


def test_lines_that_are_no_text_are_named_and_left_out(run, tmp_path):
    (tmp_path / "a").write_bytes(b"one\n\xff\xfe\xfa\ntwo\n")
    done = run("text", "normalize", tmp_path / "a")
    assert done.status == 1 and done.out == "one\ntwo\n" and "a:2: not UTF-8 text; left out" in done.err
    assert "nowhere" in run("text", "normalize", tmp_path / "nowhere").complaint
    assert "is an input too" in run("text", "normalize", tmp_path / "a", "--out", tmp_path / "a").complaint


def test_long_lines_take_the_time_of_their_bytes(run, tmp_path, monkeypatch):
    """Put together anew at each block, half of the line would be copied 900 times."""
    begin = time.process_time()
    (long, end) = _lines([*[b"a" * (1 << 16)] * 900, b"\nend"], "a")
    assert len(long) == 900 << 16 and end == b"end" and time.process_time() - begin < 2
    lines = [b"word " * (30_000 * k) for k in range(4)]
    (tmp_path / "b").write_bytes(b"\n".join(lines))  # ends within blocks
    assert [line.count("word") for line in run("text", "normalize", tmp_path / "b").out.splitlines()] == [
        0, 30_000, 60_000, 90_000,
    ]  # fmt: skip
    monkeypatch.setattr(sys.modules["asr.cli.text"], "_LONGEST", 100_000)
    assert "a line of more than 0 MiB" in run("text", "normalize", tmp_path / "b").complaint


def test_a_language_that_does_not_exist_is_refused(run, tmp_path):
    (tmp_path / "a").write_text("one\n")
    done = run("text", "normalize", tmp_path / "a", "--language", "english")
    assert done.status != 0 and "nearest: en" in done.complaint and not done.out


def test_sentences_of_a_packed_book(run, tmp_path):
    import lzma

    book = "CHAPTER I.\n\nMr. Holl came in. He sat\ndown, and so it\nwas. [Illustration: IT WAS]\n\n"
    book += "\u201cNo!\u201d she cried.\n"
    (tmp_path / "book.xz").write_bytes(lzma.compress(book.encode()))
    done = run("text", "sentences", tmp_path / "book.xz", "--language", "en", "--out", tmp_path / "out")
    lines = ["Mr. Holl came in.", "He sat down, and so it was.", "\u201cNo!\u201d she cried."]
    assert done.status == 0 and (tmp_path / "out").read_text().splitlines() == lines
    assert "3 sentences in 3 paragraphs; left out: 1 heading, 1 mark" in done.err
    assert run("text", "sentences", tmp_path / "book.xz", "--headings").out.startswith("CHAPTER I.\n")


def test_sentences_of_what_is_no_text_and_of_standard_input(run, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"One. Two\n\xff\xfe\xfa\nthree.\n")
    done = run("text", "sentences", tmp_path / "a", "--lines", "paragraphs")
    assert done.status == 1 and done.out == "One.\nTwo\nthree.\n" and "a:2: not UTF-8 text; left out" in done.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"It is. It was.")))
    assert run("text", "sentences", "-").out == "It is.\nIt was.\n"


def test_what_would_not_be_packed_is_not_named_so(run, tmp_path):
    (tmp_path / "text.txt").write_text("One.\n")
    for command, suffix in (("sentences", "gz"), ("normalize", "xz")):
        done = run("text", command, tmp_path / "text.txt", "--out", tmp_path / f"out.txt.{suffix}")
        assert done.status == 1 and "is not packed" in done.complaint
        assert not (tmp_path / f"out.txt.{suffix}").exists()
