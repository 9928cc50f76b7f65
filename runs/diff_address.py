"""Where a diff and its parts are, and how it is to be shown there."""

from dataclasses import dataclass, replace

from django.http import HttpResponse
from django.urls import reverse

from runs.models import Snapshot
from runs.requests import PageRequest

_COOKIE = "diff_view"
_A_YEAR = 365 * 24 * 60 * 60
_SPLIT, _INLINE = "split", "inline"


@dataclass(frozen=True, kw_only=True)
class DiffAddress:
    """Two snapshots, and what a person chose of how their diff is shown."""

    before: Snapshot
    after: Snapshot
    is_split: bool = False
    ignore_space: bool = False

    @property
    def page(self) -> str:
        return f"{self._reverse('snapshot-diff')}?{self.query}"

    @property
    def file(self) -> str:
        """To be followed by the name."""
        return f"{self._reverse('snapshot-diff-file')}?{self.query}&name="

    @property
    def lines(self) -> str:
        """To be followed by the name."""
        return f"{self._reverse('snapshot-diff-lines')}?{self.query}&name="

    @property
    def query(self) -> str:
        view = f"view={_SPLIT if self.is_split else _INLINE}"
        return f"{view}&space=ignore" if self.ignore_space else view

    @property
    def other_view(self) -> "DiffAddress":
        return replace(self, is_split=not self.is_split)

    @property
    def other_space(self) -> "DiffAddress":
        return replace(self, ignore_space=not self.ignore_space)

    @property
    def swapped(self) -> "DiffAddress":
        return replace(self, before=self.after, after=self.before)

    def _reverse(self, name: str) -> str:
        return reverse(f"runs:{name}", args=[self.before.pk, self.after.pk])


def address_in(request: PageRequest, before: Snapshot, after: Snapshot) -> DiffAddress:
    """What the address of the request says, or a choice that was made before."""
    view = request.GET.get("view") or request.COOKIES.get(_COOKIE)
    return DiffAddress(
        before=before,
        after=after,
        is_split=view == _SPLIT,
        ignore_space=request.GET.get("space") == "ignore",
    )


def remember(request: PageRequest, response: HttpResponse) -> HttpResponse:
    """Keep what the person chose, for the next diff."""
    view = request.GET.get("view")
    if view in (_SPLIT, _INLINE):
        response.set_cookie(
            _COOKIE,
            view,
            max_age=_A_YEAR,
            httponly=True,
            samesite="Lax",
            secure=request.is_secure(),
        )
    return response
