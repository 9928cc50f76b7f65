"""How the pages of runs and snapshots show a file: its lines, its source, its bytes."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from runs.models import Run
from tests import factories
from tests.runs.answers import body_of, text_of
from tests.runs.notebook import realistic

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_PAGE = "<html><script>alert(1)</script></html>"


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(factories.person())
    return client


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Run:
    settings.RUNS_FOLDER = tmp_path
    files: dict[str, Any] = {
        "train.py": "import os\n\n\ndef main():\n    pass\n",
        "README.md": "# Title\n\nText\n",
        "explore.ipynb": realistic().decode(),
        "page.html": _PAGE,
        "fix.patch": "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n",
        "x.bin": b"\0\1",
    }
    return factories.submit(snapshot=factories.snapshot(files))


@pytest.fixture(params=["run", "snapshot"])
def address(run: Run, request: pytest.FixtureRequest) -> str:
    """The beginning of the address of a page that shows the files."""
    if request.param == "run":
        return f"{run.get_absolute_url()}?tab=snapshot&"
    return f"{run.snapshot.get_absolute_url()}?"


def test_a_line_is_linked_wherever_files_are_shown(
    client: Client, address: str
) -> None:
    shown = client.get(f"{address}file=train.py&line=4").content.decode()
    assert '<span aria-current="true"><a name="snapshot-4" href="#snapshot-4"' in shown
    assert '<span class="hl-name">main</span>' in shown
    assert shown.count('tabindex="0" autofocus') == 1
    query = address.partition("?")[2]
    assert f'data-page="?{query.replace("&", "&amp;")}file=train.py"' in shown


def test_a_range_of_lines_is_linked(client: Client, address: str) -> None:
    shown = text_of(client.get(f"{address}file=train.py&line=1-3"))
    assert shown.count('<span aria-current="true"><a ') == 3


def test_a_line_that_is_not_there_is_told(client: Client, address: str) -> None:
    shown = text_of(client.get(f"{address}file=train.py&line=7000"))
    assert "Line 7,000 is beyond what is shown." in shown


@pytest.mark.parametrize("name", ["README.md", "explore.ipynb"])
def test_what_can_be_rendered_has_a_source_as_well(
    client: Client, address: str, name: str
) -> None:
    rendered = text_of(client.get(f"{address}file={name}"))
    assert "<markdown-view" in rendered
    assert "<code-view" not in rendered
    query = address.partition("?")[2]
    assert f'href="?{query}file={name}&view=source"' in rendered
    for more in ("&view=source", "&line=1"):
        source = text_of(client.get(f"{address}file={name}{more}"))
        assert "<code-view" in source
        assert "<markdown-view" not in source


def test_a_file_without_another_look_has_no_switch(
    client: Client, address: str
) -> None:
    assert "view=source" not in text_of(client.get(f"{address}file=train.py"))


def test_a_notebook_is_shown_and_nothing_of_it_is_markup(
    client: Client, address: str
) -> None:
    shown = client.get(f"{address}file=explore.ipynb").content.decode()
    assert '<span class="hl-keyword">def </span>' in shown
    assert '<span class="cell-count" aria-hidden="true">[4]</span>' in shown
    assert 'src="data:image/png;base64,' in shown
    assert "<script>document" not in shown
    assert "<iframe" not in shown
    assert "&lt;img src=&quot;https://tracker" in shown


def test_a_patch_has_the_colours_of_changes(client: Client, address: str) -> None:
    shown = client.get(f"{address}file=fix.patch").content.decode()
    assert '<span class="hl-inserted">+new</span>' in shown
    assert '<span class="hl-deleted">-old</span>' in shown


@pytest.mark.parametrize("name", ["page.html", "train.py", "x.bin"])
def test_a_raw_file_is_characters_and_nothing_else(
    client: Client, run: Run, name: str
) -> None:
    answers = [
        client.get(f"{address}file/?name={name}&as=raw")
        for address in (
            f"{run.get_absolute_url()}snapshot/",
            run.snapshot.get_absolute_url(),
        )
    ]
    for answer in answers:
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (
            answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        )
        assert "attachment" not in answer.headers["Content-Disposition"]
    bodies = {body_of(answer) for answer in answers}
    assert len(bodies) == 1
    assert name != "page.html" or bodies == {_PAGE.encode()}


def test_only_text_offers_its_raw_form(client: Client, run: Run) -> None:
    address = f"{run.get_absolute_url()}snapshot/file/?as=preview&name="
    assert "as=raw" in text_of(client.get(f"{address}README.md"))
    assert "as=raw" not in text_of(client.get(f"{address}x.bin"))
    gone = client.get(f"{run.get_absolute_url()}snapshot/file/?as=raw&name=none")
    assert gone.status_code == 404
