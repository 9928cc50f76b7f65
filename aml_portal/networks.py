"""Says which addresses the portal may connect to for people: none of its own network,
unless the administrator allows it.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from aml_portal.errors import UserError

Address = IPv4Address | IPv6Address
# The addresses by which networks of IPv6 alone reach those of IPv4.
_TRANSLATED = IPv6Network("64:ff9b::/96")
_PUBLIC = IPv6Network("2000::/3")
# No packet goes out when a socket without connections is given a peer.
_ANY_PORT = 9


class NoHostError(UserError):
    """The name is that of no host, as far as this machine knows."""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """The hosts of the open internet, and those that the administrator allows.

    `allowed` are names, `host:port`, addresses and networks; `setting` is where the
    administrator would name one.
    """

    allowed: Sequence[str]
    setting: str

    def addresses_of(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, each of which may be connected to. Raises UserError.

        What they are at this moment is to be held on to: when the name is looked up
        once more, its owner may answer something else.
        """
        found = _look_up(host, port)
        if not self._is_named(host, port) and not all(
            _is_elsewhere(address) or self._is_in_network(address) for address in found
        ):
            raise UserError(
                f"{host} is in the portal's own or in a private network, from which"
                " nothing is fetched.",
                f"An administrator can allow the host with {self.setting}.",
            )
        return [str(address) for address in found]

    def check_plain(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Raises UserError if nothing may be fetched from there without TLS."""
        is_allowed = self._is_named(host, port) or (
            addresses
            and all(self._is_in_network(ip_address(each)) for each in addresses)
        )
        if is_allowed:
            return
        raise UserError(
            "Over http:// anybody on the way could change what is fetched.",
            "Give the https:// address. An administrator can allow the host with"
            f" {self.setting}.",
        )

    def _is_named(self, host: str, port: int) -> bool:
        named = f"[{host}]" if ":" in host else host
        return bool({named, f"{named}:{port}"} & set(self.allowed))

    def _is_in_network(self, address: Address) -> bool:
        networks = _networks(tuple(self.allowed))
        return any(_inner(address) in network for network in networks)


def _look_up(host: str, port: int) -> list[Address]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoHostError(
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
