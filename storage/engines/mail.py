"""Where mails go: a mail server by SMTP, or a folder of `.eml` files while there is none.

Source: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 3834 (automatic mails).
"""

import asyncio
import os
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

from protocols.errors import TemporarilyUnavailable

TIMEOUT_S = 15.0
"""For each answer of the mail server."""

_PERMANENT = 500
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class MailRefusedError(Exception):
    """The mail server will never take this mail."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server, as its URL names it."""

    host: str
    port: int
    implicit_tls: bool
    user: str
    password: str

    def send(self, message: EmailMessage) -> None:
        """Hand a mail over; blocks. Raises MailRefusedError, TemporarilyUnavailable.

        A connection that is not to this machine is encrypted or not used at all.
        """
        try:
            with self._connect() as smtp:
                if not self.implicit_tls and (smtp.has_extn("starttls") or self.host not in _LOOPBACK):
                    smtp.starttls(context=ssl.create_default_context())
                    smtp.ehlo()
                if self.user:
                    smtp.login(self.user, self.password)
                smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            _judge(max(code for code, _ in error.recipients.values()))
        except smtplib.SMTPAuthenticationError as error:
            raise TemporarilyUnavailable("the mail server does not accept the name and password") from error
        except smtplib.SMTPResponseException as error:
            _judge(error.smtp_code)
        except (smtplib.SMTPException, OSError) as error:
            raise TemporarilyUnavailable(
                f"the mail server is out of reach: {type(error).__name__}"
            ) from error

    def _connect(self) -> smtplib.SMTP:
        if self.implicit_tls:
            context = ssl.create_default_context()
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        else:
            smtp = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        smtp.ehlo()
        return smtp


@dataclass(frozen=True, slots=True)
class MailFolder:
    """A folder that mails are written to, one file each, readable by its owner alone."""

    folder: Path

    def send(self, message: EmailMessage) -> None:
        """Write a mail; blocks. Raises TemporarilyUnavailable."""
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = self.folder / f"{name}.eml"
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(message.as_bytes())
        except OSError as error:
            raise TemporarilyUnavailable(
                f"the mail folder cannot be written: {type(error).__name__}"
            ) from error


def parse_mail_url(url: str, folder: Path) -> MailServer | MailFolder:
    """Return where a URL sends mails to: `smtp://`, `smtps://`, or nothing for the folder. Raises ValueError."""
    if not url:
        return MailFolder(folder)
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("must be smtp://[user:password@]host[:port] or smtps://[user:password@]host[:port]")
    return MailServer(
        host=parts.hostname,
        port=parts.port or (465 if parts.scheme == "smtps" else 587),
        implicit_tls=parts.scheme == "smtps",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


class Mailer:
    """Sends mails without holding up the event loop."""

    def __init__(self, way: MailServer | MailFolder, sender: str) -> None:
        """Send this way, from this address."""
        self.sender = sender
        self._send: Callable[[EmailMessage], None] = way.send

    async def send(self, message: EmailMessage) -> None:
        """Hand a mail over. Raises MailRefusedError, TemporarilyUnavailable."""
        await asyncio.to_thread(self._send, message)


def _judge(code: int) -> None:
    if code >= _PERMANENT:
        raise MailRefusedError(f"the mail server answered {code}")
    raise TemporarilyUnavailable(f"the mail server answered {code}")
