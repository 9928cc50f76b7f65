"""Addresses of git repositories: without credentials, and as links to pages."""

import re
from urllib.parse import quote, urlsplit, urlunsplit

# The short form of ssh: user@host:path.
_SHORT = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^@/:]+):(?P<path>(?!//).*)")
_AZURE_SSH = re.compile(r"v3/([^/]+)/([^/]+)/([^/]+)")


def without_credentials(url: str) -> str:
    """The address with no password, token or query in it.

    The user name of ssh stays, since it is no secret and part of the address.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.scheme or "://" not in url:
        user, at, rest = url.rpartition("@")
        return f"{user.partition(':')[0]}{at}{rest}" if "/" not in user else url
    user, at, host = parts.netloc.rpartition("@")
    keeps_user = "ssh" in parts.scheme and user
    netloc = f"{user.partition(':')[0]}@{host}" if keeps_user else host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def web_address(repository: str) -> str:
    """The page of a repository at its host; "" if none can be guessed."""
    host, path = _host_and_path(repository)
    if not host or not path:
        return ""
    if host in ("ssh.dev.azure.com", "vs-ssh.visualstudio.com"):
        found = _AZURE_SSH.fullmatch(path)
        if found is None:
            return ""
        organization, project, name = found.groups()
        host, path = "dev.azure.com", f"{organization}/{project}/_git/{name}"
    scheme = "http" if repository.startswith("http://") else "https"
    return f"{scheme}://{host}/{quote(path, safe='/%')}"


def commit_address(repository: str, commit: str) -> str:
    """The page of a commit. GitHub, GitLab and Gitea hosts are called anything."""
    page = web_address(repository)
    if not page or not commit:
        return ""
    host = (urlsplit(page).hostname or "").lower()
    if "bitbucket" in host:
        return f"{page}/commits/{commit}"
    if "gitlab" in host:
        return f"{page}/-/commit/{commit}"
    return f"{page}/commit/{commit}"


def _host_and_path(repository: str) -> tuple[str, str]:
    try:
        parts = urlsplit(repository)
        port = parts.port
    except ValueError:
        return "", ""
    if parts.scheme in ("http", "https"):
        host = parts.hostname or ""
        return f"{host}:{port}" if port else host, _page_path(parts.path)
    if parts.scheme in ("ssh", "git+ssh"):
        # The port is that of ssh.
        return parts.hostname or "", _page_path(parts.path)
    short = None if "://" in repository else _SHORT.fullmatch(repository)
    return (short["host"], _page_path(short["path"])) if short else ("", "")


def _page_path(path: str) -> str:
    return path.strip("/").removesuffix(".git")
