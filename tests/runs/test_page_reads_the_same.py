"""The page and the portal read one folder: they find and leave out the same."""

import json
import random
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aml_portal.node import find_node
from runs.snapshots import SnapshotError, Store, read_folder, read_offer
from runs.snapshots.ignore import DEFAULTS
from runs.snapshots.warnings import SECRET_TEXTS
from tests.runs.sources import FILES, LIMITS, write
from tests.runs.test_ignore_rules import random_case

_SCRIPTS = Path(__file__).parents[2] / "static/js/upload"
_TOKEN = b"TOKEN = 'ghp_" + b"a1" * 18 + b"'\n"
# What the page does with a folder that is dropped, up to the offer.
_PROGRAM = """
  import { readdirSync, readFileSync, statSync } from "node:fs";
  const { defaults, texts, withoutTls, folders } = JSON.parse(readFileSync(0, "utf8"));
  if (withoutTls) Object.defineProperty(crypto, "subtle", { value: undefined });
  const { readDrop } = await import("%(scripts)s/folder.js");
  let work;
  let tell;
  globalThis.self = {
    addEventListener: (_, handle) => (work = handle),
    postMessage: (answer) => tell(answer),
  };
  await import("%(scripts)s/hash-worker.js");
  const entryOf = (path, name) => {
    const children = () => readdirSync(path).map((e) => entryOf(`${path}/${e}`, e));
    const createReader = () => {
      const left = [children(), []];
      return { readEntries: (give) => give(left.shift()) };
    };
    const file = (give) => give(new File([readFileSync(path)], name));
    return { name, isDirectory: statSync(path).isDirectory(), createReader, file };
  };
  const found = [];
  for (const each of folders) {
    const items = [{ kind: "file", webkitGetAsEntry: () => entryOf(each, "source") }];
    const folder = await readDrop({ items }, { defaults });
    const files = folder.files.map(({ file }) => file);
    const { hashed } = await new Promise((resolve) => {
      tell = resolve;
      work({ data: { number: 0, files, texts } });
    });
    const entries = folder.files.map(({ path, file }, place) => (
      { path, size: file.size, sha256: hashed[place].sha256 }
    ));
    const folders = folder.emptyFolders.map((path) => ({ path, kind: "folder" }));
    const secrets = folder.files
      .map(({ path }, place) => [path, hashed[place].secret])
      .filter(([, secret]) => secret);
    const leftOut = folder.leftOut.map(({ path, rule }) => [path, rule]);
    found.push({ offer: [...entries, ...folders], secrets, leftOut });
  }
  process.stdout.write(JSON.stringify(found));
"""


def page_finds(folders: list[Path], *, without_tls: bool) -> Any:
    asked = {
        "defaults": DEFAULTS,
        "texts": SECRET_TEXTS,
        "withoutTls": without_tls,
        "folders": list(map(str, folders)),
    }
    program = _PROGRAM % {"scripts": _SCRIPTS.as_uri()}
    answer = subprocess.run(
        [find_node().folder / "node", "--input-type=module", "-e", program],
        input=json.dumps(asked),
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(answer.stdout)


def random_folder(chance: random.Random, place: Path) -> Path:
    case = random_case(chance)
    for path in case.paths:
        if path.endswith("/"):
            (place / path).mkdir(parents=True, exist_ok=True)
    texts = [b"", b"1", b"\0" + _TOKEN, _TOKEN, bytes(3000), chance.randbytes(50)]
    files = [path for path in case.paths if not path.endswith("/")]
    write(place, {path: chance.choice(texts) for path in files})
    return write(place, case.ignore_files)


@pytest.mark.parametrize("without_tls", [False, True])
def test_both_find_the_same_and_leave_out_the_same(
    tmp_path: Path, *, without_tls: bool
) -> None:
    chance = random.Random(7)
    folders = [random_folder(chance, tmp_path / str(n) / "s") for n in range(60)]
    folders.append(write(tmp_path / "odd", FILES))
    store = Store(tmp_path / "objects")
    compared: Counter[str] = Counter()
    for folder, page in zip(
        folders, page_finds(folders, without_tls=without_tls), strict=True
    ):
        try:
            intake = read_folder(folder, store, LIMITS)
        except SnapshotError as error:
            assert "holds no files" in error.message
            assert not any("sha256" in entry for entry in page["offer"])
            continue
        offered = read_offer(json.dumps(page["offer"]).encode(), LIMITS)
        assert offered.entries == intake.manifest.entries
        assert dict(page["secrets"]) == intake.secrets
        left_out = {path: str(rule) for path, rule in intake.left_out.items()}
        assert dict(page["leftOut"]) == left_out
        compared.update(files=1, secrets=len(intake.secrets), left_out=len(left_out))
    assert min(compared.values()) > 20
