"""docs/deploy works as printed: a backup restores into another cluster, proxies carry sockets and addresses."""

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import uuid

import asyncpg
import httpx
import pytest
from nats import connect as connect_nats
from nats.js.errors import NotFoundError
from websockets.asyncio.client import connect

from server.local.engines import LocalEngines
from server.local.programs import free_port
from tests.support.debian_programs import need_program
from tests.support.engines import delete_nats_streams
from tests.support.pictures import encode, two_halves
from tests.support.players import PASSWORD, open_auction, sign_up
from tests.support.system import ROOT, running_system, scratch_home
from tests.support.waiting import until

pytestmark = pytest.mark.slow

BACKUP = ROOT / "docs" / "deploy" / "backup.md"


def printed(heading):
    """The commands of a section of the guide."""
    return re.search(rf"^## {heading}\n.*?^```sh\n(.*?)^```$", BACKUP.read_text(), re.MULTILINE | re.DOTALL)[
        1
    ]


def run(commands, **environment):
    done = subprocess.run(
        ["bash", "-eu", "-c", commands],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def sold_something(base_url):
    """A market with a photo and two bids; what has to be there again."""
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as http:
        seller, bidder = await sign_up(http, "seller"), await sign_up(http, "bidder")
        auction = await open_auction(seller)
        path = f"/v1/listings/{auction['listing_id']}"
        listing = (await seller.get(path)).json()
        made = await seller.post(
            "/v1/listings", {"title": "Lamp", "description": "", "category": "other", "condition": "used"}
        )
        photos = f"/v1/listings/{made.json()['id']}/photos"
        picture = encode(two_halves())
        sent = await http.post(
            photos, content=picture, headers=seller.headers | {"Content-Type": "image/jpeg"}
        )
        assert sent.status_code == 201, sent.text
        for amount in (1000, 1500):
            bid = await bidder.post(
                f"/v1/auctions/{auction['id']}/bids", {"amount": amount}, key=str(uuid.uuid4())
            )
            assert bid.status_code == 201, bid.text
        photo = sent.json()["photos"][0]["full"]
        shown = (await http.get(photo)).content
        read = (await bidder.get(f"/v1/auctions/{auction['id']}")).json()
        return {"auction": read, "bidder": bidder, "photo": photo, "bytes": shown, "title": listing["title"]}


async def is_there_again(system, before, old_epoch):
    """All that was there before the backup is, and the market goes on from it."""
    auction, bidder = before["auction"], before["bidder"]
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as http:
        bidder.http = http  # the token of before the backup is still good: its key was restored
        answer = await bidder.get(f"/v1/auctions/{auction['id']}")
        assert answer.status_code == 200, answer.text
        read = answer.json()
        for name in ("price", "bid_count", "your_maximum", "title", "ends_at"):
            assert read[name] == auction[name], name
        assert read["position"]["offset"] == auction["position"]["offset"]
        assert read["position"]["epoch"] != old_epoch
        assert (await http.get(before["photo"])).content == before["bytes"]
        signed_in = await http.post("/v1/auth/login", json={"email": bidder.email, "password": PASSWORD})
        assert signed_in.status_code == 200, signed_in.text
        channel = f"/v1/channels/auctions:{auction['id']}/events"
        stale = {"after": auction["position"]["offset"], "epoch": old_epoch, "wait_s": 0}
        assert (await http.get(channel, params=stale)).json()["recovered"] is False
        other = await sign_up(http, "other")
        bid = await other.post(f"/v1/auctions/{auction['id']}/bids", {"amount": 9000}, key=str(uuid.uuid4()))
        assert bid.status_code == 201, bid.text
        assert bid.json()["offset"] == auction["position"]["offset"] + 1
        return bid.json()["offset"]


async def use_up_transactions(url, count):
    """An old cluster has counted further than a new one."""
    db = await asyncpg.connect(url)
    await db.execute(
        f"DO $$ BEGIN FOR i IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )
    await db.close()


@contextlib.contextmanager
def new_cluster():
    """The URL of an empty database of a cluster that was made for it."""
    with scratch_home() as home:
        cluster = LocalEngines(home, names=("postgres",), fsync=False)
        try:
            yield cluster.start().postgres_url
        finally:
            cluster.stop()


async def is_relayed(nats_url, auction_id, number):
    """Whether JetStream holds an event: the last message of auctions has it."""
    nats = await connect_nats(nats_url)
    try:
        message = await nats.jetstream().get_last_msg("EVENTS", "events.auctions")
    except NotFoundError:
        return False
    finally:
        await nats.close()
    events = json.loads(message.data)
    return any(stream.endswith(auction_id) and found == number for stream, found, *_ in events)


@pytest.mark.asyncio
async def test_a_backup_restores_into_another_cluster_as_printed(engines, database, redis_url, tmp_path):
    await use_up_transactions(database, 20_000)
    given = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
    }
    port = free_port()  # one address before and after: it is in the tokens
    with scratch_home() as home, running_system(home, port, environment=given) as system:
        before = await sold_something(system.base_url)
        old_epoch = before["auction"]["position"]["epoch"]
        run(printed("Back up"), BACKUP=str(tmp_path), MNBARA_HOME=str(home), MNBARA_POSTGRES_URL=database)
    with scratch_home() as home, new_cluster() as url:
        run(printed("Restore"), BACKUP=str(tmp_path), MNBARA_HOME=str(home), MNBARA_POSTGRES_URL=url)
        await delete_nats_streams(engines.nats_url)
        given = {"MNBARA_POSTGRES_URL": url, "MNBARA_NATS_URL": engines.nats_url}
        with running_system(home, port, environment=given) as system:
            number = await is_there_again(system, before, old_epoch)
            auction_id = before["auction"]["id"]
            await until(lambda: is_relayed(engines.nats_url, auction_id, number), "the relay of the new bid")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    names = ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=mnbara.example"]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    made = subprocess.run(
        [*words, "-addext", "subjectAltName=DNS:mnbara.example,DNS:localhost"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    return folder


def nginx_settings(folder, certificate, server_port, tls_port, http_port):
    """The printed file, with the certificate and ports of this test, in the least settings around it."""
    text = (ROOT / "deploy" / "nginx" / "mnbara.conf").read_text()
    for printed_text, ours in (
        ("/etc/letsencrypt/live/mnbara.example/fullchain.pem", str(certificate / "cert.pem")),
        ("/etc/letsencrypt/live/mnbara.example/privkey.pem", str(certificate / "key.pem")),
        ("listen 443 ", f"listen 127.0.0.1:{tls_port} "),
        ("listen 80;", f"listen 127.0.0.1:{http_port};"),
        ("127.0.0.1:8080", f"127.0.0.1:{server_port}"),
    ):
        assert printed_text in text
        text = text.replace(printed_text, ours)
    (folder / "mnbara.conf").write_text(text)
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    around = f"""
        daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
        events {{ worker_connections 256; }}
        http {{ access_log off; {temporary} include {folder}/mnbara.conf; }}
    """
    (folder / "nginx.conf").write_text(around)
    return folder / "nginx.conf"


@pytest.mark.asyncio
async def test_nginx_takes_the_printed_file_and_carries_sockets_and_addresses(
    engines, database, redis_url, certificate, tmp_path
):
    nginx = need_program("nginx", "usr/sbin/nginx")
    server, tls, plain = free_port(), free_port(), free_port()
    settings = nginx_settings(tmp_path, certificate, server, tls, plain)
    words = [nginx, "-e", "stderr", "-p", str(tmp_path), "-c", str(settings)]
    told = judged([*words, "-t"])
    assert "test is successful" in told
    assert "warn" not in told
    given = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_TRUSTED_PROXIES": "127.0.0.1",
        "MNBARA_PUBLIC_URL": "https://mnbara.example",
    }
    with scratch_home() as home, running_system(home, port=server, environment=given), begun(words):
        await proxied(certificate, tls, plain)


def judged(words, **environment):
    """What a program says of the settings that it accepts."""
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@contextlib.contextmanager
def begun(words):
    program = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        program.terminate()
        program.wait()


async def proxied(certificate, tls, plain):
    """REST, websockets and the client's address, through the proxy."""
    trusted = ssl.create_default_context(cafile=certificate / "cert.pem")
    async with httpx.AsyncClient(
        base_url=f"https://localhost:{tls}", verify=trusted, trust_env=False
    ) as http:
        await until(lambda: answers(http), "the proxy's first answer")
        assert (await http.get("/metrics")).status_code == 403
        liar = {"X-Forwarded-For": "203.0.113.9"}
        body = {"email": f"{uuid.uuid4()}@example.test", "password": PASSWORD, "display_name": "A"}
        made = (await http.post("/v1/auth/register", json=body, headers=liar)).json()
        headers = {"Authorization": f"Bearer {made['tokens']['access_token']}"}
        sessions = (await http.get("/v1/auth/sessions", headers=headers)).json()
        assert sessions["items"][0]["remote_ip"] == "127.0.0.1"  # what nginx saw, not what the client wrote
    async with httpx.AsyncClient(trust_env=False) as http:
        moved = await http.get(f"http://localhost:{plain}/v1/errors?limit=1")
        assert (moved.status_code, moved.headers["location"]) == (301, "https://localhost/v1/errors?limit=1")
    url = f"wss://localhost:{tls}/connection/websocket"
    async with connect(url, ssl=trusted, proxy=None) as socket:
        await socket.send('{"id":1,"connect":{}}')
        assert '"connect"' in await socket.recv()


async def answers(http):
    try:
        return (await http.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def test_caddy_takes_the_printed_file(tmp_path):
    caddy = need_program("caddy", "usr/bin/caddy")
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    words = [
        caddy,
        "validate",
        "--adapter",
        "caddyfile",
        "--config",
        str(ROOT / "deploy" / "caddy" / "Caddyfile"),
    ]
    assert "not formatted" not in judged(words, **home)


def test_systemd_takes_the_printed_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    text = (ROOT / "deploy" / "systemd" / "mnbara.service").read_text()
    assert "ExecStart=/srv/mnbara/mnbara up\n" in text
    unit = tmp_path / "mnbara.service"
    unit.write_text(text.replace("/srv/mnbara/mnbara", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("KillMode=mixed", "KillMod=mixed"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "KillMod" in done.stderr
