"""Logs: one JSON object per line on stderr, with instant, severity, event name and trace id; no secrets, no persons.

`event` is a name. Libraries, and the realtime core, log sentences: theirs is the name of their logger, and `message`
the text.

Fields whose name says secret are blanked, and tokens and e-mail addresses inside texts (a traceback may quote a row).
"""

import contextlib
import logging
import re
import sys
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from protocols.values import now_instant, to_json, to_timestamp

BLANK = "[redacted]"

_SECRET = re.compile(
    r"(^|_)(token|password|passphrase|secret|key|authorization|cookie|email|pin|jwt|credential)s?($|_)",
    re.IGNORECASE,
)
_IN_TEXT = re.compile(
    r"(?<=(?i:bearer) )\S+"
    r"|(?<=://)[^/\s:@]*+:[^/\s@]++(?=@)"
    r"|(?<![\w-])(?>[\w-]*?eyJ)[\w-]{8,}+\.[\w-]++\.[\w.+@-]*"
    r"|(?<![\w.+-])[\w.+-]++@[\w-]++\.[\w.+@-]+"
)
"""What follows a scheme, user and password of a URL, tokens, mail addresses.

Texts may be a client's, so each alternative begins where its run of characters begins and never gives any back: a text
is read a fixed number of times. A match takes all of its run, so that the next one begins with a run too.
"""


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank secrets and personal data, however deep."""
    return {name: _clean(name, value) for name, value in event.items()}


def redact_text(text: str) -> str:
    """Return a text without tokens, addresses and credentials."""
    return _IN_TEXT.sub(BLANK, text)


def _clean(name: str, value: Any) -> Any:  # noqa: ANN401 - log values are anything
    if _SECRET.search(name):
        return BLANK
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {key: _clean(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", inner) for inner in value]
    return value


def _name_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make an event of a record of the standard library."""
    record = event.get("_record")
    if record is None:
        return event
    return {**event, "event": record.name.replace(".", "_"), "message": event.get("event", "")}


def _stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {"at": to_timestamp(now_instant()), **event}


def _render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return to_json(event).decode()
    except TypeError:
        return to_json(
            {name: value if _plain(value) else repr(value) for name, value in event.items()}
        ).decode()


def _plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


class _LossyStream:
    """A stream whose failed writes are lost: a full disk ends no request and no loop that tells of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure_logs(level: str) -> None:
    """Send structlog's and the standard library's records at or above `level` to stderr as JSON lines."""
    number = logging.getLevelNamesMapping()[level.upper()]
    stream = cast("TextIO", _LossyStream(sys.stderr))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        redact,
        _stamp,
    ]
    structlog.configure(
        processors=[*shared, _render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_event, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.INFO), force=True)
    for noisy in ("uvicorn.access", "httpx", "httpcore", "websockets.server"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
