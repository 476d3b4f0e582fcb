"""Job: a mail goes to the mail server."""

from email.message import EmailMessage
from email.utils import formatdate
from uuid import UUID

import msgspec

from handlers.contract import Outcome, Stores
from handlers.domain import Job, JobContext
from handlers.notifications.mail_texts import MAIL_TEXTS
from protocols.notifications.mails import Mail
from protocols.values import now_instant
from storage.engines.mail import Mailer, MailRefusedError
from storage.notifications.mailing import context_of
from storage.notifications.mails_postgres import MailOutcome, end_mail, read_waiting
from storage.platform.vault import Vault


async def send_mail(job: Job, context: JobContext) -> MailOutcome | None:
    """Send a mail that waits; None when it does no more. Raises TemporarilyUnavailable."""
    async with context.connection() as db:
        waiting = await read_waiting(db, job.ref)
    if waiting is None:
        return None
    if waiting.expires_at_ms <= now_instant():
        return "expired"
    content = context.need(Vault).decrypt(waiting.closed, context_of(job.ref))
    mail, mailer = msgspec.json.decode(content, type=Mail), context.need(Mailer)
    if mail.to.endswith(".invalid"):  # no such domain ever exists (RFC 6761); demo people have one
        return "refused"
    try:
        await mailer.send(compose(job.ref, mail, mailer.sender))
    except MailRefusedError:
        return "refused"
    return "sent"


async def finish_mail(job: Job, outcome: MailOutcome | None, stores: Stores, now_ms: int) -> Outcome:
    """Note how it ended and drop its content."""
    if outcome is not None:
        await end_mail(stores.db, job.ref, outcome, now_ms)
    return Outcome(None)


def compose(mail_id: UUID, mail: Mail, sender: str) -> EmailMessage:
    """Return the mail as it is sent. The same mail has the same Message-ID at every attempt."""
    text = MAIL_TEXTS[mail.text]
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = text.subject.format_map(mail.facts)
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{mail_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.body.format_map(mail.facts))
    return message
