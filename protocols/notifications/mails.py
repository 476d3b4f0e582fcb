"""Mails that other domains ask for: to whom, which text, and the facts that are put into it."""

from typing import Literal

from msgspec import Struct

MailText = Literal[
    "verify_email",
    "reset_password",
    "password_changed",
    "confirm_email",
    "email_change_begun",
    "email_changed",
    "new_device",
    "provider_linked",
    "factor_added",
    "factor_removed",
]
"""Which text; each asks for the facts that `handlers.notifications.mail_texts` names."""


class Mail(Struct, frozen=True, kw_only=True):
    """One mail to one address."""

    to: str
    text: MailText
    facts: dict[str, str]
    """What the text puts into its gaps; may hold a secret: a mail is stored encrypted, and emptied once sent."""
