"""The page's command line agrees with Python's shlex on every input."""

import json
import random
import shlex
import subprocess
from pathlib import Path

import pytest

from aml_portal.node import find_node

MODULE = Path(__file__).parents[2] / "static/js/submit/arguments.js"
PIECES = [
    *"ab1 -=/.$;*#~`&|<>(){}[]!?%@:,\t\r\n\v\f\0\x7f\x85",
    *("'", '"', "\\"),
    *("''", '""', "\\\n", '\\"', "\\'", "\\\\", " ' ", ' " ', "$(", "\\ "),
    *("ä", "日本", "\u00a0", "\u2028", "🦊", "e\u0301"),
]


def run_js(body: str, given: list[object]) -> list[object]:
    program = f"""
      import {{ join, split }} from {json.dumps(MODULE.as_uri())};
      import {{ readFileSync, writeSync }} from "node:fs";
      const answers = JSON.parse(readFileSync(0, "utf8")).map({body});
      process.stdout.write(JSON.stringify(answers));
    """
    answer = subprocess.run(
        [find_node().folder / "node", "--input-type=module", "-e", program],
        input=json.dumps(given),
        capture_output=True,
        check=True,
        text=True,
    )
    answers: list[object] = json.loads(answer.stdout)
    return answers


def random_texts(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    return [
        "".join(chance.choice(PIECES) for _ in range(chance.randrange(14)))
        for _ in range(count)
    ]


def python_split(line: str) -> dict[str, object]:
    try:
        return {"arguments": shlex.split(line), "error": None}
    except ValueError as error:
        return {"error": "escape" if "escaped" in str(error) else "quote"}


@pytest.mark.parametrize("seed", range(3))
def test_split_is_that_of_shlex(seed: int) -> None:
    lines = random_texts(seed, 4000)
    for line, answer in zip(lines, run_js("split", [*lines]), strict=True):
        assert isinstance(answer, dict)
        expected = python_split(line)
        assert answer["error"] == expected["error"], line
        if expected["error"] is None:
            assert answer["arguments"] == expected["arguments"], line


@pytest.mark.parametrize("seed", range(3))
def test_join_is_that_of_shlex(seed: int) -> None:
    texts = random_texts(seed, 4000)
    lists = [texts[start : start + 5] for start in range(0, len(texts), 5)]
    answers = run_js("(words) => join(words)", [*lists])
    for words, answer in zip(lists, answers, strict=True):
        assert answer == shlex.join(words)
