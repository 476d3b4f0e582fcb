"""A publication that says access was taken away is recognised as the pipeline writes it."""

import pytest

from handlers.auth.revocations import tells_of_access
from handlers.auth.sessions import announce_ends
from handlers.contract import Event
from protocols.auth.commands import AccessChanged, SessionStarted
from protocols.values import new_id
from server.commands.outcomes import event_text

AT = "2026-11-22T18:30:00.000Z"
USER_ID = new_id()


@pytest.mark.parametrize(
    "event",
    [
        *announce_ends(USER_ID, [new_id()], "logout"),
        Event("personal", "access_changed", AccessChanged(roles=["user"])),
    ],
    ids=lambda event: event.type,
)
def test_end_of_access_is_a_reason_to_look(event):
    assert tells_of_access(event_text(event, AT).encode())


def test_other_news_is_none():
    started = SessionStarted(session_id=new_id(), remote_ip="", new_device=False)
    assert not tells_of_access(event_text(Event("personal", "session_started", started), AT).encode())
    assert not tells_of_access(b'{"type":"notice","text":"{\\"type\\":\\"session_ended\\""}')
