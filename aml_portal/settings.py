"""Django settings: each comes from the environment and none has to be given.

docs/settings.md has the table of the variables.
"""

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from aml_portal.broker import broker_url
from aml_portal.env import (
    env_bool,
    env_folder,
    env_hosts,
    env_int,
    env_list,
    env_roots,
    env_secret,
    env_str,
    env_time_zone,
)

BASE_DIR = Path(__file__).resolve().parent.parent


def _secret_key(file: Path) -> str:
    given = env_secret("AML_PORTAL_SECRET_KEY")
    if given:
        return given
    if not file.exists():
        # Whole or not at all, whoever is killed; of two who make one, the first counts.
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        fresh.touch(mode=0o600)
        try:
            fresh.write_text(secrets.token_urlsafe(48), encoding="ascii")
            with suppress(FileExistsError):
                file.hardlink_to(fresh)
        finally:
            fresh.unlink()
    return file.read_text(encoding="ascii")


# What can be a compute target, in the order in which people see it: see
# computes/kinds.py.
COMPUTE_KINDS = [
    "computes.machines.THIS_MACHINE",
    "computes.machines.REMOTE_MACHINE",
    "computes.launchers.docker.KIND",
    "computes.launchers.slurm.KIND",
    "computes.launchers.spark.KIND",
]

# Where everything that the portal writes lies.
DATA = env_folder("AML_PORTAL_DATA", BASE_DIR / "var")
RUNS_FOLDER = DATA / "runs"
JOBS_FOLDER = DATA / "jobs"
OBJECTS_FOLDER = DATA / "objects"
# Both what a request brings and the files of a form are written here.
UPLOADS_FOLDER = DATA / "uploads"
UPLOADS_FOLDER.mkdir(mode=0o700, exist_ok=True)
FILE_UPLOAD_TEMP_DIR = UPLOADS_FOLDER
# Where git repositories are fetched into, each only until it is read.
IMPORTS_FOLDER = DATA / "imports"
# What a form may be large, in bytes; that with the settings of a run is the largest.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4_000_000

SECRET_KEY = _secret_key(DATA / "secret_key")
# What secrets of people are encrypted with; without any, the vault makes a file of one.
VAULT_KEYS = env_secret("AML_PORTAL_VAULT_KEYS").replace(",", " ").split()
DEBUG = env_bool("AML_PORTAL_DEBUG")

# Where the web process listens, and where people reach it, if that is elsewhere.
PORTAL_HOST = env_str("AML_PORTAL_HOST", "127.0.0.1")
PORTAL_PORT = env_int("AML_PORTAL_PORT", 8000, maximum=65535)
PORTAL_URL = env_str("AML_PORTAL_URL").rstrip("/")
_public = urlsplit(PORTAL_URL)
HTTPS = env_bool("AML_PORTAL_HTTPS", default=_public.scheme == "https")
# The proxies whose word on a visitor's address and protocol the web process takes.
PROXIES = env_list("AML_PORTAL_PROXIES", ["127.0.0.1", "::1"])
ALLOWED_HOSTS: list[str] = env_list(
    "AML_PORTAL_ALLOWED_HOSTS",
    ["localhost", "127.0.0.1", "[::1]", PORTAL_HOST, _public.hostname or "localhost"],
)
CSRF_TRUSTED_ORIGINS: list[str] = env_list(
    "AML_PORTAL_TRUSTED_ORIGINS",
    [f"{_public.scheme}://{_public.netloc}"] if PORTAL_URL else [],
)

SNAPSHOT_MAX_BYTES = env_int("AML_PORTAL_SNAPSHOT_MAX_BYTES", 2 * 1024**3, minimum=1)
# Folders of this machine from which everybody who may sign in may submit.
SOURCE_ROOTS = env_roots("AML_PORTAL_SOURCE_ROOTS")
# Hosts of git that may be fetched from although they are in a private network.
GIT_HOSTS = env_hosts("AML_PORTAL_GIT_HOSTS")
# Before a larger file is sent, the page warns.
SNAPSHOT_LARGE_FILE_BYTES = env_int(
    "AML_PORTAL_SNAPSHOT_LARGE_FILE_BYTES", 50 * 10**6, minimum=1
)
SNAPSHOT_MAX_FILES = env_int("AML_PORTAL_SNAPSHOT_MAX_FILES", 50_000, minimum=1)
WORKERS = env_int("AML_PORTAL_WORKERS", 1, minimum=1)

