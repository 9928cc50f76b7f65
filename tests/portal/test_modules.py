"""Modules are named in the page before the browser finds out that it needs them."""

import re
from pathlib import Path

from django.template import Context, Template

from aml_portal.modules import imports_of

STATIC = Path(__file__).resolve().parents[2] / "static"


def test_all_that_a_module_imports_is_found() -> None:
    found = imports_of("js/log-view.js")
    assert found[0].startswith("js/log/")
    assert len(found) == len(set(found))
    assert {"js/log/lines.js", "js/log/ansi.js", "js/run-socket.js"} <= set(found)
    for name in found:
        source = (STATIC / name).read_text()
        for target in re.findall(r'^import .*?"(\..*?)";', source, re.M | re.S):
            path = (STATIC / name).parent.joinpath(target).resolve()
            assert str(path.relative_to(STATIC)) in found


def test_what_is_fetched_later_is_not_named() -> None:
    found = imports_of("js/run/run-page.js")
    assert "js/run/file-tree.js" in found
    assert not any("markdown" in name or "uPlot" in name for name in found)


def test_a_page_names_each_module_once_and_what_it_runs_last() -> None:
    template = "{% load portal %}{% modules 'js/log-view.js' 'js/run/run-page.js' %}"
    html = Template(template).render(Context())
    preloads = re.findall(r'rel="modulepreload" href="[^"]*?(js/[\w/-]+)\.js"', html)
    scripts = re.findall(r'<script type="module" src="[^"]*?(js/[\w/-]+)\.js"', html)
    assert len(preloads) == len(set(preloads)) > 10
    assert scripts == ["js/log-view", "js/run/run-page"]
    assert not set(scripts) & set(preloads)
