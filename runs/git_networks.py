"""Says which addresses git may connect to for a host: none of the portal's own network,
unless the administrator allows it.
"""

import socket
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from django.conf import settings

from aml_portal.errors import UserError

Address = IPv4Address | IPv6Address
# The addresses by which networks of IPv6 alone reach those of IPv4.
_TRANSLATED = IPv6Network("64:ff9b::/96")
_PUBLIC = IPv6Network("2000::/3")
# No packet goes out when a socket without connections is given a peer.
_ANY_PORT = 9


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of `host`, each of which git may connect to. Raises UserError.

    What they are at this moment is to be held on to: when the name is looked up once
    more, its owner may answer something else.
    """
    found = _look_up(host, port)
    if not _is_named(host, port) and not all(
        _is_elsewhere(address) or _is_in_allowed_network(address) for address in found
    ):
        raise UserError(
            f"{host} is in the portal's own or in a private network, from which nothing"
            " is fetched.",
            "An administrator can allow the host with AML_PORTAL_GIT_HOSTS.",
        )
    return [str(address) for address in found]


def is_allowed(host: str, port: int, addresses: list[str]) -> bool:
    """Whether the administrator allows the host, by its name or by each address."""
    return _is_named(host, port) or all(
        _is_in_allowed_network(ip_address(address)) for address in addresses
    )


def _is_named(host: str, port: int) -> bool:
    named = f"[{host}]" if ":" in host else host
    return bool({named, f"{named}:{port}"} & set(settings.GIT_HOSTS))


def _is_in_allowed_network(address: Address) -> bool:
    networks = _networks(tuple(settings.GIT_HOSTS))
    return any(_inner(address) in network for network in networks)


def _look_up(host: str, port: int) -> list[Address]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"There is no host {host}, or its name can't be looked up now.",
            "Check the address, or try again in a moment.",
        ) from error
    # Without the zone that an address may carry, and each one once.
    texts = dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers)
    return [ip_address(text) for text in texts]


def _is_elsewhere(address: Address) -> bool:
    """Whether the address is one of the open internet, and not this machine."""
    inner = _inner(address)
    if isinstance(inner, IPv6Address) and inner not in _PUBLIC:
        return False
    is_special = inner.is_multicast or inner.is_reserved or not inner.is_global
    return not (is_special or _is_own(inner))


def _is_own(address: Address) -> bool:
    """Whether this machine has the address: then it would talk to itself from there."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _ANY_PORT))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:
        return False


def _inner(address: Address) -> Address:
    """The IPv4 address that one of IPv6 stands for, in any of the known ways."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(address.packed[-4:])
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or address


@cache
def _networks(hosts: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    found = []
    for host in hosts:
        try:
            found.append(ip_network(host.strip("[]")))
        except ValueError:
            continue
    return found
