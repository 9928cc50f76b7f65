"""What two locks differ in: packages that came, went, or have another version."""

from dataclasses import dataclass

from environments.models import Lock


@dataclass(frozen=True, kw_only=True)
class PackageChange:
    """Versions are "" where there is no such package."""

    name: str
    before: str
    after: str


def package_changes(before: Lock | None, after: Lock | None) -> list[PackageChange]:
    """By name; nothing if one of them is not known."""
    if before is None or after is None or before == after:
        return []
    old, new = before.packages, after.packages
    return [
        PackageChange(name=name, before=old.get(name, ""), after=new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
