"""What a person may not have meant to send, and what changed since the last time."""

import json
import subprocess

import pytest

from aml_portal.node import find_node
from runs.snapshots import Entry, Manifest
from runs.snapshots.changes import Changes, changes
from runs.snapshots.warnings import (
    SECRET_TEXTS,
    DataFolder,
    data_folders,
    not_on_windows,
    secret_name,
    secret_text,
    twins,
)
from runs.transfers import Transfer

_LONG = "aB3" * 40
SECRETS = {
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nabc",
    "a key of AWS": 'key = "AKIAIOSFODNN7EXAMPLE"',
    "a key of Azure storage": f"AccountKey={_LONG}==",
    "a token of GitHub": f"token: ghp_{_LONG[:36]}",
    "a token of GitLab": f"glpat-{_LONG[:20]}",
    "a token of Hugging Face": f"HF=hf_{_LONG[:34]}",
    "a key of Google": f"AIza{_LONG[:35]}",
    "a token of Slack": f"xoxb-{_LONG[:24]}",
    "a key of a language model": f"sk-proj-{_LONG[:40]}",
    "a token of PyPI": f"pypi-{_LONG[:60]}",
}
HARMLESS = (
    "-----BEGIN CERTIFICATE-----",
    "the AKIA prefix",
    "ghp_short",
    "task-force-one",
    "hf_hub_download",
    "xoxo",
)


@pytest.mark.parametrize(("what", "text"), SECRETS.items())
def test_secrets_are_known_by_their_looks(what: str, text: str) -> None:
    assert secret_text(f"one line\n{text}\n".encode()) == what


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts_are_none(text: str) -> None:
    assert not secret_text(text.encode())


def test_what_is_no_text_is_not_looked_into() -> None:
    assert not secret_text(b"\0" + SECRETS["a private key"].encode())


def test_the_page_finds_the_same() -> None:
    program = """
      import { readFileSync } from "node:fs";
      const { texts, samples } = JSON.parse(readFileSync(0, "utf8"));
      const find = (sample) => texts.find(([marker, pattern]) =>
        sample.includes(marker) && new RegExp(pattern).test(sample));
      const found = samples.map((each) => find(each)?.[2] ?? "");
      process.stdout.write(JSON.stringify(found));
    """
    samples = [*SECRETS.values(), *HARMLESS]
    answer = subprocess.run(
        [find_node().folder / "node", "--input-type=module", "-e", program],
        input=json.dumps({"texts": SECRET_TEXTS, "samples": samples}),
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(answer.stdout) == [secret_text(each.encode()) for each in samples]


@pytest.mark.parametrize(
    "path",
    [
        *(".env", "a/.env.production", "id_rsa", ".ssh/id_ed25519", "tls/server.key"),
        *("cert.PEM", ".netrc", "credentials.json", "service-account-prod.json"),
        *("secrets.yaml", "token", ".git-credentials", "kubeconfig"),
    ],
)
def test_names_of_secrets_are_known(path: str) -> None:
    assert secret_name(path)


@pytest.mark.parametrize(
    "path",
    [
        *(".env.example", "environment.yml", "keyboard.py", "tokenizer.json"),
        *("id_rsa.pub", "token/train.py", "secretary.txt", "monkey.keys.py"),
    ],
)
def test_other_names_are_none(path: str) -> None:
    assert not secret_name(path)


def file(path: str, size: int = 1, content: str = "") -> Entry:
    return Entry(path=path, size=size, sha256=content or path)


def of(*entries: Entry) -> Manifest:
    return Manifest.of(entries)


def test_a_folder_of_data_is_told_once() -> None:
    manifest = of(
        file("data/a/one.csv", 15_000_000),
        file("data/a/two.csv", 15_000_000),
        file("data/readme.md"),
        file("src/train.py", 30_000_000),
        *(file(f"few/{n}.png") for n in range(20)),
        *(file(f"deep/{n}/x.png") for n in range(600)),
    )
    assert data_folders(manifest) == [
        DataFolder(path="data", files=3, bytes=30_000_001),
        DataFolder(path="deep", files=600, bytes=600),
    ]


def test_a_very_deep_tree_takes_no_time() -> None:
    deep = "/".join("a" * 1000)
    data_folders(of(*(file(f"{deep}/{n}.csv") for n in range(20_000))))


def test_what_changed_is_told_by_path() -> None:
    before = of(file("same"), file("edited", content="1"), file("gone"))
    after = of(file("same"), file("edited", content="2"), file("new"))
    found = changes(before, after)
    assert [entry.path for entry in found.added] == ["new"]
    assert [entry.path for entry in found.removed] == ["gone"]
    assert [(old.sha256, new.sha256) for old, new in found.changed] == [("1", "2")]
    assert (found.renamed, found.same) == ([], 1)


def test_a_file_that_moved_is_told_as_such() -> None:
    before = of(file("a/x", content="1"), file("a/y", content="1"), file("e", 0))
    after = of(file("b/y", content="1"), file("c", content="1"), file("f", 0))
    found = changes(before, after)
    moved = [(old.path, new.path) for old, new in found.renamed]
    assert moved == [("a/y", "b/y"), ("a/x", "c")]
    assert [entry.path for entry in found.added] == ["f"]
    assert [entry.path for entry in found.removed] == ["e"]


def test_a_mode_is_a_change() -> None:
    plain = of(Entry(path="a", sha256="1"))
    executable = of(Entry(path="a", sha256="1", executable=True))
    assert len(changes(plain, executable).changed) == 1
    assert not changes(plain, plain)
    assert changes(of(), plain) == Changes(added=list(plain.entries))


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (set(), "nothing new; 3 files, 21 bytes, were there already"),
        ({"1"}, "1 of 3 files new, 10 bytes; 11 bytes were there already"),
        ({"1", "2"}, "2 of 3 files new, 11 bytes; 10 bytes were there already"),
    ],
)
def test_a_transfer_is_a_sentence(new: set[str], sentence: str) -> None:
    manifest = of(file("a", 10, "1"), file("copy of a", 10, "1"), file("b", 1, "2"))
    assert str(Transfer.of(manifest, new)) == sentence


def test_a_first_transfer_is_all_new() -> None:
    assert str(Transfer.of(of(file("a", 10)), {"a"})) == "1 of 1 file new, 10 bytes"


def test_names_that_other_machines_take_for_one_are_told() -> None:
    composed, decomposed = "caf\u00e9.py", "cafe\u0301.py"
    names = ("Data.csv", "data.csv", "sub/data.csv", composed, decomposed, "train.py")
    manifest = Manifest.of(Entry(path=name) for name in names)
    assert twins(manifest) == [("Data.csv", "data.csv"), (decomposed, composed)]


@pytest.mark.parametrize(
    "path",
    ["con", "a/NUL.txt", "com1/x.py", "what?.py", "a:b", "dot.", "tab\t", "a\\b"],
)
def test_names_that_windows_does_not_know_are_told(path: str) -> None:
    assert not_on_windows(path)


@pytest.mark.parametrize("path", ["console.py", "a/null.txt", "com10", ".env", "naïve"])
def test_names_that_windows_knows_are_not(path: str) -> None:
    assert not not_on_windows(path)
