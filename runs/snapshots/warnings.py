"""What a person may not have meant to send: secrets, data, names that mean trouble."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from runs.snapshots.manifest import Entry, Manifest

# Names of files that hold keys and tokens. Patterns for the whole name.
SECRET_NAMES = re.compile(
    r"\.env(\.(?!example$|sample$|template$|dist$).+)?"
    r"|id_(rsa|dsa|ecdsa|ed25519)|.+\.(pem|key|p12|pfx|kdbx|jks|keystore|ppk)"
    r"|\.(netrc|pgpass|npmrc|pypirc|htpasswd|git-credentials|dockercfg)"
    r"|(client_secrets?|service[-_]account.*|credentials|secrets?|token)"
    r"(\.(json|ya?ml|toml|ini|txt))?|kubeconfig",
    re.IGNORECASE,
)
# What keys and tokens look like in a text: what each contains, which is quickly found,
# its pattern, and what it is. The page looks for the same before it sends anything,
# so these must mean the same to JavaScript.
SECRET_TEXTS = (
    (
        "PRIVATE KEY-----",
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----",
        "a private key",
    ),
    ("AKIA", r"\bAKIA[A-Z0-9]{16}\b", "a key of AWS"),
    ("AccountKey=", r"\bAccountKey=[A-Za-z0-9+/]{80,}", "a key of Azure storage"),
    ("ghp_", r"\bghp_[A-Za-z0-9]{36,}\b", "a token of GitHub"),
    ("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{60,}\b", "a token of GitHub"),
    ("glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}", "a token of GitLab"),
    ("hf_", r"\bhf_[A-Za-z0-9]{30,}\b", "a token of Hugging Face"),
    ("AIza", r"\bAIza[A-Za-z0-9_-]{35}", "a key of Google"),
    ("xox", r"\bxox[abprs]-[A-Za-z0-9-]{20,}", "a token of Slack"),
    ("sk-", r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}", "a key of a language model"),
    ("pypi-", r"\bpypi-[A-Za-z0-9_-]{50,}", "a token of PyPI"),
)
# Only so much of a text is looked into.
MOST_SEARCHED = 1024 * 1024
_TEXTS = [
    (marker.encode(), re.compile(pattern.encode(), re.ASCII), what)
    for marker, pattern, what in SECRET_TEXTS
]
_DATA_SUFFIXES = frozenset(
    {
        *(".csv", ".tsv", ".parquet", ".feather", ".arrow", ".jsonl", ".xml", ".bin"),
        *(".npy", ".npz", ".h5", ".hdf5", ".mat", ".pkl", ".pickle", ".joblib"),
        *(".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".bmp", ".webp"),
        *(".wav", ".mp3", ".flac", ".mp4", ".avi", ".mov", ".zip", ".gz", ".tar"),
        *(".tfrecord", ".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".pb"),
    }
)
# A folder is like data if it holds much, and most of it has such a suffix.
_MUCH_BYTES = 20_000_000
_MUCH_FILES = 500
_MOST = 0.8
_DEEPEST = 8
# What Windows keeps for devices, with any suffix, and what it allows in no name.
_NOT_ON_WINDOWS = re.compile(
    r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|.*[<>:\"|?*\\\x01-\x1f].*|.*[. ]",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    path: str
    files: int
    bytes: int


def secret_name(path: str) -> bool:
    return bool(SECRET_NAMES.fullmatch(path.rpartition("/")[2]))


def secret_text(data: bytes) -> str:
    """What of a secret is in a text, such as “a private key”; "" if nothing is."""
    if b"\0" in data[:8192]:
        return ""
    for marker, pattern, what in _TEXTS:
        if marker in data and pattern.search(data):
            return what
    return ""


def data_folders(manifest: Manifest) -> list[DataFolder]:
    """Folders that seem to hold data instead of code; none that is in another."""
    found: list[DataFolder] = []
    for path, sums in sorted(_sums(manifest.files).items()):
        inside = any(path.startswith(f"{other.path}/") for other in found)
        if not inside and sums.is_much and sums.is_data:
            found.append(DataFolder(path=path, files=sums.files, bytes=sums.bytes))
    return found


def twins(manifest: Manifest) -> list[tuple[str, str]]:
    """Pairs of paths that are one on machines where case, or the way an accent is
    spelled, makes no difference.
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    for entry in manifest.entries:
        by_name[unicodedata.normalize("NFC", entry.path).casefold()].append(entry.path)
    return [(first, other) for first, *others in by_name.values() for other in others]


def not_on_windows(path: str) -> bool:
    """Whether some name in the path can't be there on Windows."""
    return any(_NOT_ON_WINDOWS.fullmatch(name) for name in path.split("/"))


@dataclass
class _Sums:
    files: int = 0
    bytes: int = 0
    data_files: int = 0
    data_bytes: int = 0

    @property
    def is_much(self) -> bool:
        return self.bytes >= _MUCH_BYTES or self.files >= _MUCH_FILES

    @property
    def is_data(self) -> bool:
        by_count = self.data_files > _MOST * self.files
        return by_count or self.data_bytes > _MOST * self.bytes


def _sums(files: Iterable[Entry]) -> dict[str, _Sums]:
    """What each folder holds, in all its depth; very deep ones are not looked at."""
    folders: dict[str, _Sums] = {}
    for entry in files:
        is_data = PurePosixPath(entry.path).suffix.lower() in _DATA_SUFFIXES
        parts = entry.path.split("/")[:-1][:_DEEPEST]
        for depth in range(1, len(parts) + 1):
            sums = folders.setdefault("/".join(parts[:depth]), _Sums())
            sums.files += 1
            sums.bytes += entry.size
            sums.data_files += is_data
            sums.data_bytes += entry.size * is_data
    return folders
