"""What is known of environments on machines, and what that tells beforehand."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from environments import builds, locks
from environments.definition import Definition, DockerSection
from environments.models import Build, Environment, Lock
from environments.package_changes import PackageChange, package_changes
from environments.services import save_environment
from tests import factories

pytestmark = pytest.mark.django_db
PLATFORM = "x86_64-manylinux_2_28"


@pytest.fixture
def environment() -> Environment:
    return save_environment(name="tiny", definition=Definition.of_packages("tiny"))


@pytest.fixture
def target() -> ComputeTarget:
    return machine("gpu-box")


def machine(name: str) -> ComputeTarget:
    target = factories.target(name=name)
    target.facts = {"machine": "x86_64", "glibc": "2.36"}
    target.save()
    return target


def locked(environment: Environment, text: str = "tiny==1.0 \\\n") -> Lock:
    facts = {"platform": PLATFORM, "python": "3.11", "text": text}
    return Lock.objects.create(environment=environment, **facts)


def told(target: ComputeTarget, lock: Lock, state: str, **facts: Any) -> None:
    builds.note(target, key=lock.key, state=state, **{"time": timezone.now(), **facts})


def outlook(environment: Environment, target: ComputeTarget) -> str:
    found = builds.outlook(environment, target)
    assert found
    return found.text


def test_an_interpreter_that_is_used_as_it_is_needs_no_build(
    target: ComputeTarget,
) -> None:
    assert builds.outlook(factories.this_python(), target) is None


def test_what_runs_in_docker_runs_nowhere_else(target: ComputeTarget) -> None:
    docker = DockerSection(enabled=True, base_image="python:3.12-slim")
    definition = replace(Definition.of_packages("tiny"), docker=docker)
    contained = save_environment(name="contained", definition=definition)
    said = "The environment contained:1 runs in Docker, and gpu-box has no containers."
    told_before = builds.outlook(contained, target)
    assert told_before
    assert told_before.text.startswith(said)
    assert builds.outlooks_of(contained) == []
    with pytest.raises(UserError, match="gpu-box has no containers"):
        factories.submit(environment=contained, target=target)


def test_the_outlook_follows_what_jobs_tell(
    environment: Environment, target: ComputeTarget
) -> None:
    assert outlook(environment, target) == "will be built on gpu-box"
    lock = locked(environment)
    told(target, lock, "building")
    assert outlook(environment, target) == "being built on gpu-box"
    told(target, lock, "built", seconds=40.3, size=10**6)
    assert outlook(environment, target) == "ready on gpu-box"
    again = "will be built on gpu-box, which took about 40 s the last time"
    told(target, lock, "removed")
    assert outlook(environment, target) == again
    told(target, lock, "building")
    told(target, lock, "failed")
    assert outlook(environment, target) == again
    elsewhere = outlook(environment, machine("other-box"))
    assert (
        elsewhere == "will be built on other-box, which took about 40 s the last time"
    )


def test_who_dies_while_it_builds_leaves_no_build_that_goes_on_for_ever(
    environment: Environment, target: ComputeTarget
) -> None:
    lock = locked(environment)
    told(target, lock, "building")
    builds.give_up(target, [lock.key])
    assert Build.objects.get().state == Build.State.REMOVED
    assert outlook(environment, target) == "will be built on gpu-box"
    told(target, lock, "built", seconds=200)
    builds.give_up(target, [lock.key])
    assert outlook(environment, target) == "ready on gpu-box"


def test_what_is_told_late_changes_nothing_that_is_newer(
    environment: Environment, target: ComputeTarget
) -> None:
    lock, now = locked(environment), timezone.now()
    told(target, lock, "hit", time=now)
    told(target, lock, "removed", time=now - timedelta(minutes=1))
    told(target, lock, "building", time=now - timedelta(minutes=2))
    assert Build.objects.get().state == Build.State.READY


def test_targets_on_one_machine_share_what_is_built_there(
    environment: Environment, target: ComputeTarget
) -> None:
    upon = factories.target(name="upon")
    upon.machine, upon.facts = target, target.facts
    upon.save()
    told(upon, locked(environment), "built", seconds=1)
    assert outlook(environment, target) == "ready on gpu-box"
    assert outlook(environment, upon) == "ready on gpu-box"
    (known,) = builds.builds_of(environment)
    assert known.build.machine == target
    assert not known.is_image


def test_what_can_not_be_resolved_in_time_is_told(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_SECONDS", 0.001)
    with pytest.raises(UserError, match="could not be resolved within"):
        locks.lock_of(environment, {"machine": "x86_64"})
    assert not environment.locks.exists()


def test_a_lock_tells_its_packages(environment: Environment) -> None:
    lock = Lock(
        environment=environment,
        python="3.11.7",
        text="a-b[extra]==1.0 \\\n    --hash=sha256:00\nc==2 ; x\nd @ https://x.test/d.whl\n",
        conda='[{"name": "core", "version": "2.0", "url": "https://x.test/core",'
        ' "sha256": "ab"}]',
    )
    packages = {"a-b": "1.0", "c": "2", "core": "2.0", "d": "https://x.test/d.whl"}
    assert lock.packages == {"python": "3.11.7", **packages}
    assert "\n@EXPLICIT\nhttps://x.test/core#sha256:ab\n" in lock.as_explicit()


def test_two_locks_differ_in_packages(environment: Environment) -> None:
    other = save_environment(name="other", definition=Definition.of_packages("tiny"))
    one = locked(environment, "same==1\ntiny==1.0\nwent==1\n")
    two = locked(other, "came==3\nsame==1\ntiny==1.5\n")
    assert package_changes(one, two) == [
        PackageChange(name="came", before="", after="3"),
        PackageChange(name="tiny", before="1.0", after="1.5"),
        PackageChange(name="went", before="1", after=""),
    ]
    assert package_changes(None, two) == []
    assert package_changes(one, one) == []


def docker(machine: ComputeTarget, name: str, image: str) -> ComputeTarget:
    target = ComputeTarget.objects.create(
        name=name, kind="docker", machine=machine, settings={"image": image}
    )
    target.facts = machine.facts
    target.save()
    return target


def test_an_image_is_known_by_what_it_is_built_on(
    environment: Environment, target: ComputeTarget
) -> None:
    one, other = docker(target, "one", "python:3.11"), docker(target, "other", "x:1")
    assert outlook(environment, one) == "image will be built on gpu-box"
    lock = locked(environment)
    key = builds.key_of(environment, one)
    assert key not in ("", None, lock.key)
    assert key is not None
    time = timezone.now()
    builds.note(one, key=key, state="built", time=time, seconds=40, size=10)
    assert outlook(environment, one) == "image ready on gpu-box"
    for elsewhere in (outlook(environment, other), outlook(environment, target)):
        assert "will be built" in elsewhere
    assert builds.outlook(environment, other, {"image": "python:3.11"}) == (
        builds.outlook(environment, one)
    )
    (known,) = builds.builds_of(environment)
    assert known.is_image
    builds.note(one, key=key, state="building", time=timezone.now())
    assert outlook(environment, one) == "image being built on gpu-box"
    builds.give_up(one, [key])
    again = "image will be built on gpu-box, which took about 40 s the last time"
    assert outlook(environment, one) == again


def test_a_dockerfile_is_built_and_an_image_by_its_name_is_not(
    target: ComputeTarget,
) -> None:
    engine = docker(target, "engine", "python:3.11")
    plain = factories.this_python()
    assert builds.outlook(plain, engine) is None
    section = DockerSection(base_dockerfile="FROM python:3.11\n")
    definition = replace(Definition.user_managed(), docker=section)
    own = save_environment(name="own", definition=definition)
    assert outlook(own, engine) == "image will be built on gpu-box"
    assert builds.outlook(own, target) is None
    assert [each for each, _ in builds.outlooks_of(own)] == [engine]


def test_where_it_can_not_be_built_is_told_and_not_offered(
    environment: Environment, target: ComputeTarget
) -> None:
    engine = docker(target, "engine", "no image")
    locked(environment)
    assert "“no image” is no name of an image." in outlook(environment, engine)
    offered = [each for each, _ in builds.outlooks_of(environment)]
    assert target in offered
    assert engine not in offered
