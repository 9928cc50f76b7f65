"""Spark's own notation, as people write it and as Java reads it."""

import pytest

from aml_portal.errors import UserError
from computes.launchers.spark import launcher
from computes.launchers.spark.notation import (
    addresses_of,
    as_properties,
    check_master,
    check_memory,
    check_py_files,
    looks_secret,
    parse_conf,
    spell_conf,
)


@pytest.mark.parametrize(
    ("master", "addresses"),
    [
        ("local", []),
        ("local[*]", []),
        ("local[4]", []),
        ("local[4,2]", []),
        ("yarn", []),
        ("spark://node-1:7077", ["node-1:7077"]),
        (
            "spark://10.0.0.1:7077,b.example.org:7078",
            ["10.0.0.1:7077", "b.example.org:7078"],
        ),
        ("spark://[::1]:7077", ["[::1]:7077"]),
        ("k8s://https://kube:6443", ["kube:6443"]),
        ("k8s://kube:6443", ["kube:6443"]),
    ],
)
def test_addresses_of_masters_are_known(master: str, addresses: list[str]) -> None:
    check_master(master)
    assert addresses_of(master) == addresses


@pytest.mark.parametrize(
    "master",
    [
        "",
        "spark://",
        "spark://host",
        "spark://host:0",
        "spark://host:65536",
        "spark://host:7077/",
        "spark://host:7077,",
        "spark://host:7077 --conf x",
        "spark://host:7077\n",
        "http://host:7077",
        "local[0]",
        "local[x]",
        "yarn-cluster",
        "k8s://kube",
        "--verbose",
        "mesos://host:5050",
    ],
)
def test_what_is_no_address_of_a_master_is_refused(master: str) -> None:
    with pytest.raises(UserError, match="not the address of a Spark master"):
        check_master(master)


def test_lines_become_a_configuration_and_lines_again() -> None:
    text = "\n# memory\nspark.a.b-c = x = y \n\nspark.empty=\nspark.path=C:\\new\n"
    conf = {"spark.a.b-c": "x = y", "spark.empty": "", "spark.path": "C:\\new"}
    assert parse_conf(text) == conf
    assert parse_conf(spell_conf(conf)) == conf


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("spark.a=1\nspark.b", "Line 2 is not spark.NAME=VALUE."),
        ("hadoop.a=1", "Line 1 is not spark.NAME=VALUE."),
        ("spark.a b=1", "Line 1 is not"),
        ("spark.a:b=1", "Line 1 is not"),
        ("=1", "Line 1 is not"),
        ("spark.a=1\nspark.a=2", "spark.a is given twice."),
        ("spark.a=\0", "too long, or contains a NUL"),
        ("spark.a=" + "x" * 40_000, "too long"),
        ("spark.master=local", "The master is a setting of the compute target."),
        ("spark.submit.deployMode=cluster", "The driver runs in client mode"),
        ("spark.app.name=mine", "called as its run"),
        ("spark.submit.pyFiles=a.py", "Python files"),
    ],
)
def test_a_configuration_that_can_not_be_is_refused(text: str, error: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_conf(text)
    assert error in str(refused.value)


@pytest.mark.parametrize("text", ["512m", "4g", "4G", "1024k", "2gb"])
def test_amounts_of_memory_are_known(text: str) -> None:
    check_memory(text)


@pytest.mark.parametrize("text", ["", "4", "0g", "-1g", "4 g", "4gg", "much", "4g\n"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not an amount of memory"):
        check_memory(text)


@pytest.mark.parametrize("name", ["/etc/a.py", "../a.py", "lib/../../a.py"])
def test_python_files_are_below_the_source(name: str) -> None:
    with pytest.raises(UserError, match="not below the source"):
        check_py_files([name])


@pytest.mark.parametrize("name", ["a,b.py", "data.csv", "lib", "a.PY"])
def test_only_python_files_are_sent_along(name: str) -> None:
    with pytest.raises(UserError, match="can't be sent to executors"):
        check_py_files(["lib/good.py", "b.zip", "c.egg", name])


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("spark.ssl.keyStorePassword", True),
        ("spark.hadoop.fs.s3a.secret.key", True),
        ("spark.hadoop.fs.s3a.access.key", True),
        ("spark.x.accessKey", True),
        ("spark.x.TOKEN", True),
        ("spark.sql.shuffle.partitions", False),
        ("spark.executor.memory", False),
    ],
)
def test_secrets_are_known_by_their_names(key: str, *, secret: bool) -> None:
    assert looks_secret(key) is secret


def test_a_backslash_is_no_escape_for_java() -> None:
    assert as_properties({"spark.a": "C:\\new=1"}) == "spark.a=C:\\\\new=1\n"


def test_a_snapshot_has_to_have_what_a_run_names() -> None:
    files = {"train.py", "lib/a.py"}.__contains__
    launcher.check_run("train.py", {"py_files": ["lib/a.py"]}, files)
    with pytest.raises(UserError, match=r"“b\.zip” is not among the files"):
        launcher.check_run("train.py", {"py_files": ["lib/a.py", "b.zip"]}, files)
    with pytest.raises(UserError, match=r"no \.py file"):
        launcher.check_run("train", {}, files)
