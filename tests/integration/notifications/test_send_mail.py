"""Mails on their way: to a mail server that others wrote, to a folder, and what stands in the way."""

import contextlib
import email.policy
import socket
import stat
from email import message_from_bytes

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Inbox

from handlers.contract import Stores
from handlers.domain import Job
from handlers.notifications.mail_texts import MAIL_TEXTS
from handlers.notifications.send_mail import compose, finish_mail, send_mail
from protocols.errors import TemporarilyUnavailable
from protocols.notifications.mails import Mail
from protocols.values import new_id, now_instant
from storage.engines.mail import Mailer, MailFolder, MailServer, parse_mail_url
from storage.engines.postgres import open_database
from storage.notifications.mailing import write_mails
from storage.platform.vault import Vault

FACTS = {
    "url": "https://market.example",
    "token": "t" * 43,
    "address": "203.0.113.1",
    "email": "b@example.org",
    "provider": "acme",
}


class Kept(Inbox):
    """Keeps what it is given; some addresses it refuses."""

    def __init__(self):
        super().__init__()
        self.mails = []

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        if address.startswith("gone@"):
            return "550 no such mailbox"
        if address.startswith("busy@"):
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def handle_message(self, message):
        self.mails.append(message_from_bytes(message.as_bytes(), policy=email.policy.default))


@pytest.fixture
def server():
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(Kept(), hostname="127.0.0.1", port=port)
    controller.start()
    yield controller
    controller.stop()


class Context:
    """What a job reaches."""

    def __init__(self, database, tools):
        self.connection, self._tools = database.connection, tools

    def need(self, kind):
        return self._tools[kind]


@pytest.fixture
async def outbox(database, tmp_path):
    """Writes a mail, runs its job as a worker does; returns how it ended and what is left in the table."""
    opened, vault = await open_database(database), Vault(tmp_path / "secrets")

    async def run(way, to="amina@example.org", life_ms=60_000, times=1):
        async with opened.connection() as db:
            mail = Mail(to=to, text="verify_email", facts=FACTS)
            (mail_id,) = await write_mails(db, vault, [mail], now_instant(), life_ms)
        context = Context(opened, {Vault: vault, Mailer: Mailer(way, "market@example.com")})
        for attempt in range(times):
            job = Job(job_id=new_id(), ref=mail_id, attempt=attempt + 1)
            outcome = await send_mail(job, context)
        async with opened.connection() as db, db.transaction():
            await finish_mail(job, outcome, Stores(db, None, "test"), now_instant())
            row = await db.fetchrow("SELECT outcome, closed FROM mails WHERE mail_id = $1", mail_id)
        return mail_id, outcome, tuple(row)

    yield run
    await opened.close()


def at(controller):
    return MailServer("127.0.0.1", controller.port, implicit_tls=False, user="", password="")


async def test_mail_arrives_and_its_content_goes(server, outbox):
    mail_id, outcome, kept = await outbox(at(server))
    assert (outcome, kept) == ("sent", ("sent", None))
    (mail,) = server.handler.mails
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "market@example.com",
        "amina@example.org",
        "Confirm your address",
    )
    assert (mail["Message-ID"], mail["Auto-Submitted"]) == (f"<{mail_id}@example.com>", "auto-generated")
    assert f"https://market.example/verify-email#token={'t' * 43}" in mail.get_content()


async def test_mail_that_is_sent_twice_has_one_message_id(server, outbox):
    await outbox(at(server), times=2)
    first, second = server.handler.mails
    assert first["Message-ID"] == second["Message-ID"]


async def test_refused_mail_is_given_up_and_a_busy_server_is_asked_again(server, outbox):
    assert (await outbox(at(server), to="gone@example.org"))[1:] == ("refused", ("refused", None))
    with pytest.raises(TemporarilyUnavailable, match="451"):
        await outbox(at(server), to="busy@example.org")


async def test_address_that_cannot_exist_is_not_tried(server, outbox):
    assert (await outbox(at(server), to="layla@demo.invalid"))[1] == "refused"
    assert server.handler.mails == []


async def test_mail_is_not_sent_when_what_it_says_is_over(server, outbox):
    assert (await outbox(at(server), life_ms=-1))[1:] == ("expired", ("expired", None))
    assert server.handler.mails == []


async def test_server_out_of_reach_is_a_fault_that_passes(outbox):
    with pytest.raises(TemporarilyUnavailable, match="out of reach"):
        await outbox(MailServer("127.0.0.1", 1, implicit_tls=False, user="", password=""))


async def test_password_is_not_sent_in_the_clear_to_another_machine(server, monkeypatch):
    asked = []
    monkeypatch.setattr("smtplib.SMTP.login", lambda *_: asked.append("login"))
    way = MailServer("127.0.0.2", server.port, implicit_tls=False, user="u", password="p")
    with pytest.raises(TemporarilyUnavailable):
        await Mailer(way, "market@example.com").send(
            compose(
                new_id(), Mail(to="a@example.org", text="verify_email", facts=FACTS), "market@example.com"
            )
        )
    assert asked == []


async def test_folder_keeps_mails_for_its_owner_alone(tmp_path, outbox):
    mail_id, outcome, _ = await outbox(MailFolder(tmp_path / "mail"))
    place = tmp_path / "mail" / f"{mail_id}.eml"
    assert outcome == "sent"
    assert b"#token=" in place.read_bytes()
    assert (stat.S_IMODE(place.stat().st_mode), stat.S_IMODE(place.parent.stat().st_mode)) == (0o600, 0o700)


@pytest.mark.parametrize("text", MAIL_TEXTS)
def test_every_text_has_its_facts(text):
    message = compose(new_id(), Mail(to="a@example.org", text=text, facts=FACTS), "m@example.com")
    assert "{" not in message.get_content()


def test_address_cannot_add_headers():
    mail = Mail(to="a@example.org\nBcc: b@example.org", text="verify_email", facts=FACTS)
    with pytest.raises(ValueError, match=r"(?i)header|newline|linefeed|carriage"):
        compose(new_id(), mail, "m@example.com")


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("smtp://mail.example.org", ("mail.example.org", 587, False, "", "")),
        ("smtps://u%40x:p%2Fw@mail.example.org:4650", ("mail.example.org", 4650, True, "u@x", "p/w")),
        ("smtp://[::1]:25", ("::1", 25, False, "", "")),
    ],
)
def test_url_of_a_mail_server(url, right, tmp_path):
    assert parse_mail_url(url, tmp_path) == MailServer(*right)


@pytest.mark.parametrize(
    "url", ["mail.example.org", "http://x", "smtp://", "smtp://x/inbox", "smtp://x:99999", "smtp://x?a=b"]
)
def test_url_that_names_no_mail_server_is_refused(url, tmp_path):
    with pytest.raises(ValueError, match=r"smtp|[Pp]ort"):
        parse_mail_url(url, tmp_path)


def test_mail_is_told_as_json_without_loss():
    mail = Mail(to="a@example.org", text="new_device", facts={"address": "\u00e9"})
    assert msgspec.json.decode(msgspec.json.encode(mail), type=Mail) == mail
