"""Files as people bring them: told apart, read together, alone and in a zip."""

import io
import json
import stat
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from aml_portal.errors import UserError
from environments.definition import Definition
from environments.formats import archives, azure, docker, pyproject
from environments.reading import read_files

_PROJECT = b"""[project]
name = "mine"
requires-python = ">=3.12"
dependencies = ["numpy>=2", "far", "colorama; sys_platform == 'win32'"]
[tool.uv.sources]
far = {git = "https://h/far", tag = "v1"}
[[tool.uv.index]]
url = "https://h/simple"
"""
_LOCK = """version = 1
requires-python = ">=3.12"

[[package]]
name = "mine"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "numpy" }]

[package.metadata]
requires-dist = [{ name = "numpy", specifier = ">=2" }]

[[package]]
name = "numpy"
version = "2.1.0"
source = { registry = "https://h/simple" }
wheels = [{ url = "https://h/numpy-2.1.0-py3-none-any.whl", hash = "sha256:HASH" }]
""".replace("HASH", "a" * 64)


def pip_of(definition: Definition) -> tuple[str, ...]:
    return definition.python.conda_dependencies.pip


def test_a_project_is_read_with_its_sources_and_its_python() -> None:
    read = read_files({"pyproject.toml": _PROJECT})
    assert read.name == "mine"
    assert read.definition.python.conda_dependencies.python == "3.14"
    assert pip_of(read.definition) == (
        "numpy>=2",
        "far @ git+https://h/far@v1",
        "colorama; sys_platform == 'win32'",
        "--extra-index-url https://h/simple",
    )


def test_a_lock_gives_exact_versions_with_their_hashes() -> None:
    project = b'[project]\nname="mine"\nversion="1"\nrequires-python=">=3.12"\n'
    project += b'dependencies=["numpy>=2"]\n'
    read = read_files({"pyproject.toml": project, "uv.lock": _LOCK.encode()})
    assert pip_of(read.definition) == (f"numpy==2.1.0 --hash=sha256:{'a' * 64}",)


def test_a_lock_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"uv\.lock can't be read"):
        read_files({"pyproject.toml": _PROJECT, "uv.lock": b"version = "})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[project", "is not TOML"),
        ("project = 1", "“project” has to be a table"),
        ("x = " + "1" * 6_000, "is not TOML"),
        ('[project]\ndynamic = ["dependencies"]', "leaves its dependencies to a build"),
        ("[project]\ndependencies = 1", "have to be a list of strings"),
        ('[project]\nrequires-python = "<3"', "knows no Python <3"),
        ('[project]\nrequires-python = "new"', "is not a set of versions"),
        (
            '[project]\ndependencies = ["a"]\n[tool.uv.sources]\na = {path = "."}',
            "comes from a folder or a workspace",
        ),
        ('[[tool.uv.index]]\nurl = "https://u:p@h/"', "signs in to an index"),
        ("[tool.uv]\nindex = 1", "has to be a list of tables"),
    ],
)
def test_a_project_that_says_too_little_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_files({"pyproject.toml": text.encode()})


def test_a_written_project_is_read_again() -> None:
    definition = Definition.of_packages(
        "numpy", 'b; sys_platform == "win32"', "--index-url https://h/s", python="3.10"
    )
    text = pyproject.write(definition, name="My.Env")
    read = read_files({"pyproject.toml": text.encode()})
    assert (read.definition, read.name) == (definition, "my-env")


def test_files_are_told_apart_by_their_names() -> None:
    assert read_files({"environment.yaml": b"name: a"}).name == "a"
    assert pip_of(read_files({"dev.txt": b"numpy"}).definition) == ("numpy",)
    image = read_files({"gpu.Dockerfile": b"from x\nCOPY a b\n"})
    assert image.definition.docker.base_dockerfile == "from x\nCOPY a b\n"
    assert image.notes
    with pytest.raises(UserError, match=r"“train\.py” is in no format"):
        read_files({"train.py": b""})


@pytest.mark.parametrize("name", ["ubuntu", "h:5000/a/b:1@sha256:" + "0" * 64, "a/b"])
def test_names_of_images_are_taken(name: str) -> None:
    assert docker.of_image(name).definition.docker.base_image == name


@pytest.mark.parametrize("name", ["", "A b", "-x", "a:", "a;b", "https://h/a", "Upper"])
def test_what_is_no_image_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="no name of a Docker image"):
        docker.of_image(name)


