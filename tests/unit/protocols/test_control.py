"""Controls travel as they are, and what another version says is an error, not a guess."""

import msgspec
import pytest

from handlers.domain import ChannelKinds
from protocols.control import (
    CONTROL_CHANNEL,
    DisconnectSession,
    DisconnectUser,
    SubscribeUser,
    UnsubscribeUser,
    decode_controls,
    encode_controls,
)
from server.domains import DOMAINS, channels_of


def test_controls_arrive_in_order_as_they_were_sent():
    sent = [
        SubscribeUser("amina", "auctions:1"),
        UnsubscribeUser("amina", "auctions:1"),
        UnsubscribeUser("amina", "auctions:1", 2502, "state invalidated"),
        DisconnectUser("amina", 4401, "access changed"),
        DisconnectSession("s1", 4501, "session over"),
    ]
    assert decode_controls(encode_controls(sent)) == sent


def test_word_of_a_newer_process_is_refused():
    with pytest.raises(msgspec.DecodeError):
        decode_controls(msgspec.msgpack.encode([{"type": "freeze_user", "user": "amina"}]))


def test_no_client_can_name_the_channel_of_controls():
    assert ChannelKinds(channels_of(DOMAINS)).kind_of(CONTROL_CHANNEL) is None
