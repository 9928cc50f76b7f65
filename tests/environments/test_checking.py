"""Whether packages go together is told before anything is saved, by the real uv."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from aml_portal.errors import UserError
from aml_portal.secret_names import without_passwords
from environments.checking import check_packages
from environments.definition import Definition
from environments.indexes import Indexes
from environments.uv import run_uv
from tests.environments.wheels import Wheels
from tests.services.package_index import serve_index


@pytest.fixture(scope="module", autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of `model` 1.0 and 2.0, which want another `numbers` each, and a few others."""
    wheels = Wheels(tmp_path_factory.mktemp("index"))
    wheels.add("numbers", "1.0")
    wheels.add("numbers", "2.0")
    wheels.add("model", "1.0", requires=("numbers<2",))
    wheels.add("model", "2.0", requires=("numbers>=2",))
    wheels.add("lost", requires=("nowhere",))
    wheels.add("windows", tag="cp311-cp311-win_amd64")
    wheels.add("newer", tag="cp313-cp313-manylinux_2_28_x86_64")
    gone = wheels.add("gone", "1.0")
    (wheels.folder / "source-1.0.tar.gz").write_bytes(b"")
    wheels.add("old", "2.0", requires=("numbers>=2",))
    (wheels.folder / "old-1.0.tar.gz").write_bytes(b"")
    yanked = {gone.name: "It lost data."}
    with (
        serve_index(wheels.folder, yanked) as address,
        override_settings(PYTHON_INDEX=address, PYTHON_EXTRA_INDEXES=[]),
    ):
        yield address


def check(*lines: str, python: str = "3.11") -> str:
    return check_packages(Definition.of_packages(*lines, python=python))


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("model", "numbers>=2"),
        ("model==1.0 --hash=sha256:" + "0" * 64, "--require-hashes"),
        ("newer; sys_platform == 'win32'",),
    ],
)
def test_there_is_nothing_to_say_of_what_goes_together(lines: tuple[str, ...]) -> None:
    assert check(*lines) == ""


def test_another_python_than_the_portals_own_counts() -> None:
    assert check("newer", python="3.13") == ""
    with pytest.raises(UserError, match=r"newer==1\.0 has no wheel for Python 3\.12"):
        check("newer", python="3.12")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            ("model==1.0", "numbers==2.0"),
            "model==1.0 and numbers==2.0 can't be installed together.",
        ),
        (("numbers>1,<2", "model"), "numbers>1,<2"),
        (("nowhere",), "There is no package “nowhere” in the package index."),
        (("lost",), "There is no package “nowhere” in the package index."),
        (("model==3.0",), "There is no model==3.0 in the package index."),
        (("model>=3",), "There is no model>=3 in the package index, only model<=2.0."),
        (("windows",), "windows==1.0 has no wheel for Python 3.11 on Linux."),
        (("numbers>=2,<1",), "numbers>=2,<1 can't be installed."),
    ],
)
def test_an_impossible_set_is_told_in_a_sentence(
    lines: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        check(*lines)
    assert sentence in refused.value.message


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("lost", "on nowhere"),
        ("numbers>=2,<1", "which are incompatible"),
        ("nowhere", ""),
        ("model==3.0", ""),
        ("windows", ""),
    ],
)
def test_why_is_told_in_uvs_words_unless_it_says_the_same(line: str, why: str) -> None:
    with pytest.raises(UserError) as refused:
        check(line)
    assert why in refused.value.advice
    assert bool(why) == bool(refused.value.advice)


def test_a_yanked_version_is_remarked() -> None:
    assert check("gone==1.0") == "gone==1.0 was yanked by its authors: “It lost data”."


def test_what_has_only_source_is_remarked_and_not_built() -> None:
    assert "source==1.0 has no wheel for Python 3.11" in check("source", "model")


def test_what_only_an_old_version_without_wheels_could_meet_is_remarked() -> None:
    remark = check("old", "numbers<2")
    assert remark.startswith(
        "Among the versions with wheels, old and numbers<2 can't be installed together."
    )
    assert "old==1.0 has no wheel for Python 3.11 on Linux" in remark


def test_an_index_that_is_not_there_is_remarked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with override_settings(PYTHON_INDEX=f"http://127.0.0.1:{port}/simple"):
        assert check("model").startswith("The packages could not be checked: Connec")


def test_an_index_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with override_settings(PYTHON_INDEX=f"http://127.0.0.1:{port}/simple"):
            remark = check_packages(Definition.of_packages("model"), seconds=1)
    assert "could not be checked within 1 seconds" in remark


def test_packages_of_an_interpreter_that_is_there_are_not_asked_about() -> None:
    assert check_packages(Definition.user_managed()) == ""


def test_passwords_are_in_no_command_line_and_in_no_answer(tmp_path: Path) -> None:
    indexes = Indexes(
        index="https://ada:s3cret@h/simple",
        extra=("https://b:s3cret@h/simple",),
        find_links=("/wheels", "https://h/w"),
        ca_bundle="/ca.pem",
        proxy="http://c:s3cret@p:3128",
    )
    for variables in (indexes.for_uv(), indexes.for_pip()):
        assert "ada:s3cret" in str(variables)
        assert "s3cret" not in without_passwords(str(variables))
        assert variables["HTTPS_PROXY"] == "http://c:s3cret@p:3128"
    assert indexes.for_uv()["UV_FIND_LINKS"] == "/wheels,https://h/w"
    assert indexes.for_pip()["PIP_FIND_LINKS"] == "/wheels https://h/w"
    # By default each looks where it would by itself.
    assert not Indexes().for_uv()
    assert not Indexes().for_pip()


def test_folders_of_packages_are_a_setting(tmp_path: Path) -> None:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("private", "7.0")
    with override_settings(PYTHON_FIND_LINKS=[str(wheels.folder)]):
        answer = run_uv(
            *("pip", "compile", "in.txt", "--no-header", "--no-annotate"),
            files={"in.txt": b"private"},
            seconds=20,
        )
    assert answer.output == "private==7.0\n"
