"""Settings: the environment, typed and checked once at start.

Every setting is one field of `Settings`; its variable is `MNBARA_` + the upper-case name. An unknown
`MNBARA_` variable or a bad value stops the start with a sentence that says which and why.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from handlers.origins import check_origin
from storage.engines.mail import MailFolder, MailServer, parse_mail_url
from storage.engines.objects import Place, parse_place

PREFIX = "MNBARA_"

_SCHEMES = {
    "postgres_url": ("postgresql://", "postgres://"),
    "redis_url": ("redis://", "rediss://", "unix://"),
    "nats_url": ("nats://", "tls://"),
    "public_url": ("http://", "https://"),
    "rates_url": ("http://", "https://"),
    "chain_url": ("http://", "https://"),
    "stripe_url": ("http://", "https://"),
}


_PARSERS: dict[str, Callable[[str, Path], object]] = {"photos_url": parse_place, "mail_url": parse_mail_url}
"""What raises ValueError for a bad value, without repeating it: it may hold a password."""

_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,253}")


class SettingsError(Exception):
    """A setting is unknown or has a bad value; the message names it and says what would be right."""


def _setting(meaning: str, default: object, unit: str = "") -> Any:  # noqa: ANN401 - each field states its type
    """Declare one setting: what it means, its default, the unit of its value."""
    return field(default=default, metadata={"meaning": meaning, "unit": unit})


def _unbuilt(meaning: str, unit: str) -> Any:  # noqa: ANN401 - each field states its type
    """Declare a setting of something that is not built yet: it may be set, and a start says that nothing uses it."""
    text = f"{meaning}; NOT BUILT YET: may be set, changes nothing"
    return field(default="", metadata={"meaning": text, "unit": unit, "unbuilt": True})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `describe()` prints them; `from_environment()` reads them."""

    host: str = _setting("address the server listens on", "127.0.0.1")
    port: int = _setting("port the server listens on", 8080, "TCP port")
    home: Path = _setting("where the private engines keep their data", Path(".local"), "folder")
    processes: int = _setting("server processes; 0 = one per core", 0, "processes")
    postgres_url: str = _setting("an existing PostgreSQL with PostGIS to use", "", "URL")
    redis_url: str = _setting("an existing Redis to use", "", "URL")
    nats_url: str = _setting("an existing NATS with JetStream to use", "", "URL")
    secrets: str = _setting("folder of signing keys; empty = HOME/secrets", "", "folder")
    photos_url: str = _setting(
        "where photos are kept: s3://bucket/prefix?endpoint=URL&region=NAME, or file:///folder; keys of a bucket in"
        " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; empty = HOME/photos",
        "",
        "URL",
    )
    rates_url: str = _setting(
        "where exchange rates are read, the European Central Bank's daily XML:"
        " https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml; empty = invented rates, for development, and"
        " none when PUBLIC_URL is https",
        "",
        "URL",
    )
    public_url: str = _setting("how clients reach the server; empty = http://HOST:PORT", "", "URL")
    mail_url: str = _setting(
        "the mail server: smtp://[user:password@]host[:port], or smtps://; empty = mails are files in HOME/mail",
        "",
        "URL",
    )
    mail_from: str = _setting("the address that mails come from; empty = mnbara@ the public host", "", "text")
    oauth_providers: str = _setting(
        "a TOML file of other sign-in providers (docs/identity.md); empty = none", "", "file"
    )
    allowed_origins: str = _setting(
        "browser origins that may open sockets and call REST, comma-separated; * = any", "", "origins"
    )
    trusted_proxies: str = _setting(
        "proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks, comma-separated",
        "",
        "networks",
    )
    drain_s: int = _setting(
        "over how long an ending process sends its sockets away; 20 behind a load balancer", 2, "seconds"
    )
    access_token_s: int = _setting("life of an access token", 900, "seconds")
    rate_limits: bool = _setting("on, or off for load tests on loopback", True, "on|off")
    ops_token: str = _setting("bearer token that may read /metrics from afar", "", "text")
    log_level: str = _setting("least severity that is logged", "info", "debug|info|warning|error")
    access_log: bool = _setting(
        "a line in the log for each HTTP request, RPC and end of a connection: on, or off", False, "on|off"
    )
    metrics_folder: str = _setting("where processes share metrics; empty = this process alone", "", "folder")
    stripe_key: str = _setting(
        "secret key of Stripe; empty = the built-in test provider, which moves no money", "", "text"
    )
    stripe_webhook_secret: str = _setting(
        "secrets that sign Stripe's webhooks, comma-separated while one replaces another", "", "text"
    )
    stripe_url: str = _setting("where Stripe's interface is; empty = Stripe's own", "", "URL")

    witnessed_logs: str = _setting(
        "transparency logs, beside our own, whose checkpoints are cosigned: their verifier keys, comma-separated",
        "",
        "keys",
    )

    chain_url: str = _setting(
        "a node of an EVM chain on which states of the transparency log are anchored; empty = no anchors",
        "",
        "URL",
    )
    chain_key: str = _setting(
        "file with the private key that pays for anchors: 64 hexadecimal digits", "", "file"
    )
    chain_contract: str = _setting(
        "the contract that keeps anchors, eip155:CHAIN:ADDRESS, as `./mnbara deploy-anchor` prints it",
        "",
        "CAIP-10",
    )
    chain_interval_s: int = _setting("at least so long from one anchor to the next", 3_600, "seconds")
    chain_fee_max_gwei: int = _setting("most that is offered for a unit of gas", 300, "gwei")

    elasticsearch_url: str = _unbuilt("Elasticsearch", "URL")
    vault_addr: str = _unbuilt("Vault", "URL")

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets that sign Stripe's webhooks, one by one."""
        return tuple(each.strip() for each in self.stripe_webhook_secret.split(",") if each.strip())

    @property
    def without_effect(self) -> list[str]:
        """The variables that are set and change nothing, because what they are for is not built yet."""
        return [
            PREFIX + f.name.upper() for f in fields(self) if "unbuilt" in f.metadata and getattr(self, f.name)
        ]

    @property
    def url(self) -> str:
        """Where clients reach the server; also the issuer of its tokens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"

    @property
    def secrets_folder(self) -> Path:
        """The folder of signing keys."""
        return Path(self.secrets) if self.secrets else self.home / "secrets"

    @property
    def photos_place(self) -> Place:
        """Where photos are kept."""
        return parse_place(self.photos_url, self.home / "photos")

    @property
    def mail_way(self) -> MailServer | MailFolder:
        """Where mails go."""
        return parse_mail_url(self.mail_url, self.home / "mail")

    @property
    def mail_sender(self) -> str:
        """The address that mails come from."""
        host = urlsplit(self.url).hostname or "localhost"
        return self.mail_from or f"mnbara@{'localhost' if ':' in host else host}"

    @property
    def origins(self) -> tuple[str, ...]:
        """The allowed browser origins, one by one."""
        return tuple(origin.strip() for origin in self.allowed_origins.split(",") if origin.strip())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Return the settings the environment asks for. Raises SettingsError naming the first bad one."""
        known = {PREFIX + f.name.upper(): f for f in fields(cls)}
        given = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
        for name in given:
            if name not in known:
                raise SettingsError(f"{name} is not a setting; `python -m server --help` lists them")
        values = {known[name].name: _parse(name, known[name], text) for name, text in given.items()}
        return cls(**values)  # type: ignore[arg-type]

    @staticmethod
    def describe() -> str:
        """Return the list of settings with meaning, unit and default, for `--help`."""
        rows = []
        for f in fields(Settings):
            default = "" if f.default is MISSING else f.default
            shown = "on" if default is True else "off" if default is False else str(default) or "empty"
            unit = f" [{f.metadata['unit']}]" if f.metadata["unit"] else ""
            rows.append(f"  {PREFIX}{f.name.upper():<18} {f.metadata['meaning']}{unit} (default: {shown})")
        return "\n".join(rows)


