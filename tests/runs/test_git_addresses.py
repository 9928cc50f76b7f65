"""Addresses of repositories, and the pages of commits at their hosts."""

import pytest

from runs.git_addresses import commit_address, without_credentials

COMMIT = "c0ffee"


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://ada:pass@example.org:8443/a.git", "https://example.org:8443/a.git"),
        (
            "https://token@example.org/a.git?private_token=1#x",
            "https://example.org/a.git",
        ),
        ("https://a@b:p@example.org/a.git", "https://example.org/a.git"),
        ("ssh://git@example.org:22/a.git", "ssh://git@example.org:22/a.git"),
        ("ssh://git:pass@example.org/a.git", "ssh://git@example.org/a.git"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("git:pass@example.org:a/b.git", "git@example.org:a/b.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("ftp://ada:pass@example.org/a.git", "ftp://example.org/a.git"),
        ("https://[::1/a", ""),
        ("", ""),
    ],
)
def test_credentials_are_removed(url: str, clean: str) -> None:
    assert without_credentials(url) == clean


@pytest.mark.parametrize(
    ("repository", "page"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b/commit/c0ffee"),
        ("git@github.com:a/b.git", "https://github.com/a/b/commit/c0ffee"),
        ("ssh://git@github.com:22/a/b", "https://github.com/a/b/commit/c0ffee"),
        ("https://gitlab.com/g/s/b.git", "https://gitlab.com/g/s/b/-/commit/c0ffee"),
        ("git@gitlab.x.org:a/b.git", "https://gitlab.x.org/a/b/-/commit/c0ffee"),
        ("https://bitbucket.org/a/b", "https://bitbucket.org/a/b/commits/c0ffee"),
        (
            "https://dev.azure.com/org/my%20project/_git/b",
            "https://dev.azure.com/org/my%20project/_git/b/commit/c0ffee",
        ),
        (
            "git@ssh.dev.azure.com:v3/org/project/b",
            "https://dev.azure.com/org/project/_git/b/commit/c0ffee",
        ),
        (
            "https://org.visualstudio.com/project/_git/b",
            "https://org.visualstudio.com/project/_git/b/commit/c0ffee",
        ),
        ("https://codeberg.org/a/b", "https://codeberg.org/a/b/commit/c0ffee"),
        ("http://gitea.local:3000/a/b", "http://gitea.local:3000/a/b/commit/c0ffee"),
        ("/srv/git/b.git", ""),
        ("file:///srv/git/b.git", ""),
        ("javascript://github.com/%0aalert(1)", ""),
        ("https://x:port/a", ""),
        ("git@ssh.dev.azure.com:odd", ""),
        ("", ""),
    ],
)
def test_a_commit_has_a_page_at_its_host(repository: str, page: str) -> None:
    assert commit_address(repository, COMMIT) == page
