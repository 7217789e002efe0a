"""Subtitles that a person can read: words with times, put together into cues of two lines at most.

Where a cue ends is chosen for a stretch of words at once, by a dynamic programme: in pauses rather than between words,
and so that each can be read in the time that it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..model.transcript import TimedWord

_FORMS = ("srt", "vtt")


@dataclass(frozen=True)
class SubtitleOptions:
    """What a cue may be. Widths and times are those that broadcasters give their subtitlers."""

    width: int = 42  # characters in a line
    n_lines: int = 2
    shortest: float = 1.0  # s; less is not noticed
    longest: float = 7.0  # s; more is read twice
    pace: float = 17.0  # characters a second that are read with ease
    pause: float = 1.5  # s; nobody waits longer for the end of a line, so such a pause always ends a cue
    gap: float = 0.08  # s between two cues, two frames of a film: so that the change is seen
    window: int = 60  # words that cues are chosen for at once


@dataclass(frozen=True)
class Cue:
    """What is shown from start to end, s, in lines."""

    start: float
    end: float
    lines: tuple[str, ...]


class Subtitles:
    """The text of a subtitle file, for words that come piece after piece.

    Args:
        form: "srt" or "vtt".

    Examples:
        >>> subtitles = Subtitles("srt")
        >>> subtitles.add([TimedWord("good", 0.5, 0.8), TimedWord("morning", 0.9, 1.4), TimedWord("all", 4.0, 4.3)])
        '1\\n00:00:00,500 --> 00:00:01,500\\ngood morning\\n\\n'
        >>> subtitles.end()
        '2\\n00:00:04,000 --> 00:00:05,000\\nall\\n\\n'
    """

    def __init__(self, form: str, options: SubtitleOptions | None = None) -> None:
        if form not in _FORMS:
            raise ValueError(f"form={form!r}; need one of {', '.join(_FORMS)}")
        self._form, self._options = form, options or SubtitleOptions()
        self._words: list[TimedWord] = []
        self._n_cues = 0
        self._head = "WEBVTT\n\n" if form == "vtt" else ""

    def add(self, words: Sequence[TimedWord]) -> str:
        """The cues that are certain with these words, which follow the last ones."""
        self._words += words
        text = self._taken_head()
        gaps = [i for i in range(1, len(self._words)) if _gap(self._words, i) >= self._options.pause]
        if gaps:
            text += self._written(cues(self._words[: gaps[-1]], self._options, until=self._words[gaps[-1]].start))
            self._words = self._words[gaps[-1] :]
        while len(self._words) >= self._options.window:
            ends = _ends(self._words, self._options)
            n = ends[-3] if len(ends) > 2 else ends[0]  # the last may change with what follows
            text += self._written(cues(self._words[:n], self._options, until=self._words[n].start))
            self._words = self._words[n:]
        return text

    def end(self) -> str:
        """The last cues."""
        words, self._words = self._words, []
        return self._taken_head() + self._written(cues(words, self._options))

    def _taken_head(self) -> str:
        head, self._head = self._head, ""
        return head

    def _written(self, found: list[Cue]) -> str:
        text = ""
        for cue in found:
            self._n_cues += 1
            times = f"{_clock(cue.start, self._form)} --> {_clock(cue.end, self._form)}"
            body = "\n".join(cue.lines)
            if self._form == "vtt":
                body = body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            text += f"{self._n_cues}\n{times}\n{body}\n\n"
        return text


def cues(
    words: Sequence[TimedWord], options: SubtitleOptions | None = None, *, until: float = float("inf")
) -> list[Cue]:
    """The words as cues, in order.

    Args:
        until: s; when something else is shown.
    """
    o, found, begin = options or SubtitleOptions(), list[Cue](), 0
    for end in _ends(words, o):
        text = [word.word for word in words[begin:end]]
        following = words[end].start if end < len(words) else until
        lines = _lines(text, o) or (" ".join(text),)
        found.append(Cue(words[begin].start, _shown_until(words, begin, end, following, o), lines))
        begin = end
    return found


def _ends(words: Sequence[TimedWord], o: SubtitleOptions) -> list[int]:
    """Where cues end: numbers of words, rising, the last that of all words."""
    cost, previous = [0.0] + [float("inf")] * len(words), [0] * (len(words) + 1)
    for end in range(1, len(words) + 1):
        for begin in range(end - 1, -1, -1):
            if end - begin > 1 and not _fits(words, begin, end, o):
                break  # nor would one that begins earlier
            total = cost[begin] + _badness(words, begin, end, o)
            if total < cost[end]:
                cost[end], previous[end] = total, begin
    ends, at = [], len(words)
    while at:
        ends.append(at)
        at = previous[at]
    return ends[::-1]


def _fits(words: Sequence[TimedWord], begin: int, end: int, o: SubtitleOptions) -> bool:
    """Whether several words may be one cue."""
    if words[end - 1].end - words[begin].start > o.longest or _gap(words, begin + 1) >= o.pause:
        return False
    return _lines([word.word for word in words[begin:end]], o) is not None


def _badness(words: Sequence[TimedWord], begin: int, end: int, o: SubtitleOptions) -> float:
    """How little one would like a cue: 1 for each, less where a pause ends it, more where it is too short to read."""
    following = words[end].start if end < len(words) else float("inf")
    shown = _shown_until(words, begin, end, following, o) - words[begin].start
    n_letters = sum(len(word.word) + 1 for word in words[begin:end]) - 1
    pause = min(1.0, _gap(words, end)) if end < len(words) else 1.0
    hasty = max(0.0, n_letters / o.pace / max(shown, 1e-3) - 1.0)
    inside = sum(min(1.0, _gap(words, i)) for i in range(begin + 1, end))
    return 1.0 - 1.5 * pause + inside + 20.0 * max(0.0, o.shortest - shown) + min(hasty, 3.0)


def _shown_until(words: Sequence[TimedWord], begin: int, end: int, following: float, o: SubtitleOptions) -> float:
    """When a cue goes: with its last word, or later where it needs time to be read and nothing follows yet."""
    start, last = words[begin].start, words[end - 1].end
    n_letters = sum(len(word.word) + 1 for word in words[begin:end]) - 1
    wanted = max(last, start + min(o.longest, max(o.shortest, n_letters / o.pace)))
    return max(min(wanted, following - o.gap), min(last, following), start + 1e-3)


def _lines(text: Sequence[str], o: SubtitleOptions) -> tuple[str, ...] | None:
    """The words in lines of much the same length; None where they need more lines than there are."""
    whole = " ".join(text)
    if len(whole) <= o.width:
        return (whole,)
    splits = [(" ".join(text[:i]), " ".join(text[i:])) for i in range(1, len(text))] if o.n_lines > 1 else []
    good = [pair for pair in splits if max(map(len, pair)) <= o.width]
    return min(good, key=lambda pair: max(map(len, pair))) if good else None


def _gap(words: Sequence[TimedWord], i: int) -> float:
    """Seconds of pause before a word."""
    return words[i].start - words[i - 1].end


def _clock(seconds: float, form: str) -> str:
    """Hours, minutes, seconds and thousandths, as the format has them."""
    thousandths = round(1000 * seconds)
    hours, rest = divmod(thousandths, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{',' if form == 'srt' else '.'}{rest % 1000:03d}"
