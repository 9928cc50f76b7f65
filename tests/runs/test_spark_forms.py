"""What attaching a Spark target and a run on one ask, and what is kept of it."""

import pytest
import yaml
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from runs.configuration import ScriptRunConfiguration
from runs.exports import as_python, as_runconfig
from runs.forms import SubmitForm
from tests import factories

pytestmark = pytest.mark.django_db
CONF = {"spark.executor.memory": "2g", "spark.x": "1 = 2"}
LAUNCH = {"conf": CONF, "py_files": ["lib/a.py", "b.zip"]}


@pytest.fixture
def admin() -> Client:
    return factories.signed_in(User.objects.create(username="boss", is_staff=True))


def attached(admin: Client, **changes: object) -> ComputeTarget:
    fields = {
        "name": "spark",
        "machine": factories.target().pk,
        "master": "spark://node:7077",
        "conf": "spark.a=1\nspark.b=x = y",
        "secret_conf": "spark.x.password=sesame",
        "max_runs": 3,
        **changes,
    }
    answer = admin.post("/compute/new/spark/", fields)
    assert answer.status_code == 302, answer.content.decode()
    return ComputeTarget.objects.get(name="spark")


def test_secrets_are_kept_apart_and_never_shown(admin: Client) -> None:
    target = attached(admin)
    assert target.settings["conf"] == {"spark.a": "1", "spark.b": "x = y"}
    assert target.reveal_secrets() == {"secret_conf": "spark.x.password=sesame"}
    page = admin.get("/compute/spark/edit/").content.decode()
    assert "spark.b=x = y" in page
    assert "sesame" not in page
    changed = {"machine": target.machine_id, "master": "local[2]", "max_runs": 3}
    assert admin.post("/compute/spark/edit/", changed).status_code == 302
    target.refresh_from_db()
    assert target.settings["master"] == "local[2]"
    assert target.reveal_secrets() == {"secret_conf": "spark.x.password=sesame"}


def test_secrets_that_are_kept_can_be_forgotten_and_replaced(admin: Client) -> None:
    target = attached(admin)
    forget = {"machine": target.machine_id, "master": "local[2]", "max_runs": 3}
    forget |= {"forget_secrets": "on"}
    invalid = admin.post("/compute/spark/edit/", forget | {"master": "no"})
    assert invalid.status_code == 200
    target.refresh_from_db()
    assert target.reveal_secrets()
    new = {"secret_conf": "spark.x.token=open"}
    assert admin.post("/compute/spark/edit/", forget | new).status_code == 302
    target.refresh_from_db()
    assert target.reveal_secrets() == new
    assert admin.post("/compute/spark/edit/", forget).status_code == 302
    target.refresh_from_db()
    assert target.reveal_secrets() == {}
    assert "forget_secrets" not in target.settings
    page = admin.get("/compute/spark/edit/").content.decode()
    assert "forget_secrets" not in page


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"master": "node:7077"}, "This is not the address of a Spark master."),
        ({"master": ""}, "This field is required."),
        ({"web_ui": "javascript:alert(1)"}, "Enter a valid URL."),
        ({"conf": "spark.a"}, "Line 1 is not spark.NAME=VALUE."),
        ({"conf": "spark.submit.deployMode=cluster"}, "The driver runs in client mode"),
        ({"conf": "spark.x.secret=1"}, "spark.x.secret looks like a secret."),
        ({"secret_conf": "password"}, "Line 1 is not spark.NAME=VALUE."),
    ],
)
def test_what_can_not_be_attached_is_told(
    admin: Client, changes: dict[str, str], error: str
) -> None:
    fields = {"name": "spark", "machine": factories.target().pk, "master": "yarn"}
    answer = admin.post("/compute/new/spark/", {**fields, "max_runs": 1, **changes})
    assert error in answer.content.decode()
    assert not ComputeTarget.objects.filter(name="spark").exists()


def typed(target: ComputeTarget, **fields: str) -> SubmitForm:
    data = QueryDict(mutable=True)
    data.update({"target": str(target.pk), "script": "train.py"})
    data.update({f"spark-{name}": value for name, value in fields.items()})
    return SubmitForm(data)


def test_what_a_run_chooses_comes_back_as_it_was_typed(admin: Client) -> None:
    form = typed(
        attached(admin),
        executor_memory="2g",
        executor_cores="",
        conf="spark.x=1 = 2",
        py_files="lib/a.py\n\nb.zip",
    )
    form.is_valid()
    assert form.configuration.launch == LAUNCH
    assert form.configuration.framework == "PySpark"
    again = SubmitForm(initial={"launch": LAUNCH})
    shown = next(each.form for each in again.options if each.kind.name == "spark")
    assert shown["executor_memory"].value() == "2g"
    assert shown["conf"].value() == "spark.x=1 = 2"
    assert shown["py_files"].value() == "lib/a.py\nb.zip"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"driver_memory": "much"}, "“much” is not an amount of memory."),
        ({"executor_cores": "0"}, "greater than or equal to 1"),
        ({"conf": "spark.submit.deployMode=cluster"}, "The driver runs in client mode"),
        ({"conf": "spark.x.token=1"}, "spark.x.token looks like a secret."),
        (
            {"conf": "spark.driver.memory=1g", "driver_memory": "1g"},
            "spark.driver.memory has a field of its own as well.",
        ),
        ({"py_files": "../a.py"}, "../a.py is not below the source."),
    ],
)
def test_what_a_run_can_not_have_is_told(
    admin: Client, fields: dict[str, str], error: str
) -> None:
    form = typed(attached(admin), **fields)
    assert error in " ".join(map(str, form.non_field_errors()))


def test_a_run_is_refused_before_it_is_made(admin: Client) -> None:
    target = attached(admin)
    with pytest.raises(UserError, match=r"“b\.py” is not among the files"):
        factories.submit("", target=target, launch={"py_files": ["b.py"]})
    files = factories.snapshot({"train": "", "train.py": ""})
    with pytest.raises(UserError, match=r"no \.py file"):
        factories.submit(snapshot=files, script="train", target=target)
    run = factories.submit("", target=target)
    assert run.configuration.framework == "PySpark"


def test_a_submission_is_written_as_azure_ml_has_it() -> None:
    configuration = ScriptRunConfiguration(
        script="train.py", framework="PySpark", launch=LAUNCH
    )
    given = {**CONF, "spark.submit.pyFiles": "lib/a.py,b.zip"}
    section = {"name": "e", "version": "1"}
    text = as_runconfig(configuration, target="spark", environment=section)
    content = yaml.safe_load(text)
    assert content["framework"] == "PySpark"
    assert content["spark"] == {"configuration": given}
    code = as_python(
        configuration,
        experiment="x",
        target="spark",
        environment="e",
        version=1,
        tags={},
    )
    assert "config.run_config.framework = 'PySpark'" in code
    assert f"config.run_config.spark.configuration = {given!r}" in code
