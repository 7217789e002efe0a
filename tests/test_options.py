"""Options by name: each is written out, with its default, where people look; a slip is told with the nearest."""

import ast
import dataclasses
import inspect
from pathlib import Path

import pytest

import asr
from asr.audio.synth import SynthOptions, synthesise_digits
from asr.lang.dictionary import dictionary_lexicon
from asr.lang.g2p import G2p
from asr.lang.letters import letter_lexicon
from asr.lang.lexicon import Lexicon
from asr.lang.sources import build_lexicon
from asr.lang.units import unit_lexicon
from asr.model import DecodingOptions, Model
from asr.options import given, known_names, takes_options
from asr.train.decoding import DecodingResult

SOURCE = Path(asr.__file__).parent
# What makes other pages or records of any names that it is given, and recipes' plumbing.
OPEN = {"asr/options.py", "asr/report/page.py", "asr/recipe", "asr/info/corpus.py"}


def public_functions(tree: ast.Module):
    """Functions and methods that have no underscore in front, with those of public classes."""
    for node in tree.body:
        for item in node.body if isinstance(node, ast.ClassDef) and node.name[0] != "_" else [node]:
            if isinstance(item, ast.FunctionDef) and (item.name[0] != "_" or item.name == "__init__"):
                yield item


def test_no_public_function_hides_its_options():
    hidden = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE.parent).as_posix()
        if not any(name.startswith(exempt) for exempt in OPEN):
            found = public_functions(ast.parse(path.read_text(encoding="utf-8")))
            hidden += [f"{name}: {f.name}(**{f.args.kwarg.arg})" for f in found if f.args.kwarg]
    assert not hidden


def keywords(function):
    found = inspect.signature(function).parameters.values()
    return {p.name: (p.annotation, p.default) for p in found if p.kind is p.KEYWORD_ONLY}


def fields(options):
    return {f.name: (f.type, f.default) for f in dataclasses.fields(options) if f.name != "entries"}


@pytest.mark.parametrize("function", [letter_lexicon, dictionary_lexicon, unit_lexicon, G2p.lexicon])
def test_settings_of_lexicons_are_written_out(function):
    assert fields(Lexicon).items() <= keywords(function).items()


@pytest.mark.parametrize(
    ("function", "options"),
    [(Lexicon.load, Lexicon), (build_lexicon, Lexicon), (Model.with_decoding, DecodingOptions)],
)
def test_where_none_is_what_was_there_before(function, options):
    wanted = {name: (kind | None, None) for name, (kind, _) in fields(options).items()}
    assert wanted.items() <= keywords(function).items()


def test_others():
    assert fields(SynthOptions).items() <= keywords(synthesise_digits).items()
    of_score = keywords(asr.score)
    assert keywords(DecodingResult.score) == of_score


def test_settings_reach_the_lexicon(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text(";; silence_phone=PAUSE oov=skip\na A\n")
    assert Lexicon.load(path) == Lexicon([("a", ("A",))], silence_phone="PAUSE", oov="skip")
    assert Lexicon.load(path, oov="error", silence_prob=0.1).silence_prob == 0.1
    assert Lexicon.load(path, oov="error").oov == "error"
    assert letter_lexicon(["ab"], silence_prob=0.0, position_dependent=True).position_dependent
    assert unit_lexicon(["A", "PAUSE"], silence_phone="PAUSE").entries == (("A", ("A",), 1.0),)
    built = build_lexicon(["a b"], [Lexicon.load(path), "letters"], silence_prob=0.2).lexicon
    assert (built.silence_phone, built.oov, built.silence_prob) == ("PAUSE", "skip", 0.2)


def test_a_model_is_searched_as_told(digits_model):
    changed = digits_model.with_decoding(beam=3.0, max_active=50).decoding
    assert changed == dataclasses.replace(digits_model.decoding, beam=3.0, max_active=50)
    assert digits_model.with_decoding(insertion_penalty=0.0).decoding.insertion_penalty == 0.0


def test_a_slip_is_told_with_the_nearest(digits_model, tmp_path):
    for call, message in (
        (
            lambda: digits_model.with_decoding(beem=3.0),
            r"Model.with_decoding\(\) has no option 'beem'; did you mean 'beam'",
        ),
        (
            lambda: Lexicon.load(tmp_path, silence=0.1),
            r"Lexicon.load\(\) has no option 'silence'; did you mean 'silence_p",
        ),
        (lambda: letter_lexicon(["a"], silence_probs=0.1), "did you mean 'silence_prob'"),
        (
            lambda: synthesise_digits(tmp_path, n_voices=3),
            r"synthesise_digits\(\) has no option 'n_voices'; did you mean",
        ),
    ):
        with pytest.raises(TypeError, match=message):
            call()


@dataclasses.dataclass(frozen=True)
class Size:
    width: int = 3
    height: int = 2


@takes_options(Size)
def area(factor, *, options=None, depth=1, width: int = 3, height: int = 2):
    """Of a box."""
    return factor * options.width * options.height * depth


def test_the_decorator():
    assert area(1) == 6 and area(1, width=5) == 10 and area(factor=2, options=Size(7), depth=2) == 56
    assert area(1, options=Size(7), width=3) == 6  # a default that is named counts
    assert area.__doc__ == "Of a box." and next(iter(inspect.signature(area).parameters)) == "factor"
    with pytest.raises(TypeError, match=r"area\(\) has no option 'widht'; did you mean 'width'"):
        area(1, widht=3)
    with pytest.raises(TypeError, match=r"area\(\) takes options of type Size, not dict"):
        area(1, options={"width": 3})


def test_given():
    assert given(a=None, b=0, c=False) == {"b": 0, "c": False}
    assert known_names(lambda x, *, y=1: x + y)(1, y=2) == 3
