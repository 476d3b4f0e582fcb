"""Signing in locust's users, over their own HTTP session, so that locust counts it, and keeping them signed in."""

import itertools
import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from gevent.lock import RLock
from requests import PreparedRequest, Response
from requests.auth import AuthBase

from load.accounts import ATTEMPTS_MAX, PASSPHRASE, AccountError

if TYPE_CHECKING:
    from locust.clients import HttpSession  # at run time it would put its own sockets into every module

RENEWED_AFTER = 0.8
"""Share of its life after which an access token is replaced."""

RETRY_S = 5.0
"""How long a user waits after a refresh that the server could not do, while the token is still good."""


class PremadeAccounts:
    """The accounts of a file that `./mnbara load-accounts` wrote; each is given to one user at a time."""

    def __init__(self, file: Path) -> None:
        """Read the file. Raises AccountError when it is none of that verb."""
        try:
            told = json.loads(file.read_text())
            self._email, self._password = str(told["email"]), str(told["password"])
            self._free = deque(range(1, int(told["count"]) + 1))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AccountError(f"{file} is no file of ./mnbara load-accounts: {error!r}") from None
        self._count = len(self._free)

    def take(self) -> tuple[int, str, str]:
        """Return the number, address and password of an account that nobody uses. Raises AccountError."""
        if not self._free:
            raise AccountError(f"the file has {self._count} accounts, fewer than there are users; make more")
        number = self._free.popleft()
        return number, self._email.replace("{number}", str(number)), self._password

    def give_back(self, number: int) -> None:
        """Let another user have it."""
        self._free.append(number)


class Session(AuthBase):
    """The tokens of one user, shown with every request of their HTTP session.

    The access token is replaced before it expires, and once when the server refuses it with 401.
    """

    def __init__(self, http: "HttpSession", tokens: Mapping[str, Any], number: int = 0) -> None:
        """Keep what signing in gave; `number` is of the account, 0 for one that was registered here."""
        self.number = number
        self._http = http
        self._lock = RLock()
        self._keep(tokens)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Show the token with a request."""
        shown = self.token()
        request.headers["Authorization"] = f"Bearer {shown}"

        def once_more(answer: Response, **how: Any) -> Response:  # noqa: ANN401 - the hook's signature
            return self._once_more(answer, shown, how)

        request.register_hook("response", once_more)
        return request

    def token(self) -> str:
        """Return an access token that is good for a while yet. Raises AccountError."""
        if not self.renew_in_s():
            self.renew(self._token)
        return self._token

    def renew_in_s(self) -> float:
        """How long until the token is to be replaced; 0 when that is due."""
        return max(0.0, self._renew_at - time.monotonic())

    def renew(self, old: str) -> None:
        """Replace a token, unless that has been done meanwhile. Raises AccountError when there is none any more."""
        with self._lock:
            if old != self._token:
                return
            body = {"refresh_token": self._refresh_token}
            answer = self._http.post("/v1/auth/refresh", json=body, auth=_as_it_is)
            if answer.ok:
                self._keep(answer.json()["tokens"])
            elif answer.status_code < 500 and answer.status_code != 429:
                raise AccountError(f"cannot refresh: HTTP {answer.status_code} {answer.text[:200]}")
            else:
                self._renew_at = time.monotonic() + RETRY_S

    def _keep(self, tokens: Mapping[str, Any]) -> None:
        self._token, self._refresh_token = str(tokens["access_token"]), str(tokens["refresh_token"])
        self._renew_at = time.monotonic() + RENEWED_AFTER * tokens["expires_in"]

    def _once_more(self, answer: Response, shown: str, how: Mapping[str, Any]) -> Response:
        if answer.status_code != 401:
            return answer
        self.renew(shown)
        if self._token == shown:
            return answer
        _ = answer.content  # read to its end, so that the connection can be used again
        answer.close()
        request = answer.request.copy()
        request.headers["Authorization"] = f"Bearer {self._token}"
        again: Response = answer.connection.send(request, **how)
        again.history.append(answer)
        again.request = request
        return again


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    """Show no token: the session's own would be asked for one, which is what is under way."""
    return request


_numbers = itertools.count(1)
_premade: list[PremadeAccounts] = []


def use_premade(file: Path) -> None:
    """Let all users of this process sign in to the accounts of a file. Raises AccountError."""
    _premade[:] = [PremadeAccounts(file)]


def sign_in(http: "HttpSession", prefix: str = "locust") -> Session:
    """Return the session of a user nobody else here plays, and show it with every request. Raises AccountError.

    All users call from one address: start the server with MNBARA_RATE_LIMITS=off, or wait as its limits ask.
    """
    if _premade:
        number, email, password = _premade[0].take()
        answer = _ask(http, "/v1/auth/login", {"email": email, "password": password})
    else:
        number, name = 0, f"{prefix}-{next(_numbers)}"
        body = {"email": f"{name}@load.example", "password": PASSPHRASE}
        answer = _ask(http, "/v1/auth/register", body | {"display_name": name}, allowed=409)
        if answer.status_code == 409:  # it was registered by an earlier run
            answer = _ask(http, "/v1/auth/login", body)
    if not answer.ok:
        raise AccountError(f"{prefix} cannot sign in: HTTP {answer.status_code} {answer.text[:200]}")
    session = Session(http, answer.json()["tokens"], number)
    http.auth = session
    return session


def leave(session: Session) -> None:
    """Let another user have the account, when it is of a file."""
    if session.number and _premade:
        _premade[0].give_back(session.number)


def _ask(http: "HttpSession", path: str, body: dict[str, str], allowed: int = 200) -> Response:
    """Post, waiting as long as the server's rate limit, or its busy hashers, ask."""
    for _ in range(ATTEMPTS_MAX):
        with http.post(path, json=body, catch_response=True, auth=_as_it_is) as answer:
            waits = answer.status_code in {429, 503}
            if waits or answer.status_code == allowed:
                answer.success()
            if not waits:
                return answer  # type: ignore[no-any-return]
            wait_s = float(answer.headers.get("Retry-After", "1"))
        gevent.sleep(wait_s)
    return answer  # type: ignore[no-any-return]