# Where packages come from: environments/indexes.py hands it on. Without a setting of
# the portal's own, what uv and pip would themselves look at counts.
PYTHON_INDEX = (
    env_secret("AML_PORTAL_PYTHON_INDEX")
    or env_str("UV_DEFAULT_INDEX")
    or env_str("PIP_INDEX_URL")
)
PYTHON_EXTRA_INDEXES = env_secret("AML_PORTAL_PYTHON_EXTRA_INDEXES").split()
PYTHON_FIND_LINKS = env_secret("AML_PORTAL_PYTHON_FIND_LINKS").split()
PYTHON_CA_BUNDLE = env_str("AML_PORTAL_PYTHON_CA_BUNDLE") or env_str("SSL_CERT_FILE")
PYTHON_PROXY = env_secret("AML_PORTAL_PYTHON_PROXY") or env_str("HTTPS_PROXY")
PYTHON_NO_PROXY = env_str("AML_PORTAL_PYTHON_NO_PROXY") or env_str("NO_PROXY")
PYTHON_NETRC = env_str("NETRC")
# Hosts that definitions may name although they are in a private network.
PACKAGE_HOSTS = env_hosts("AML_PORTAL_PACKAGE_HOSTS")
# Below it, channels of conda are that are given by a name.
CONDA_CHANNEL_ALIAS = env_secret("AML_PORTAL_CONDA_CHANNEL_ALIAS")
# What uv and rattler keep of the packages that it has looked at.
PACKAGES_FOLDER = DATA / "packages"
# Programs that machines are sent, such as uv.
TOOLS_FOLDER = DATA / "sent-tools"
# What keeps two processes from building the same image at once.
BUILDS_FOLDER = DATA / "builds"
# How long one may take, in seconds, unless its run may take less.
IMAGE_MAX_SECONDS = env_int("AML_PORTAL_IMAGE_MAX_SECONDS", 2 * 60 * 60, minimum=1)
# On each machine, those environments that were not used for longest give way.
ENVIRONMENTS_MAX_BYTES = env_int(
    "AML_PORTAL_ENVIRONMENTS_MAX_BYTES", 50_000_000_000, minimum=0
)

INSTALLED_APPS = [
    "aml_portal.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "csp",
    "django_htmx",
    "django_rq",
    "aml_portal.apps.PortalConfig",
    "computes",
    "environments",
    "runs",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "aml_portal.staticfiles.StaticFilesMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "aml_portal.sign_in.SignInRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "aml_portal.error_pages.PortalErrorMiddleware",
]
ROOT_URLCONF = "aml_portal.urls"
ASGI_APPLICATION = "aml_portal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# IMMEDIATE: a writer waits for its turn at BEGIN, where the busy timeout holds, and
# not at its first write, where SQLite refuses at once with "database is locked".
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "db.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": (
                "PRAGMA journal_mode=WAL;"
                "PRAGMA synchronous=NORMAL;"
                "PRAGMA mmap_size=134217728;"
            ),
        },
        "TEST": {"NAME": DATA / "test.sqlite3"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Tells this portal from others on the same host or Redis.
PORTAL_ID = hashlib.sha256(f"cookies {SECRET_KEY}".encode()).hexdigest()[:8]

REDIS_URL = broker_url(DATA)
RUNS_QUEUE = f"aml-portal-{PORTAL_ID}-runs"
# Apart, since runs must not wait for a slow server of git.
IMPORTS_QUEUE = f"aml-portal-{PORTAL_ID}-imports"
RQ_QUEUES = {
    name: {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 3600}
    for name in (RUNS_QUEUE, IMPORTS_QUEUE)
}
RQ = {"WORKER_CLASS": "aml_portal.worker.Worker"}

# For the count of failed sign-ins; nothing that has to last.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": f"aml-portal-{PORTAL_ID}",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}

LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Cookies are not told apart by port: each portal on a host needs names of its own.
SESSION_COOKIE_NAME = f"aml_portal_session_{PORTAL_ID}"
CSRF_COOKIE_NAME = f"aml_portal_csrf_{PORTAL_ID}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
# Browsers are told for how long to insist on TLS by the proxy that has the certificate.
SILENCED_SYSTEM_CHECKS = ["security.W004"]
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "aml_portal.staticfiles.HashedStaticFilesStorage"
    },
}

WHITENOISE_ALLOW_ALL_ORIGINS = False

# `serve` keeps what the processes print in the files under logs/.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # Its own handlers would stay silent: they want DEBUG or an address for e-mail.
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},
        # It tells of each connection, and the portal tells of what is wrong with one.
        "paramiko": {"level": "CRITICAL"},
        # Threads ask a Docker engine at once, and just one connection to it is kept.
        "urllib3.connectionpool": {"level": "ERROR"},
    },
}

LANGUAGE_CODE = "en"
TIME_ZONE = env_time_zone("AML_PORTAL_TIME_ZONE", "UTC")
USE_I18N = False
USE_TZ = True
