"""Where a page is, as its head shows it."""

import re

import pytest
from django.template import Context, Template

from computes.models import ComputeTarget
from tests import factories

LINK = re.compile(r'<a href="([^"]*)">([^<]*)</a>')


def crumbs(words: str, **context: object) -> str:
    return Template(f"{{% load portal %}}{{% crumbs {words} %}}").render(
        Context(context)
    )


def test_names_of_addresses_addresses_and_objects_lead_somewhere() -> None:
    target = ComputeTarget(name="gpu-box")
    words = '"Compute" "computes:list" target.name target "Runs" "/runs/" "Queue"'
    page = crumbs(words, target=target)
    assert LINK.findall(page) == [
        ("/compute/", "Compute"),
        ("/compute/gpu-box/", "gpu-box"),
        ("/runs/", "Runs"),
    ]
    assert '<li aria-current="page">Queue</li>' in page


def test_what_people_have_named_is_text() -> None:
    page = crumbs('name "/x/" name', name="<b>&")
    assert LINK.findall(page) == [("/x/", "&lt;b&gt;&amp;")]
    assert '<li aria-current="page">&lt;b&gt;&amp;</li>' in page


@pytest.mark.django_db
def test_pages_have_them() -> None:
    factories.target()
    client = factories.signed_in(factories.person())
    page = client.get("/compute/local/queue/").content.decode()
    assert '<a href="/compute/local/">local</a>' in page
    assert '<li aria-current="page">Queue</li>' in page
