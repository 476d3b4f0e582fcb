"""The entry for domains that want a mail sent: it is written in their transaction and leaves after the commit.

Killed before the commit, there is no mail. Killed between sending and noting it, the mail is sent again under the same
Message-ID.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from protocols.notifications.mails import Mail
from protocols.values import new_id
from storage.engines.postgres import Connection
from storage.platform.sql import load
from storage.platform.vault import Vault

_sql = load(__file__, "mails.sql")

SEND_MAIL = "notifications.send_mail"
"""The job to ask for with each id that `write_mails` returns."""


def context_of(mail_id: UUID) -> bytes:
    """Return what the content of a mail is encrypted in the context of."""
    return b"mail:" + mail_id.bytes


async def write_mails(
    db: Connection, vault: Vault, mails: Sequence[Mail], now_ms: int, life_ms: int
) -> list[UUID]:
    """Keep mails that are worth sending for `life_ms`; return their ids. Cost: one round trip."""
    ids = [new_id() for _ in mails]
    closed = [
        vault.encrypt(msgspec.json.encode(mail), context_of(mail_id))
        for mail_id, mail in zip(ids, mails, strict=True)
    ]
    size = len(ids)
    texts = [mail.text for mail in mails]
    await db.execute(_sql.insert_mails, ids, texts, closed, [now_ms] * size, [now_ms + life_ms] * size)
    return ids
