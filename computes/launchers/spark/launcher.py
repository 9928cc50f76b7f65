"""Jobs as applications of a Spark cluster, sent to it by spark-submit on a host.

The driver runs in client mode, below the runner: its output is the job's log, its exit
code that of the job, and a cancel ends it with all that it has started. When it is
gone, the master ends its executors.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from aml_portal.errors import TargetError, UserError
from computes.hosts import Host
from computes.kinds import HasFile
from computes.launchers.base import Leftover, Sight, Spec
from computes.launchers.spark.notation import addresses_of, as_properties, parse_conf
from computes.models import ComputeTarget

_THERE = Path(__file__).with_name("there.py").read_text(encoding="utf-8")
# Beside the working folder of the job, readable for its account alone.
_PROPERTIES = "spark.conf"
# Its line in a lock of pip.
_PYSPARK = re.compile(r"^pyspark(?:\[[^\]]*\])?(?:==| @ )", re.MULTILINE)
# What an application waits for, as there.py tells it, in words.
_WAITS = {
    "": "",
    "master": "The driver can't reach the Spark master yet.",
    "executors": "Spark application {application} waits for executors: no worker has"
    " the cores and the memory free.",
}


class SparkLauncher:
    """Starts drivers on a host; what becomes of them there, the runner tells."""

    def __init__(self, target: ComputeTarget, host: Host) -> None:
        self._target = target
        self._host = host
        self._settings: Mapping[str, Any] = target.settings

    def spec(self, spec: Spec, options: Mapping[str, Any]) -> Spec:
        interpreter, script, *arguments = spec["argv"]
        if script == "-c":
            # The job of a check. It tells of the runner; Spark has checks of its own.
            return spec
        found = self._find(spec)
        argv = [
            *(
                f"{found['home']}/bin/spark-submit",
                "--master",
                self._settings["master"],
            ),
            *("--deploy-mode", "client", "--name", spec["id"]),
            *("--properties-file", f"../{_PROPERTIES}"),
        ]
        if py_files := options.get("py_files"):
            argv += ["--py-files", ",".join(py_files)]
        pythons = {"PYSPARK_PYTHON": interpreter, "PYSPARK_DRIVER_PYTHON": interpreter}
        homes = {"SPARK_HOME": found["home"]}
        if found["java_home"]:
            homes["JAVA_HOME"] = found["java_home"]
        return {
            **spec,
            "argv": [*argv, script, *arguments],
            "env": {**pythons, **spec["env"], **homes},
            # That of the run wins over that of its environment.
            "spark": {
                "conf": {**spec.get("spark_conf", {}), **options.get("conf", {})}
            },
        }

    def start(self, job: str, spec: Spec) -> dict[str, Any]:
        if "spark" in spec:
            secret = self._target.reveal_secrets().get("secret_conf", "")
            of_all = {**self._settings["conf"], **parse_conf(secret)}
            self._ask(
                "write_conf",
                home=spec["env"]["SPARK_HOME"],
                path=f"{self._host.place(job).folder}/{_PROPERTIES}",
                properties=as_properties({**of_all, **spec["spark"]["conf"]}),
            )
        return self._host.start(job)

    def look(self, jobs: Collection[str]) -> Mapping[str, Sight]:
        if not jobs:
            return {}
        parent = PurePosixPath(self._host.place("spark").folder).parent
        folders = {job: str(parent / job) for job in jobs}
        seen = self._ask("look", web_ui=self._settings["web_ui"], folders=folders)
        return {job: self._sight(**found) for job, found in seen.items()}

    def end(self, job: str) -> None:
        """Nothing: the runner ends the driver, and with that the application ends."""

    def leftovers(self) -> list[Leftover]:
        return []

    def checks(self) -> Mapping[str, Callable[[], str]]:
        return {
            "Java": self._check_java,
            "Spark": self._check_spark,
            "Spark master": self._check_master,
        }

    def _find(self, spec: Spec) -> dict[str, str]:
        """Where Spark and Java are; the variables of a run win over the settings."""
        env = spec["env"]
        found: dict[str, str] = self._ask(
            "find",
            interpreter=spec["argv"][0],
            spark_home=env.get("SPARK_HOME") or self._settings["spark_home"],
            java_home=env.get("JAVA_HOME") or self._settings["java_home"],
            future_home=_future_home(spec),
        )
        return found

    def _sight(
        self, *, application: str, waits_for: str, hint: str, is_over: bool
    ) -> Sight:
        page = self._settings["web_ui"].rstrip("/")
        words = _WAITS[waits_for].format(application=application)
        url = f"{page}/app/?appId={application}" if page and application else ""
        return Sight(words=words, is_over=is_over, hint=hint, name=application, url=url)

    def _check_java(self) -> str:
        found = self._ask("java", java_home=self._settings["java_home"])
        return f"Java {found['version']}."

    def _check_spark(self) -> str:
        found = self._ask(
            "spark",
            interpreter=self._target.python,
            spark_home=self._settings["spark_home"],
            java_home=self._settings["java_home"],
        )
        return f"Spark {found['version']} in {found['home']}."

    def _check_master(self) -> str:
        master = self._settings["master"]
        addresses = addresses_of(master)
        if not addresses:
            return f"Nothing to be reached beforehand: it is {master}."
        web_ui = self._settings["web_ui"]
        found = self._ask("master", addresses=addresses, web_ui=web_ui)
        words = f"{found['address']} takes connections."
        if page := found["page"]:
            words += (
                f" Workers: {page['workers']}; cores: {page['used']} of"
                f" {page['cores']} in use."
            )
        return words

    def _ask(self, verb: str, **fields: Any) -> Any:
        """The answer of there.py. Raises TargetError."""
        python = self._host.place("spark").python
        question = json.dumps({"verb": verb, **fields}).encode()
        ran = self._host.run([python, "-I", "-S", "-c", _THERE], stdin=question)
        try:
            said = json.loads(ran.out)
        except ValueError as error:
            raise TargetError(f"Spark can't be asked: {ran.complaint}.") from error
        if "error" in said:
            raise TargetError(said["error"], said.get("advice", ""))
        return said["answer"]


def _future_home(spec: Spec) -> str:
    """Where pyspark, a whole Spark, will be in the environment that is still to be
    built; empty if it is none of its packages.
    """
    prepare = spec.get("prepare")
    if not prepare:
        return ""
    of_conda = {each["name"] for each in (prepare["conda"] or {}).get("records", ())}
    if "pyspark" not in of_conda and not _PYSPARK.search(prepare["lock"]):
        return ""
    python = ".".join(prepare["python"].split(".")[:2])
    folder = PurePosixPath(spec["argv"][0]).parent.parent
    return f"{folder}/lib/python{python}/site-packages/pyspark"


def check_run(script: str, options: Mapping[str, Any], has_file: HasFile) -> None:
    """Raise UserError for a script or Python files that Spark can't run."""
    if not script.endswith(".py"):
        raise UserError(
            f"{script} is no .py file: Spark would take it for a Java program.",
            "Name the script so that it ends with .py.",
        )
    for name in options.get("py_files", ()):
        if not has_file(name):
            raise UserError(
                f"The Python file “{name}” is not among the files of the snapshot.",
                "Name one of its files.",
            )