def _parse(name: str, spec: "Field[object]", text: str) -> object:
    """Return the typed value of one variable. Raises SettingsError."""
    default = spec.default
    if isinstance(default, bool):
        if text.lower() not in {"on", "off"}:
            raise SettingsError(f"{name} must be on or off, not {text!r}")
        return text.lower() == "on"
    if isinstance(default, int):
        if not text.isascii() or not text.isdigit() or len(text) > 7 or int(text) > 1_000_000:
            raise SettingsError(f"{name} must be a whole number of {spec.metadata['unit']}, not {text!r}")
        if spec.name == "port" and not 1 <= int(text) <= 65_535:
            raise SettingsError(f"{name} must be 1 to 65535, not {text!r}")
        return int(text)
    if not text and spec.name in {"home", "host"}:
        raise SettingsError(f"{name} must be a {spec.metadata['unit'] or 'host name or address'}, not empty")
    if text and spec.metadata["unit"] == "folder":
        _check_folder(name, Path(text))
    return Path(text) if isinstance(default, Path) else _parse_text(name, spec, text)


def _parse_text(name: str, spec: "Field[object]", text: str) -> str:
    choices = str(spec.metadata["unit"])
    if "|" in choices and text not in choices.split("|"):
        raise SettingsError(f"{name} must be one of {choices}, not {text!r}")
    if text and spec.name in _SCHEMES and not text.startswith(_SCHEMES[spec.name]):
        # The value may hold a password: it is not repeated.
        raise SettingsError(f"{name} must begin with {' or '.join(_SCHEMES[spec.name])}")
    if text and spec.name in _SCHEMES and not _is_whole(text):
        raise SettingsError(f"{name} must name a host, and a port from 1 to 65535 if any, after its scheme")
    if spec.name == "host" and not _is_host(text):
        raise SettingsError(f"{name} must be a host name or address, not {text!r}")
    if spec.name in _PARSERS:
        try:
            _PARSERS[spec.name](text, Path())
        except ValueError as error:
            raise SettingsError(f"{name} {error}") from None
    if spec.name == "mail_from" and text and not _MAIL_ADDRESS.fullmatch(text):
        raise SettingsError(f"{name} must be an address such as market@example.org, not {text!r}")
    if spec.name in {"allowed_origins", "trusted_proxies"}:
        _check_entries(name, spec.name, text)
    return text


