"""Notifications: what leaves the market for people. Mails so far."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from handlers.domain import Domain, JobKind, Retention, ToolContext, ToolKind
from handlers.notifications.send_mail import finish_mail, send_mail
from storage.engines.mail import Mailer, MailFolder
from storage.notifications.mails_postgres import delete_old_mails
from storage.platform.vault import Vault

MAIL_KEPT_MS = 30 * 86_400_000
"""How long the table says that a mail was sent."""

_log = structlog.get_logger()


@asynccontextmanager
async def open_mailer(context: ToolContext) -> AsyncIterator[Mailer]:
    """Open the way to the mail server; say so when mails are only written to a folder."""
    way = context.settings.mail_way
    if isinstance(way, MailFolder):
        _log.info("mails_to_folder", folder=str(way.folder))
    yield Mailer(way, context.settings.mail_sender)


DOMAIN = Domain(
    name="notifications",
    jobs=(JobKind(name="send_mail", run=send_mail, finish=finish_mail, timeout_s=60.0, at_once_max=8),),
    retention=(Retention(delete=delete_old_mails, kept_ms=MAIL_KEPT_MS),),
    tools=(ToolKind(Mailer, open_mailer),),
    needs=(Vault,),
)
