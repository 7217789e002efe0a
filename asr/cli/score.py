"""`asr score`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .common import complain, output, piped


class Unit(str, Enum):
    """What is counted in scoring."""

    word = "word"
    char = "char"


_OF_ALL = ("%SER", "95 % interval not known")  # lines that say the same of words and characters, once


def score(
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REF",
            callback=piped,
            help="Kaldi text, TSV, CSV, NIST's .trn, .stm, .ctm, MLF, JSON lines, a corpus.",
        ),
    ],
    hypothesis: Annotated[
        Path, typer.Argument(metavar="HYP", callback=piped, help="The same for what was recognised; - is stdin.")
    ],
    unit: Annotated[Unit | None, typer.Option("--unit", help="Score this unit only; both by default.")] = None,
    confusions: Annotated[int, typer.Option("--confusions", min=0, help="How many confusions to list.")] = 10,
    ids: Annotated[
        bool | None,
        typer.Option(
            "--ids/--no-ids", help="Lines begin with ids, or have none: line belongs to line.", show_default=False
        ),
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Score the ids that both have, and leave out the others.")
    ] = False,
) -> None:
    """Compare transcripts with references: error rates.

    Word and character error rate with a confidence interval, and the most frequent confusions. Utterances are
    joined by id; one that HYP lacks counts as deletions. Words of a .ctm are put into the segments of a .stm by their
    times, as sclite does. Of two .ctm files also how far the edges of correct words are from the reference's. Where
    references hold NIST's { um / uh / @ } the best of these counts, and words in parentheses, (uh), may be missing.

    \b
    Example:
      asr score data/test/text words.tsv
      asr score data/test/reference.ctm words.ctm
      asr score segments.stm words.ctm
    """
    from ..display.brief import many
    from ..scoring import score as compare
    from ..scoring.alternatives import has_notation
    from ..scoring.edges import read_ctm_pair, score_edges
    from ..scoring.reading import read_pair, seem_to_have_ids

    references, hypotheses = read_pair(reference, hypothesis, ids=ids)
    if common:
        references, hypotheses = _shared(references, hypotheses)
    if ids is False and any(seem_to_have_ids(side.values()) for side in (references, hypotheses)):
        complain("warning: the lines seem to begin with ids, which count as words with --no-ids; leave it out")
    if n := sum(map(has_notation, references.values())):
        complain(
            f"{many(n, 'reference')} can be said in several ways, {{ um / uh }} or (uh): the one with the fewest "
            "errors counts, and words in parentheses may be missing"
        )
    if told := _of_spelling(references, hypotheses):
        complain(f"warning: {told}")
    with output(None) as stream:
        shown: set[str] = set()
        for each in [unit] if unit else list(Unit):
            result = compare(references, hypotheses, unit=each.value)
            lines = result.report(confusions=confusions if each is Unit.word or unit else 0).splitlines()
            stream.write("".join(f"{line}\n" for line in lines if line not in shown or not line.startswith(_OF_ALL)))
            shown.update(lines)
        if all(path.suffix.lower() == ".ctm" for path in (reference, hypothesis)):
            timed = (
                {name: words for name, words in side.items() if name in references}
                for side in read_ctm_pair(reference, hypothesis)
            )
            stream.write("\n" + score_edges(*timed).report() + "\n")


def _shared(references: dict[str, str], hypotheses: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Both, of the ids that both have; says what was left out. Raises CorpusError where there are none."""
    from ..display.brief import many
    from ..errors import CorpusError

    names = [name for name in references if name in hypotheses]
    if not names:
        raise CorpusError(
            f"no id is in both: references have ids like {next(iter(references))!r}, hypotheses like "
            f"{next(iter(hypotheses), '')!r}"
        )
    n_left = len(references) - len(names), len(hypotheses) - len(names)
    if any(n_left):
        of_each = f"{many(n_left[0], 'reference')} and {many(n_left[1], 'hypothesis', 'hypotheses')}"
        complain(f"left out: {of_each} without the other")
    return {name: references[name] for name in names}, {name: hypotheses[name] for name in names}


def _of_spelling(references: dict[str, str], hypotheses: dict[str, str]) -> str:
    """A warning where a part of the errors are of case and punctuation alone, else nothing."""
    from ..lang.normalize import Normalizer, Rules
    from ..scoring import score as compare
    from ..scoring.alternatives import has_notation

    made = Normalizer(Rules(brackets="keep", numbers="keep"))
    plain = {name: text for name, text in references.items() if not has_notation(text)}
    if not plain:
        return ""
    recognised = {name: hypotheses[name] for name in plain if name in hypotheses}
    sides = [{name: made(text) for name, text in side.items()} for side in (plain, recognised)]
    errors, fewer = compare(plain, recognised).errors, compare(sides[0], sides[1]).errors
    if fewer >= errors or 10 * (errors - fewer) < errors:
        return ""
    return f"{errors - fewer} of the {errors} errors of words are of case or punctuation alone; see asr text normalize"