def _check_entries(name: str, kind: str, text: str) -> None:
    """Raise SettingsError for the first of several entries that is no origin, or no network."""
    for entry in filter(None, map(str.strip, text.split(","))):
        try:
            if kind == "allowed_origins":
                check_origin(entry)
            else:
                ipaddress.ip_network(entry)
        except ValueError as error:
            wanted = "" if kind == "allowed_origins" else " must be addresses or networks such as 10.0.0.0/8"
            raise SettingsError(f"{name}{wanted}: {error}") from None


def _is_whole(url: str) -> bool:
    """Whether a URL names a machine, or a folder of sockets where the driver takes one."""
    try:
        for part in url.split(","):
            parts = urlsplit(part if "://" in part else f"//{part}")
            has_address = bool(parts.hostname) or parts.scheme in {"postgres", "postgresql"}
            if parts.scheme == "unix":
                has_address = parts.path.startswith("/")
            if not has_address or parts.port == 0:
                return False
    except ValueError:  # no number, or too large a one
        return False
    return True


def _is_host(text: str) -> bool:
    """Whether a name can be one; what has only figures and dots, or a colon, must be an address."""
    if ":" in text or not re.search(r"[^0-9.]", text):
        try:
            ipaddress.ip_address(text)
        except ValueError:
            return False
        return True
    return all(re.fullmatch(r"[\w-]{1,63}", label) for label in text.removesuffix(".").split("."))


def _check_folder(name: str, folder: Path) -> None:
    """Refuse a path that is, or leads through, something else than a folder. Raises SettingsError."""
    for part in (folder, *folder.parents):
        if part.exists():
            if not part.is_dir():
                raise SettingsError(f"{name} must be a folder; {part} is a file")
            return
