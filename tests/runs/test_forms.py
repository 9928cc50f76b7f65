"""Durations as they are typed, and which values are covered."""

import re
import subprocess

import pytest
from hypothesis import given, strategies

from aml_portal.durations import (
    format_duration,
    parse_duration,
    short_duration,
    spell_duration,
)
from aml_portal.errors import UserError
from aml_portal.node import find_node
from aml_portal.secret_names import MASKED_NAMES, looks_secret
from runs.configuration import ScriptRunConfiguration
from runs.masking import HIDDEN, masked


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("2h 30m", 9000),
        ("2h30m", 9000),
        ("1.5 hours", 5400),
        ("1 day, 2 hrs", 93600),
        ("45 min", 2700),
        (" 10 Minutes ", 600),
        ("0.4s", 0),
        ("none", None),
        ("No limit", None),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2h 30", "2x", "-5", "1h 2", "h", "1e9", "9999999999 d", "²"],
)
def test_what_is_no_duration_is_refused_with_advice(text: str) -> None:
    with pytest.raises(UserError) as told:
        parse_duration(text)
    assert told.value.advice.endswith(".")


@given(strategies.one_of(strategies.none(), strategies.integers(0, 3650 * 86400)))
def test_a_duration_is_read_as_it_was_written(seconds: int | None) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


def test_a_duration_is_said_back_in_words() -> None:
    assert spell_duration(90061) == "1 day 1 hour 1 minute 1 second"
    assert spell_duration(7200) == "2 hours"
    assert spell_duration(None) == "no limit"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 ms"),
        (0.012, "12 ms"),
        (0.9996, "1.0 s"),
        (3.44, "3.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 m 00 s"),
        (7620, "2 h 07 m"),
        (356400, "4 d 3 h"),
        (None, ""),
    ],
)
def test_how_long_something_took_is_told_in_short(
    seconds: float | None, said: str
) -> None:
    assert short_duration(seconds) == said


_SECRET = ("API_KEY", "apikey", "DB_PASSWORD", "token", "AWS_SECRET_ACCESS_KEY", "SAS")
_PLAIN = ("KEYBOARD", "TOKENIZER", "LR", "PASSES", "MONKEY", "AUTHOR", "SEED")


@pytest.mark.parametrize("name", _SECRET)
def test_a_name_that_looks_secret_has_its_value_covered(name: str) -> None:
    typed = ScriptRunConfiguration(script="a.py", environment_variables={name: "x"})
    assert masked(typed).environment_variables == {name: HIDDEN}


@pytest.mark.parametrize("name", _PLAIN)
def test_other_names_have_theirs_shown(name: str) -> None:
    assert not looks_secret(name)


def test_the_browser_covers_the_same_names() -> None:
    program = """
      const [pattern, ...names] = process.argv.slice(1);
      const secret = new RegExp(pattern, "i");
      console.log(names.filter((name) => secret.test(name)).join(" "));
    """
    node = str(find_node().folder / "node")
    command = [node, "-e", program, "--", MASKED_NAMES, *_SECRET, *_PLAIN]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert re.split(r"\s+", said.strip()) == [*_SECRET]
