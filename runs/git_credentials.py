"""What people keep to sign in to hosts of git, and when it is used."""

from typing import TYPE_CHECKING

from aml_portal.errors import UserError
from aml_portal.vault import Secret
from runs.git_fetch import Login
from runs.git_remotes import Remote, checked_host
from runs.models import GitCredential

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def keep_credential(
    owner: "User", *, host: str, user_name: str, secret: str
) -> GitCredential:
    """Keep what signs in to `host`, in place of what was kept. Raises UserError."""
    place = checked_host(host)
    if ":" in user_name or not user_name.isprintable():
        raise UserError("A user name has no “:” in it.", "Check the user name.")
    if not secret.isprintable():
        raise UserError(
            "The password has a line break, or another character that can't be typed.",
            "Copy it once more, without what is around it.",
        )
    kept, _ = GitCredential.objects.update_or_create(
        owner=owner,
        host=place,
        defaults={"user_name": user_name, "secret": Secret.of(secret)},
    )
    return kept


def login_for(owner: "User", remote: Remote) -> Login | None:
    """What `owner` keeps for exactly this host, where nobody can listen."""
    if remote.scheme != "https":
        return None
    kept = GitCredential.objects.filter(owner=owner, host=remote.place).first()
    return Login(user=kept.user_name, secret=kept.secret.reveal()) if kept else None
