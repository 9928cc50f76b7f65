"""What people keep to sign in to hosts of git, and when it is used."""

from typing import TYPE_CHECKING

from aml_portal.errors import TargetError, UserError
from aml_portal.vault import Secret
from computes.hosts.ssh_connection import host_key_of, read_key, spelled
from runs.git_networks import outside
from runs.git_remotes import Remote, checked_host
from runs.git_transport import Key, Login
from runs.models import GitCredential, GitKey

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def keep_credential(
    owner: "User", *, host: str, user_name: str, secret: str
) -> GitCredential:
    """Keep what signs in to `host`, in place of what was kept. Raises UserError."""
    place = checked_host(host).place
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


def keep_key(
    owner: "User", *, host: str, private_key: str, passphrase: str = ""
) -> GitKey:
    """Keep an SSH key for `host`, to be used once the host's own key is confirmed.

    The host is asked for that now. Raises UserError.
    """
    remote = checked_host(host, "ssh")
    # Forms send other ends of lines than ssh-keygen writes.
    private_key = "".join(f"{line}\n" for line in private_key.splitlines())
    try:
        read_key(private_key, passphrase)
        address = outside().addresses_of(remote.host, remote.port)[0]
        found = host_key_of(address, remote.port)
    except TargetError as error:
        raise UserError(error.message, error.advice) from error
    kept, _ = GitKey.objects.update_or_create(
        owner=owner,
        host=remote.place,
        defaults={
            "private_key": Secret.of(private_key),
            "passphrase": Secret.of(passphrase),
            "host_key": spelled(found),
            "is_confirmed": False,
        },
    )
    return kept


def confirm_key(key: GitKey, fingerprint: str) -> bool:
    """Trust the host with exactly the fingerprint that a person has seen."""
    if fingerprint != key.fingerprint:
        return False
    same = GitKey.objects.filter(pk=key.pk, host_key=key.host_key)
    return bool(same.update(is_confirmed=True))


def login_for(owner: "User", remote: Remote) -> Login | Key | None:
    """What `owner` keeps for exactly this host, where nobody can listen.

    Raises UserError where there has to be something, and is not.
    """
    if remote.scheme == "ssh":
        return _key_for(owner, remote)
    if remote.scheme != "https":
        return None
    kept = GitCredential.objects.filter(owner=owner, host=remote.place).first()
    return Login(user=kept.user_name, secret=kept.secret.reveal()) if kept else None


def _key_for(owner: "User", remote: Remote) -> Key:
    kept = GitKey.objects.filter(owner=owner, host=remote.place).first()
    where = "under Git credentials, in the menu of your account"
    if kept is None:
        raise UserError(
            f"You have no SSH key for {remote.place} here.",
            f"Add one {where}, or give the https:// address.",
        )
    if not kept.is_confirmed:
        raise UserError(
            f"You have not confirmed yet that {remote.place} is the right host.",
            f"Compare its fingerprint {where}.",
        )
    return Key(
        private_key=kept.private_key.reveal(),
        passphrase=kept.passphrase.reveal(),
        host_key=kept.host_key,
    )
