"""Lines for pip: which are taken as they are, and why others are refused."""

import pytest

from aml_portal.errors import UserError
from environments.definition import Definition
from environments.formats import requirements

_HASH = "sha256:" + "a" * 64


def lines(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [*requirements.read(data).definition.python.conda_dependencies.pip]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("numpy", ["numpy"]),
        ("\ufeffnumpy\r\npandas>=2,<3\r\n", ["numpy", "pandas>=2,<3"]),
        ("# all\n\nnumpy  # fast\n", ["numpy"]),
        ("a @ https://h/a.zip#sha256=0\n", ["a @ https://h/a.zip#sha256=0"]),
        ('colorama; sys_platform == "win32"', ['colorama; sys_platform == "win32"']),
        ("requests[socks]~=2.0", ["requests[socks]~=2.0"]),
        (f"a==1 \\\n  --hash={_HASH}\nb", [f"a==1 --hash={_HASH}", "b"]),
        ("-i https://h/simple", ["--index-url https://h/simple"]),
        ("--extra-index-url=https://h/s", ["--extra-index-url https://h/s"]),
        ("-f https://h/wheels", ["--find-links https://h/wheels"]),
        ("--no-binary :all:", ["--no-binary :all:"]),
        ("a @ git+https://h/a@main", ["a @ git+https://h/a@main"]),
        ("https://h/a_b-1.0-py3-none-any.whl", None),
        ("numpy \\", ["numpy"]),
        ("", []),
    ],
)
def test_what_pip_understands_is_kept(text: str, kept: list[str] | None) -> None:
    expected = ["a-b @ https://h/a_b-1.0-py3-none-any.whl"] if kept is None else kept
    assert lines(text) == expected


def test_windows_writes_utf_16_and_is_read() -> None:
    assert lines("numpy\r\npandas".encode("utf-16")) == ["numpy", "pandas"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("-r base.txt", "includes another file, which is not here."),
        ("-rbase.txt", "includes another file, which is not here."),
        ("--requirement=base.txt", "includes another file, which is not here."),
        ("-c limits.txt", "names a file of constraints, which is not here."),
        ("-e .", "installs a package from its source folder"),
        ("--editable git+https://h/a", "installs a package from its source folder"),
        ("./a-1.0-py3-none-any.whl", "is a file or folder of another machine."),
        ("/wheels/a.whl", "is a file or folder of another machine."),
        ("C:\\a.whl", "is a file or folder of another machine."),
        ("a @ file:///a.whl", "is a folder of one machine."),
        ("--find-links /wheels", "is a folder of one machine."),
        ("--index-url nowhere", "has no address that packages come from."),
        ("--index-url https://[bad/", "has no address that packages come from."),
        ("a @ ssh://h/a", "has no address that packages come from."),
        ("--trusted-host h", "switches the check of certificates off."),
        ("--pre", "asks for pre-releases of everything."),
        ("--install-option x", "is an option that the portal does not know."),
        ("-", "is an option that the portal does not know."),
        ("nu mpy", "names no package."),
        ("numpy===", "names no package."),
        ("https://h/a.zip", "does not tell which package it is."),
        ("a --hash=md5:00", "has a hash that is none."),
        ("a\x1b[31m", "can't be read."),
        ("a" * 30_000, "can't be read."),
    ],
)
def test_what_can_not_work_elsewhere_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        lines(f"numpy\n{line}\n")
    assert sentence in refused.value.message
    assert refused.value.message.startswith("Line 2 of requirements.txt: “")
    assert len(refused.value.message) < 250


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://ada:s3cret@h/simple",
        "--extra-index-url https://s3cret@h/simple",
        "a @ git+https://s3cret@h/a",
        "-i https://ada:${s3cret}@h/simple",
    ],
)
def test_what_signs_in_to_an_index_is_refused_and_not_repeated(line: str) -> None:
    with pytest.raises(UserError, match="AML_PORTAL_PYTHON_INDEX") as refused:
        lines(line)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff\xfenumpy", "is not text in UTF-8."),
        (b"\x89PNG\r\n", "is not text in UTF-8."),
        (b"a\0b", "has a NUL character"),
        (b"#" * 200_000, "is larger than"),
        (b"a\n" * 3_000, "has more than 2,000 lines."),
    ],
)
def test_what_is_no_requirements_file_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        lines(data)


def test_what_is_written_says_what_pip_can_not_install() -> None:
    definition = Definition.of_packages("numpy", "--no-index")
    assert requirements.write(definition) == "# For Python 3.11\nnumpy\n--no-index\n"
    assert lines(requirements.write(definition)) == ["numpy", "--no-index"]
    conda = {"dependencies": ["python=3.12", "cudatoolkit=11", {"pip": ["numpy"]}]}
    beyond = Definition.from_json({"python": {"condaDependencies": conda}})
    assert "# Left out, as only conda has it: cudatoolkit=11" in requirements.write(
        beyond
    )
