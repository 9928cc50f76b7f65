"""`conda.yml`, hand-written and hostile."""

import json
import time

import pytest

from aml_portal.errors import UserError
from environments.definition import CondaDependencies, Definition
from environments.formats import conda
from environments.formats.pip_lines import check_line

_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def dependencies(text: str) -> CondaDependencies:
    return conda.read(text.encode()).definition.python.conda_dependencies


def test_channels_packages_pip_and_variables_are_read() -> None:
    read = conda.read(
        b"""\xef\xbb\xbf# by hand
name: train\r
channels: [conda-forge, https://h/channel]
dependencies:
- python=3.10
- conda-forge::cudatoolkit>=11,<12
- pip:
  - numpy  # fast
  - --extra-index-url https://h/simple
variables: {A: 1.10, B: yes, C: }
prefix: /opt/conda/envs/train
"""
    )
    found = read.definition.python.conda_dependencies
    assert (read.name, read.notes) == ("train", ())
    assert found.channels == ("conda-forge", "https://h/channel")
    assert found.packages == ("python=3.10", "conda-forge::cudatoolkit>=11,<12")
    assert found.pip == ("numpy", "--extra-index-url https://h/simple")
    # As they were written: 1.10 is no number, and yes is no truth.
    assert read.definition.environment_variables == {"A": "1.10", "B": "yes", "C": ""}


def test_anchors_and_merge_keys_work() -> None:
    found = dependencies(
        "x: &x [numpy, scipy]\ny: &y {pip: *x}\ndependencies: [python=3.9, {<<: *y}]"
    )
    assert found.pip == ("numpy", "scipy")


@pytest.mark.parametrize(
    "spec",
    [
        *("numpy", "numpy 2.*", "numpy>=2,<3", "numpy=2.1=py311*", "numpy 1.8|1.9"),
        *("conda-forge::numpy", "main/linux-64::numpy", "_libgcc_mutex"),
        *("numpy[version='>=2', build=*cuda*]", 'numpy[version=">=2"]', "numpy[]"),
    ],
)
def test_specs_of_conda_are_taken(spec: str) -> None:
    assert dependencies(f"dependencies: [{json.dumps(spec)}]").packages == (spec,)


def test_what_is_long_and_nothing_is_refused_at_once() -> None:
    begun = time.monotonic()
    for spec in ("far[" + "version=1" * 40, "far[" + "build='1'," * 40):
        with pytest.raises(UserError):
            dependencies(f"dependencies: [{json.dumps(spec)}]")
    with pytest.raises(UserError):
        check_line(f"far{' ' * 19_000}x")
    assert time.monotonic() < begun + 2


def test_unknown_keys_are_told_and_ignored() -> None:
    read = conda.read(b"dependencies: [python=3.9]\nplatforms: [linux-64]\n")
    assert read.notes == (
        "conda_dependencies.yml: “platforms” is not known, and ignored.",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (_BOMB, "unfolds to more than 20,000 values"),
        ("a: &a [*a]", "an alias that contains itself"),
        ("dependencies: [python: [x]]", "neither a package nor a list under “pip”"),
        ("dependencies: [[numpy]]", "neither a package nor a list under “pip”"),
        ("dependencies: [{pip: [{a: b}]}]", "under “pip” has to be lines"),
        ("dependencies: [{pip: [-r base.txt]}]", "includes another file"),
        ("dependencies: [{pip: [nu mpy]}]", "names no package"),
        ("dependencies: numpy", "“dependencies” has to be a list"),
        ("dependencies: ['numpy; rm -rf /']", "is no package of conda"),
        ("dependencies: ['a[url=\"file:///a-1-0.conda\"]']", "is no package of conda"),
        ("dependencies: ['a[channel=/x]']", "is no package of conda"),
        ("dependencies: ['/etc/x::numpy']", "is no package of conda"),
        ("dependencies: ['../x::numpy']", "is no package of conda"),
        ("dependencies: ['https://h/a-1-0.conda']", "is no package of conda"),
        ("channels: ['file:///srv/channel']", "is no channel of conda"),
        ("channels: [ours/../../etc]", "is no channel of conda"),
        ("channels: [/srv/channel]", "is no channel of conda"),
        ("channels: ['-x']", "is no channel of conda"),
        ("channels: ['https://me:pw@h/c']", "is no channel of conda"),
        ("variables: [A=1]", "“variables” has to hold names and values"),
        ("variables: {A: [1]}", "“variables” has to hold names and values"),
        ("- numpy", "has to hold names and values"),
        ("", "is empty"),
        ("a: [", r"is not YAML \(line 1\)"),
        ("a: b: c", r"is not YAML \(line 1\)"),
        ("a: *b", r"is not YAML \(line 1\): found undefined"),
        ("a: !!python/object/apply:os.system [true]", "could not determine"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("[" * 5_000, "is not YAML"),
        ("dependencies: ['\\ud800']".replace("'", '"'), "is not YAML that can be read"),
        ("? {a: b}\n: c", "unhashable"),
        ("#" * 200_000, "is larger than"),
    ],
)
def test_what_is_no_definition_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        dependencies(text)


def test_what_is_written_is_read_again() -> None:
    value = {
        "environmentVariables": {"A": "yes", "B": "a: b\n"},
        "python": {
            "condaDependencies": {
                "name": "mine",
                "channels": ["conda-forge"],
                "dependencies": [
                    "python=3.10",
                    "git",
                    {"pip": ["numpy>=2", "a @ https://h/a"]},
                ],
            }
        },
    }
    definition = Definition.from_json(value)
    read = conda.read(conda.write(definition).encode())
    assert (read.definition, read.name) == (definition, "mine")
