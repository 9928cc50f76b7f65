"""What is asked about a Docker engine, and what becomes of it."""

import pytest
from django.contrib.auth.models import User

from computes.kinds import kinds
from computes.launchers.docker.forms import DockerRunForm
from computes.launchers.docker.settings import DockerSettings, ExtraMount
from computes.models import ComputeTarget
from tests import factories

pytestmark = pytest.mark.django_db

FIELDS = {
    "name": "whale",
    "socket": "/run/docker.sock",
    "image": "python:3.12",
    "python": "python3",
    "registry": "registry.example.org:5000",
    "registry_user": "ada",
    "registry_password": " secret ",
    "cpus": "1.5",
    "memory": "2",
    "shared_memory": "",
    "network": "bridge",
    "mounts": "/data:/data:ro\n/scratch:/mnt/scratch\n",
    "max_runs": "3",
}


def errors(**changes: str) -> dict[str, str]:
    given = {**FIELDS, "machine": factories.target().pk, **changes}
    form = kinds()["docker"].form(given, instance=ComputeTarget(kind="docker"))
    return {name: each[0] for name, each in form.errors.items()}


def test_what_is_typed_is_what_the_launcher_knows() -> None:
    boss = factories.signed_in(User.objects.create(username="boss", is_staff=True))
    given = {**FIELDS, "machine": factories.target().pk}
    answer = boss.post("/compute/new/docker/", given)
    assert answer.headers["Location"] == "/compute/whale/", answer.content.decode()
    target = ComputeTarget.objects.get(name="whale")
    assert DockerSettings.from_json(
        target.settings, target.reveal_secrets()
    ) == DockerSettings(
        socket="/run/docker.sock",
        image="python:3.12",
        registry="registry.example.org:5000",
        registry_user="ada",
        registry_password=" secret ",
        cpus=1.5,
        memory=2.0,
        mounts="/data:/data:ro\n/scratch:/mnt/scratch",
    )
    page = boss.get("/compute/whale/edit/").content.decode()
    assert "/data:/data:ro" in page
    for hidden in (page, str(target.settings), repr(target.secrets)):
        assert " secret " not in hidden


def test_mounts_are_read_line_by_line() -> None:
    first, second = ExtraMount.read_all(" /data:/d:ro \n\n/b:/c/d:rw\n")
    assert first == ExtraMount(source="/data", target="/d", is_read_only=True)
    assert second == ExtraMount(source="/b", target="/c/d", is_read_only=False)


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("mounts", "data:/data", "“data:/data” is no mount."),
        ("mounts", "/data", "“/data” is no mount."),
        ("mounts", "/data:data", "with absolute paths"),
        ("mounts", "/:/", "is no mount"),
        ("mounts", "/a:/b:shared", "is no mount"),
        ("mounts", "/a:/b:ro:ro", "is no mount"),
        ("image", "--privileged", "is no name of an image"),
        ("image", "", "This field is required."),
        ("image", "a b", "is no name of an image"),
        ("socket", "docker.sock", "Give the absolute path of the socket."),
        ("socket", "/" + "a" * 107, "at most 107 characters"),
        ("cpus", "0", "greater than or equal to 0.01"),
        ("cpus", "nan", "Enter a number."),
        ("memory", "-1", "greater than or equal to 0.01"),
        ("memory", "lots", "Enter a number."),
        ("network", "", "This field is required."),
    ],
)
def test_what_can_not_be_is_told_at_its_field(
    field: str, text: str, words: str
) -> None:
    found = errors(**{field: text})
    assert list(found) == [field]
    assert words in found[field]


def test_a_run_may_name_an_image() -> None:
    for image, options in (("", {}), (" python:3 ", {"image": "python:3"})):
        form = DockerRunForm({"image": image})
        assert form.is_valid()
        assert form.options == options
    assert not DockerRunForm({"image": "$(x)"}).is_valid()
