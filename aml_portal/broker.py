"""Where Redis is: the one that REDIS_URL names, or the portal's own server."""

from pathlib import Path

from aml_portal.env import env_str


def broker_url(data: Path) -> str:
    """The address that RQ and the live notices use."""
    return env_str("REDIS_URL") or f"unix://{data / 'redis' / 'redis.sock'}?db=0"
