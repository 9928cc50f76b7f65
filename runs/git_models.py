"""Repositories that are fetched as sources of runs, and the credentials for them."""

from django.conf import settings
from django.db import models

from aml_portal.vault import SecretField
from computes.ssh_settings import fingerprint_of

# A person has so many on their way at once, in any number of windows.
MOST_AT_ONCE = 3


class GitImportQuerySet(models.QuerySet["GitImport"]):
    def unfinished(self) -> "GitImportQuerySet":
        return self.filter(state__in=GitImport.UNFINISHED)


class GitImport(models.Model):
    """One fetching of a commit of a repository, and what became of it.

    What is asked for are an address without credentials, a branch, tag or commit, and
    a folder. `answer` is what the page is told of the snapshot, and `arrival` what is
    remembered of it until a run is submitted.
    """

    class State(models.TextChoices):
        WAITING = "Waiting"
        FETCHING = "Fetching"
        DONE = "Done"
        FAILED = "Failed"
        STOPPED = "Stopped"

    UNFINISHED = (State.WAITING, State.FETCHING)

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    address = models.CharField(max_length=1000)
    reference = models.CharField(max_length=255, blank=True)
    folder = models.CharField(max_length=2048, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    # Why it failed, and what to do about it.
    message = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    received_bytes = models.PositiveBigIntegerField(default=0)
    # How often it was put into the queue; part of the RQ job's id.
    attempts = models.PositiveIntegerField(default=0)
    answer = models.JSONField(default=dict)
    arrival = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = GitImportQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.address} {self.reference}".strip()

    def settle(self, state: State, **fields: object) -> bool:
        """Move on, if it is unfinished; true for the one process that did so."""
        found = GitImport.objects.unfinished().filter(pk=self.pk)
        return bool(found.update(state=state, **fields))


class GitCredential(models.Model):
    """Who a person is to one host of git; for no other, and where nobody listens."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="git_credentials",
    )
    # With its port, if that is not the usual one.
    host = models.CharField(max_length=300)
    user_name = models.CharField(max_length=255)
    secret = SecretField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["host"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "host"], name="one_git_credential_per_host"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_name} at {self.host}"


class GitKey(models.Model):
    """The SSH key of a person for one host of git, and the key of that host.

    It is used once the person has compared the host's fingerprint, and for no host with
    another one.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="git_keys"
    )
    # With its port, if that is not the usual one.
    host = models.CharField(max_length=300)
    private_key = SecretField()
    passphrase = SecretField()
    # Such as "ssh-ed25519 AAAA…".
    host_key = models.CharField(max_length=4000)
    is_confirmed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["host"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "host"], name="one_git_key_per_host"
            )
        ]

    def __str__(self) -> str:
        return self.host

    @property
    def fingerprint(self) -> str:
        """Of the host's key, as ssh and the pages of hosts show it."""
        return fingerprint_of(self.host_key)
