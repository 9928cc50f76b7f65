"""The pages that show environments, and what is done with a version there."""

import io
import json
import re
import zipfile

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from environments.curated import load_curated
from environments.definition import Definition
from environments.models import Environment
from environments.reading import read_files
from environments.services import label_environment, save_environment
from tests import factories
from tests.factories import ended_run, person, signed_in

pytestmark = pytest.mark.django_db
LIST = "/environments/"


@pytest.fixture
def client() -> Client:
    return signed_in(person())


@pytest.fixture
def administrator() -> Client:
    return signed_in(User.objects.create_superuser("root"))


def saved(*packages: str, name: str = "mine", **more: str) -> Environment:
    definition = Definition.of_packages(*packages)
    return save_environment(name=name, definition=definition, **more)


def text(client: Client, address: str, **query: str) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_has_newest_versions_and_the_curated_ones(client: Client) -> None:
    load_curated()
    label_environment(saved("numpy"), "production")
    saved("pandas")
    page = text(client, LIST)
    assert "version 2" in page
    assert "numpy</code>" not in page
    assert page.index("mine") < page.index("AzureML-Minimal")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("mine", {"mine"}),
        ("NUMPY mine", {"mine"}),
        ("weekly", {"mine"}),
        ("production", {"mine"}),
        ("torch", {"other", "AzureML-PyTorch-CPU", "AzureML-PyTorch-GPU"}),
        ("nothing", set()),
    ],
)
def test_names_labels_and_packages_are_searched(
    client: Client, words: str, found: set[str]
) -> None:
    load_curated()
    mine = saved("numpy", description="Weekly numbers")
    label_environment(mine, "production")
    saved("torch", name="other")
    page = text(client, LIST, q=words)
    names = ("mine", "other", "AzureML-PyTorch-CPU", "AzureML-PyTorch-GPU")
    assert {name for name in names if f"/environments/{name}/" in page} == found


