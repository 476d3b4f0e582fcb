"""Carries out the controls of any process on this process's connections: disconnect, subscribe, unsubscribe.

Controls come over the bus, in order per sender, and are best effort: a process that is cut off from the bus misses
them. For a subscription the application is asked for each connection, as if the client had subscribed itself.
Source: decision 0031.
"""

import logging
from collections.abc import Sequence

import msgspec

from protocols.control import (
    Control,
    DisconnectSession,
    DisconnectUser,
    SubscribeUser,
    UnsubscribeUser,
    decode_controls,
)
from realtime.hub import Hub
from realtime.ports import ApplicationPort, DisconnectError, Entry, ProtocolError

_log = logging.getLogger(__name__)

ANSWER_FIRST_S = 0.02
"""How long a control waits, so that a command that disconnects its own caller is answered first."""


class Controls:
    """Receives the controls of one hub."""

    def __init__(self, hub: Hub, application: ApplicationPort) -> None:
        """Receive from the hub's start on; `application` authorizes subscriptions."""
        self._hub, self._application = hub, application
        hub.on_control = self._on_control

    def _on_control(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            try:
                controls = decode_controls(entry.data)
            except msgspec.DecodeError as error:  # a newer process may send kinds this one does not know
                _log.warning("a control cannot be read: %s", error)
            else:
                self._hub.loop.call_later(ANSWER_FIRST_S, self._carry_out, controls)

    def _carry_out(self, controls: Sequence[Control]) -> None:
        for control in controls:
            match control:
                case DisconnectUser():
                    self._hub.disconnect_user(control.user, control.code, control.reason)
                case DisconnectSession():
                    self._hub.disconnect_session(control.session, control.code, control.reason)
                case UnsubscribeUser():
                    self._hub.unsubscribe_user(control.user, control.channel, control.code, control.reason)
                case SubscribeUser():
                    self._hub.context.start(self._subscribe(control))

    async def _subscribe(self, control: SubscribeUser) -> None:
        for member in self._hub.connections_of(control.user):
            try:
                rule = await self._application.authorize(member.identity, control.channel)
                await self._hub.subscribe(member, control.channel, rule)
            except (ProtocolError, DisconnectError) as error:
                _log.info("a control to subscribe was refused: %s", error)
            except Exception as error:  # noqa: BLE001 - whatever application, bus and log raise; the next connection may work
                _log.warning("a control to subscribe failed: %r", error)
