from dataclasses import dataclass, field
from typing import Literal

import pytest

from asr.errors import ConfigError
from asr.options import load_config


@dataclass(frozen=True)
class Mono:
    passes: int = 40
    boost: float = 1.0
    realign: tuple[int, ...] = (1, 2, 3)

    def __post_init__(self):
        if self.passes < 1:
            raise ValueError(f"passes={self.passes}; need 1 or more")


@dataclass(frozen=True)
class Settings:
    name: str
    seed: int = 0
    test: Literal["official", "loso"] = "official"
    limit: int | None = None
    shout: bool = False
    mono: Mono = field(default_factory=Mono)


def load(tmp_path, text):
    file = tmp_path / "digits.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file, Settings)


def test_values_defaults_and_tables(tmp_path):
    settings = load(tmp_path, 'name = "x"\nlimit = 3\n[mono]\nboost = 2\nrealign = [1, 5]\n')
    assert settings == Settings("x", limit=3, mono=Mono(boost=2.0, realign=(1, 5)))
    assert type(settings.mono.boost) is float


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\n[mono]\nrealing = [1]', r"digits.toml: mono.realing is not a setting; did you mean 'realign'\?"),
        ('name = "x"\nsed = 1', r"digits.toml: sed is not a setting; did you mean 'seed'"),
        ("seed = 1", r"digits.toml: name is missing"),
        ('name = "x"\nseed = "1"', r"digits.toml: seed is '1', of type str; it must be of type int"),
        ('name = "x"\nseed = true', r"seed is True, of type bool; it must be of type int"),
        ('name = "x"\nseed = 1.5', r"seed is 1.5, of type float"),
        ('name = "x"\nmono = 3', r"mono is 3; it needs a table, \[mono\]"),
        ('name = "x"\ntest = "offcial"', r"test is 'offcial'; it must be one of 'official', 'loso'; did you mean"),
        ('name = "x"\nlimit = "all"', r"limit is 'all', of type str"),
        ('name = "x"\n[mono]\nrealign = 3', r"mono.realign is 3; it must be a list"),
        ('name = "x"\n[mono]\nrealign = [1, "2"]', r"mono.realign\[1\] is '2'"),
        ('name = "x"\n[mono]\npasses = 0', r"digits.toml: mono: passes=0; need 1 or more"),
        ("name = ", r"digits.toml: not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none.toml: cannot be read"):
        load_config(tmp_path / "none.toml", Settings)
