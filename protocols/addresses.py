"""What an address of origin counts as: whoever holds one IPv6 address holds the 2^64 of its network."""

from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

TEXT_MAX = 64
"""Characters of the longest text that is read as an address; an IPv6 address with its zone has fewer."""

_SUBSCRIBER_BITS = 64
_SITE_BITS = 48


class Networks(NamedTuple):
    """The keys under which an address is counted, each canonical: one network has one spelling."""

    own: str
    """What one subscriber has: an IPv4 address, the /64 of an IPv6 address, or a text that is no address."""
    site: str
    """The /48 of an IPv6 address, which many subscribers may share or one customer may have whole; else empty."""


def networks_of(address: str) -> Networks:
    """Return the networks that a call from this address counts against. Takes any text; linear in its length.

    An IPv4-mapped IPv6 address is the IPv4 address: a listener of both families sees one for the other.
    """
    if len(address) > TEXT_MAX:
        return Networks(address, "")
    try:
        parsed = ip_address(address)
    except ValueError:
        return Networks(address, "")
    if not isinstance(parsed, IPv6Address):
        return Networks(str(parsed), "")
    if parsed.ipv4_mapped is not None:
        return Networks(str(parsed.ipv4_mapped), "")
    return Networks(_prefix(parsed, _SUBSCRIBER_BITS), _prefix(parsed, _SITE_BITS))


def _prefix(address: IPv6Address, bits: int) -> str:
    rest = 128 - bits
    return f"{IPv6Address(int(address) >> rest << rest)}/{bits}"
