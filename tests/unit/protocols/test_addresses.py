"""The networks of an address: one spelling each, for any text."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.addresses import TEXT_MAX, networks_of


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.7", ("192.0.2.7", "")),
        ("::ffff:192.0.2.7", ("192.0.2.7", "")),
        ("::FFFF:c000:207", ("192.0.2.7", "")),
        ("2001:db8:1:2:3:4:5:6", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:0DB8:0001:0002::", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("fe80::1%eth0", ("fe80::/64", "fe80::/48")),
        ("::1", ("::/64", "::/48")),
        ("", ("", "")),
        ("unix:", ("unix:", "")),
        ("999.1.1.1", ("999.1.1.1", "")),
    ],
)
def test_an_address_counts_as_its_networks(address, networks):
    assert networks_of(address) == networks


@given(st.text(max_size=3 * TEXT_MAX))
def test_any_text_has_networks(text):
    assert networks_of(text).own or text == ""


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1))
def test_addresses_of_one_network_are_one(number, rest):
    one, other = IPv6Address(number), IPv6Address(number >> 64 << 64 | rest)
    if one.ipv4_mapped is None and other.ipv4_mapped is None:
        assert networks_of(str(one)) == networks_of(other.exploded)
