"""Environments are defined by form, as text, and from what people bring."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings

from environments.curated import load_curated
from environments.definition import Definition
from environments.formats import archives, azure
from environments.forms import EnvironmentForm, initial_of
from environments.models import Environment
from environments.services import archive_environment, save_environment
from tests.environments.wheels import Wheels
from tests.factories import person, signed_in
from tests.services.package_index import serve_index

pytestmark = pytest.mark.django_db
NEW, TEXT, IMPORT = (f"/environments/new/{way}" for way in ("", "text/", "import/"))
_WHOLE = Definition.from_json(
    {
        "environmentVariables": {"A": "1", "B": "x=y"},
        "python": {
            "condaDependencies": {
                "name": "kept",
                "channels": ["nvidia", "conda-forge"],
                "dependencies": ["git", "python==3.10.*", {"pip": ["numpy", "model"]}],
            }
        },
        "docker": {
            "enabled": True,
            "baseDockerfile": "FROM x\nRUN y\n",
            "shmSize": "8g",
            "arguments": ["--ipc=host"],
        },
        "spark": {"packages": ["g:a:1"], "repositories": ["https://h/maven"]},
    }
)


@pytest.fixture(autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    wheels = Wheels(tmp_path_factory.mktemp("index"))
    wheels.add("numpy", "2.0")
    wheels.add("model", "1.0", requires=("numpy>=2",))
    yanked = {wheels.add("gone").name: "Broken."}
    with (
        serve_index(wheels.folder, yanked) as address,
        override_settings(PYTHON_INDEX=address, PYTHON_EXTRA_INDEXES=[]),
    ):
        yield


@pytest.fixture
def client() -> Client:
    return signed_in(person())


def post(client: Client, address: str = NEW, **fields: Any) -> str:
    """What the page says, with the text as a person reads it."""
    answer = client.post(
        address, {"name": "mine", "python": "3.11", **fields}, follow=True
    )
    assert answer.status_code == 200
    text = answer.content.decode()
    for code, sign in (("&#x27;", "'"), ("&gt;", ">"), ("&lt;", "<"), ("&quot;", '"')):
        text = text.replace(code, sign)
    return text


def only() -> Environment:
    return Environment.objects.exclude(name="this-python").get(is_curated=False)


def pip_of(environment: Environment) -> tuple[str, ...]:
    return environment.definition.python.conda_dependencies.pip


def test_packages_are_saved_once_they_go_together(client: Client) -> None:
    page = post(
        client, packages="model\r\nnumpy>=2  # fast\r\n", channels="conda-forge"
    )
    assert "mine:1 is saved." in page
    assert pip_of(only()) == ("model", "numpy>=2")
    assert only().python_version == "3.11"
    assert "mine:1 has this definition already." in post(
        client, packages="model\nnumpy>=2", channels="conda-forge"
    )
    assert Environment.objects.filter(name="mine").count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"packages": "model\nnumpy<2"}, "model and numpy<2 can't be installed"),
        (
            {"packages": "nowhere"},
            "There is no package “nowhere” in the package index.",
        ),
        ({"packages": "numpy\n-r base.txt"}, "Line 2 of the packages: “-r base.txt”"),
        ({"conda": "a;b"}, "“a;b” is no package of conda."),
        ({"channels": "-x"}, "“-x” is no channel of conda."),
        ({"python": "2.7"}, "“2.7” is no version of Python"),
        ({"docker": "on"}, "neither an image nor a Dockerfile is named"),
        ({"docker": "on", "base_image": "A B"}, "is no name of a Docker image"),
        ({"shm_size": "much"}, "is no size of shared memory"),
        ({"spark_packages": "a:b"}, "names no Maven package"),
        ({"name": "AzureML-Mine"}, "reserved for curated environments"),
        ({"how": "else"}, "Select a valid choice"),
    ],
)
def test_what_can_not_be_is_told_and_what_was_typed_stays(
    client: Client, fields: dict[str, str], sentence: str
) -> None:
    page = post(client, **{"description": "typed", **fields})
    assert sentence in page
    assert 'value="typed"' in page
    assert not Environment.objects.filter(name=fields.get("name", "mine")).exists()
    # Beside the field that it is about, where the page begins.
    field = [*fields][-1].replace("docker", "base_image")
    assert f'id="id_{field}_error"' in page
    page = client.post(NEW, {"name": "mine", **fields}).content.decode()
    invalid = re.findall(r'<(?:input|textarea)[^>]*aria-invalid="true"[^>]*>', page)
    assert invalid
    assert all(f'name="{field}"' in each for each in invalid)
    assert all(" autofocus" in each for each in invalid)


def test_a_remark_does_not_keep_it_from_being_saved(client: Client) -> None:
    page = post(client, packages="gone==1.0")
    assert "gone==1.0 was yanked by its authors: “Broken”." in page
    assert pip_of(only()) == ("gone==1.0",)


def test_what_looks_like_a_secret_is_remarked(client: Client) -> None:
    page = post(client, variables="HF_TOKEN=abc\nAPI_KEY=def\nPASSWORD=\nA=1")
    assert "HF_TOKEN, API_KEY look like secrets" in page
    assert "PASSWORD" not in page.partition("HF_TOKEN, API_KEY")[0]
    text = '{"environmentVariables": {"DB_PASSWORD": "x"}}'
    assert "DB_PASSWORD looks like a secret" in post(client, TEXT, text=text)


def test_whoever_edits_what_others_have_edited_is_told(client: Client) -> None:
    first = save_environment(name="mine", definition=Definition.of_packages("numpy"))
    address = f"{NEW}?from={first.pk}"
    assert "It began as" not in post(client, address, packages="model")
    page = post(client, address, packages="model\nnumpy")
    assert "mine:3 is saved." in page
    assert "It began as version 1: what version 2 changed is not in it." in page
    # Nothing of theirs is missing where the name is another one.
    assert "It began as" not in post(client, address, name="own", packages="model")


def test_names_that_are_archived_are_taken(client: Client) -> None:
    saved = save_environment(name="mine", definition=Definition.of_packages())
    archive_environment(saved)
    page = post(client, packages="numpy", description="typed")
    assert "mine is archived. Choose another name" in page
    assert 'id="id_name_error"' in page


def test_what_a_form_shows_it_gives_back() -> None:
    data = {"name": "mine", **initial_of(_WHOLE)}
    form = EnvironmentForm(data, base=_WHOLE)
    assert form.is_valid()
    assert form.definition == _WHOLE


def test_a_curated_one_is_cloned_under_a_name_of_its_own(client: Client) -> None:
    load_curated()
    source = Environment.objects.get(name="AzureML-Scikit-learn")
    page = client.get(NEW, {"clone": source.pk}).content.decode()
    assert source.description not in page
    assert 'value="scikit-learn"' in page
    assert "scikit-learn==1.9.1" in page
    save_environment(name="scikit-learn", definition=source.definition)
    page = client.get(NEW, {"from": source.pk}).content.decode()
    assert 'value="scikit-learn-2"' in page


def test_packages_of_other_environments_are_proposed(client: Client) -> None:
    environment = Definition.of_packages("Our.Own>=2", "--no-index")
    save_environment(name="mine", definition=environment)
    page = client.get(NEW).content.decode()
    # And those that most people use.
    for name in ("our.own", "scikit-learn", "torch"):
        assert f'<option value="{name}"></option>' in page


@pytest.mark.parametrize("kind", ["json", "conda", "requirements"])
def test_a_definition_as_text_is_saved_as_it_was(client: Client, kind: str) -> None:
    source = save_environment(name="mine", definition=_WHOLE)
    address = f"{TEXT}?from={source.pk}&format={kind}"
    page = client.get(address).content.decode()
    text = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page, re.DOTALL)
    assert text
    typed = text[1].replace("&#x27;", "'").replace("&quot;", '"')
    said = post(client, address, text=typed)
    assert "mine:1 has this definition already." in said
    said = post(client, address, text=typed.replace("model", "numpy>=2"))
    assert "mine:2 is saved." in said
    changed = Environment.objects.get(name="mine", version=2)
    assert pip_of(changed) == ("numpy", "numpy>=2")
    assert changed.definition.docker == _WHOLE.docker


def test_text_that_is_no_definition_is_told(client: Client) -> None:
    assert "is not JSON (line 1)" in post(client, TEXT, text="{")
    address = f"{TEXT}?format=conda"
    assert "The text is not YAML" in post(client, address, text="a: [")
    assert "Line 1 of the text: “-e .”" in post(
        client, f"{TEXT}?format=requirements", text="-e ."
    )


def test_an_interpreter_as_it_is_has_no_list_of_packages(client: Client) -> None:
    source = save_environment(name="mine", definition=Definition.user_managed())
    address = f"{TEXT}?from={source.pk}&format=requirements"
    page = post(client, address, text="numpy")
    assert "takes an interpreter as it is" in page


def upload(client: Client, **files: bytes) -> str:
    brought = []
    for name, data in files.items():
        file = io.BytesIO(data)
        file.name = name
        brought.append(file)
    answer = client.post(IMPORT, {"what": "files", "files": brought})
    assert answer.status_code == 200
    return answer.content.decode()


def test_files_fill_the_form(client: Client) -> None:
    page = upload(client, **{"requirements.txt": b"numpy\n"})
    assert re.search(r"<textarea[^>]*packages[^>]*>\s*numpy</textarea>", page)
    assert "A requirements file names no Python: 3.11 is taken." in page
    folder = azure.write(_WHOLE, name="brought", version=1)
    page = upload(client, **{"x.zip": archives.pack(folder)})
    assert 'value="brought"' in page
    assert "FROM x" in page
    files = {name: text.encode() for name, text in folder.items()}
    assert 'value="brought"' in upload(client, **files)
    assert not Environment.objects.exclude(name="this-python").exists()


def test_an_image_and_an_interpreter_fill_the_form(client: Client) -> None:
    page = post(client, IMPORT, what="image", image="python:3.12-slim")
    assert 'value="python:3.12-slim"' in page
    page = post(client, IMPORT, what="interpreter", interpreter="")
    assert "Django==" in page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "No file was chosen."),
        ({"what": "image", "image": "A B"}, "is no name of a Docker image"),
        (
            {"what": "interpreter", "interpreter": "/no/python"},
            "/no/python does not exist",
        ),
    ],
)
def test_what_can_not_be_imported_is_told(
    client: Client, fields: dict[str, str], sentence: str
) -> None:
    assert sentence in post(client, IMPORT, **fields)
    assert "is in no format that the portal knows" in upload(client, **{"a.bin": b"x"})


def test_nothing_of_an_import_is_run(client: Client, tmp_path: Path) -> None:
    bad = f"a: !!python/object/apply:pathlib.Path.touch ['{tmp_path}/x']".encode()
    upload(client, **{"conda.yml": bad})
    assert not [*tmp_path.iterdir()]