def test_the_list_asks_as_much_for_many_as_for_one(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("one", "two", "three"):
        label_environment(saved(name=name), "production")
    with django_assert_num_queries(6):
        client.get(LIST)


def test_a_version_asks_as_much_for_many_targets_as_for_one(client: Client) -> None:
    page = saved("numpy").get_absolute_url()

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            client.get(page)
        return len(asked)

    add_machine("first")
    once = queries()
    for name in ("second", "third"):
        add_machine(name)
    assert queries() == once


def add_machine(name: str) -> None:
    machine = factories.target(name=name)
    machine.facts = {"machine": "x86_64", "glibc": "2.36"}
    machine.save()


def test_a_version_shows_its_definition_and_its_runs(client: Client) -> None:
    environment = saved("numpy>=2", "--extra-index-url https://h/simple")
    run = ended_run()
    run.environment = environment
    run.save()
    page = text(client, environment.get_absolute_url())
    assert "<li>numpy&gt;=2</li>" in page
    assert run.get_absolute_url() in page
    assert client.get("/environments/mine/7/").status_code == 404


def test_each_format_can_be_downloaded_and_read_again(client: Client) -> None:
    definition = Definition.from_json(
        {
            "environmentVariables": {"A": "1"},
            "python": {
                "condaDependencies": {
                    "channels": ["conda-forge"],
                    "dependencies": ["python=3.10", "git", {"pip": ["numpy"]}],
                }
            },
            "docker": {"enabled": True, "baseDockerfile": "FROM x\n"},
        }
    )
    environment = save_environment(name="mine", definition=definition)

    def exported(key: str) -> bytes:
        answer = client.get(f"{environment.get_absolute_url()}export/{key}/")
        assert answer.status_code == 200
        assert answer["Content-Disposition"].startswith("attachment; filename=")
        return answer.content

    assert read_files({"a.zip": exported("azure")}).definition == definition
    whole = read_files({"azureml_environment.json": exported("json")})
    assert (whole.definition, whole.name) == (definition, "mine")
    assert json.loads(exported("json"))["version"] == "1"
    conda = read_files({"conda.yml": exported("conda")})
    assert conda.name == "mine"
    assert conda.definition.environment_variables == {"A": "1"}
    assert b"# Left out, as only conda has it: git\nnumpy" in exported("requirements")
    assert b'requires-python = "==3.10.*"' in exported("pyproject")
    assert exported("dockerfile") == b"FROM x\n"
    with zipfile.ZipFile(io.BytesIO(exported("azure"))) as archive:
        assert "BaseDockerfile" in archive.namelist()


def test_formats_that_say_nothing_of_it_are_not_offered(client: Client) -> None:
    definition = Definition.user_managed()
    environment = save_environment(name="mine", definition=definition)
    for key in ("requirements", "dockerfile", "nothing"):
        address = f"{environment.get_absolute_url()}export/{key}/"
        assert client.get(address).status_code == 404


def test_two_versions_are_compared_part_by_part(client: Client) -> None:
    saved("numpy==1.0", "gone", "same")
    saved("numpy==2.0", "came", "same")
    page = text(client, saved("other").get_absolute_url() + "compare/")
    assert "Compare with version" in page
    page = text(client, "/environments/mine/2/compare/", **{"with": "1"})
    for word in ("numpy==1.0", "numpy==2.0", "gone", "came"):
        assert f'<span class="mono">{word}</span>' in page
    assert ">same<" not in page
    assert client.get("/environments/mine/2/compare/?with=9").status_code == 404
    assert client.get("/environments/mine/2/compare/?with=x").status_code == 200


def test_a_single_version_has_nothing_to_be_compared_with(client: Client) -> None:
    page = text(client, saved("numpy").get_absolute_url() + "compare/")
    assert "There is only this version" in page


def test_labels_and_the_description_are_changed(client: Client) -> None:
    environment = saved("numpy")
    address = environment.get_absolute_url()
    client.post(f"{address}label/", {"add": "production"})
    assert "production</span>" in text(client, address)
    client.post(f"{address}label/", {"remove": "production"})
    assert not environment.labels.exists()
    page = client.post(f"{address}label/", {"add": "<b>"}, follow=True)
    assert "“&lt;b&gt;” can&#x27;t be a label" in page.content.decode()
    client.post(f"{address}describe/", {"description": "For all"})
    assert "For all" in text(client, address)
    page = client.post(f"{address}describe/", {"description": "x" * 300}, follow=True)
    assert b"has to be one line" in page.content


def test_administrators_archive_and_restore(
    client: Client, administrator: Client
) -> None:
    environment = saved("numpy")
    address = environment.get_absolute_url()
    assert client.post(f"{address}restore/").status_code == 403
    administrator.post(f"{address}archive/")
    assert "is archived" in text(client, address)
    assert f'{address}"' not in text(client, LIST)
    assert address in text(client, LIST, archived="")
    administrator.post(f"{address}restore/")
    assert address in text(client, LIST)


def test_what_is_archived_is_one_row_and_can_only_be_cloned(
    client: Client, administrator: Client
) -> None:
    saved("numpy")
    address = saved("pandas").get_absolute_url()
    administrator.post("/environments/mine/1/archive/")
    page = text(client, LIST, archived="")
    assert page.count('class="name-link"') == 1
    assert address in page
    page = text(client, address)
    assert "Clone" in page
    assert ">Edit<" not in page


def test_values_of_secret_looking_variables_are_covered(client: Client) -> None:
    for number in (1, 2):
        variables = {"HF_TOKEN": f"s3cret{number}", "PATH": f"/bin{number}"}
        definition = Definition.user_managed("", variables)
        address = save_environment(name="mine", definition=definition)
    covered = re.compile(r"<summary>covered</summary>\s*s3cret\d")
    page = text(client, address.get_absolute_url())
    assert len(covered.findall(page)) == page.count("s3cret") == 1
    assert "/bin2" in page
    page = text(client, "/environments/mine/2/compare/")
    assert len(covered.findall(page)) == page.count("s3cret") == 2
    assert '<span class="mono">/bin1</span>' in page


def test_what_is_curated_is_not_archived(administrator: Client) -> None:
    load_curated()
    address = "/environments/AzureML-Minimal/1/archive/"
    page = administrator.post(address, follow=True).content
    assert b"is curated" in page
    assert Environment.objects.usable().filter(name="AzureML-Minimal").exists()
