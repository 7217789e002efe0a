"""Files that are written whole or not at all, and readers that name the file, the line and what is wrong."""

from .whole import (
    MOST_BYTES,
    as_system,
    as_utf8,
    check_replaceable,
    dead_link,
    decoded_lines,
    give_usual_mode,
    is_stream,
    kind_of,
    numbered_lines,
    read_bytes,
    readable,
    replacing,
    sha256,
    size_in_words,
    write_text,
)

__all__ = [
    "MOST_BYTES",
    "as_system",
    "as_utf8",
    "check_replaceable",
    "dead_link",
    "decoded_lines",
    "give_usual_mode",
    "is_stream",
    "kind_of",
    "numbered_lines",
    "read_bytes",
    "readable",
    "replacing",
    "sha256",
    "size_in_words",
    "write_text",
]