def test_a_folder_of_azure_goes_through_a_zip_and_back() -> None:
    value = {
        "docker": {"baseDockerfile": "FROM x\n", "enabled": True},
        "environmentVariables": {"A": "é"},
        "python": {"condaDependencies": {"dependencies": ["python=3.9"]}},
        "spark": {"packages": ["a:b:1"]},
    }
    definition = Definition.from_json(value)
    files = azure.write(definition, name="mine", version=3)
    assert set(files) == {azure.FILE, "conda_dependencies.yml", "BaseDockerfile"}
    read = read_files({"mine.zip": archives.pack(files)})
    assert (read.definition, read.name, read.notes) == (definition, "mine", ())
    text = azure.write_text(definition, name="mine", version=3)
    assert azure.read_text(text).definition == definition


def test_of_a_zip_the_topmost_folder_counts() -> None:
    data = zipped({"a/b/requirements.txt": "old", "a/requirements.txt": "numpy"})
    assert pip_of(read_files({"x.ZIP": data}).definition) == ("numpy",)


def test_what_the_portal_has_no_equal_of_is_told() -> None:
    text = """{"name": "a", "more": 1, "r": {"rVersion": "4"}, "docker":
        {"baseImageRegistry": {"address": "h", "password": "s3cret"}},
        "databricks": {"jarLibraries": ["x"]}}"""
    read = azure.read_text(text)
    assert len(read.notes) == 4
    assert "s3cret" not in str(read)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"PK nothing", "is not a zip that can be read"),
        (b"", "is not a zip that can be read"),
    ],
)
def test_what_is_no_zip_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_files({"a.zip": data})


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_no_damage_to_a_zip_is_more_than_a_refusal(method: int) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        archive.writestr("ä/requirements.txt", "numpy>=2\n" * 50)
    for place in range(len(whole.getvalue())):
        for byte in (0x00, 0x9F, 0xFF):
            spoilt = bytearray(whole.getvalue())
            spoilt[place] = byte
            with suppress(UserError):
                read_files({"x.zip": bytes(spoilt)})


def test_a_zip_of_something_else_is_refused() -> None:
    with pytest.raises(UserError, match="no definition of an environment"):
        read_files({"a.zip": zipped({"train.py": ""})})
    with pytest.raises(UserError, match="more than 100 files"):
        read_files({"a.zip": zipped({f"{n}.txt": "" for n in range(101)})})
    with pytest.raises(UserError, match="is over"):
        read_files({"a.zip": zipped({"requirements.txt": " " * 5_000_000})})


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "[" * 100_000, '{"python": 1}', "\0"),
        '{"version": ' + "1" * 6_000 + "}",
        '{"environmentVariables": {"A": "\\ud800"}}',
    ],
)
def test_json_that_is_no_environment_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        read_files({azure.FILE: text.encode()})


@pytest.mark.parametrize("name", ["../../{}", "/etc/{}", "C:\\{}", "a/../{}", "./{}"])
def test_where_a_zip_would_put_its_files_does_not_matter(name: str) -> None:
    data = zipped({name.format("requirements.txt"): "numpy"})
    before = {*Path.cwd().iterdir()}
    try:
        found = pip_of(read_files({"a.zip": data}).definition)
    except UserError as error:
        # With the other slashes it is the name of a file, which no format has.
        assert "no definition" in error.message
    else:
        assert found == ("numpy",)
    assert {*Path.cwd().iterdir()} == before


def test_lines_in_json_are_kept_as_they_are_in_a_requirements_file() -> None:
    lines = [" -i  https://h/simple ", "\u2028--no-binary=numpy"]
    dependencies = {"dependencies": [{"pip": lines}]}
    text = json.dumps({"python": {"condaDependencies": dependencies}})
    assert pip_of(azure.read_text(text).definition) == (
        "--index-url https://h/simple",
        "--no-binary numpy",
    )


def test_a_link_in_a_zip_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("numpy")
    link = zipfile.ZipInfo("requirements.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(link, str(tmp_path / "secret"))
    with pytest.raises(UserError, match="is a file or folder of another machine"):
        read_files({"a.zip": whole.getvalue()})


def test_a_zip_that_lies_about_sizes_unfolds_no_further() -> None:
    data = zipped({"requirements.txt": "#" * 20_000_000})
    assert len(data) < 50_000
    size = (20_000_000).to_bytes(4, "little")
    with pytest.raises(UserError):
        read_files({"a.zip": data.replace(size, (10).to_bytes(4, "little"))})


def zipped(files: dict[str, str]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return whole.getvalue()


def test_nothing_is_left_behind_by_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UserError):
        read_files({"pyproject.toml": _PROJECT, "uv.lock": b"version = "})
    assert not [*tmp_path.iterdir()]
