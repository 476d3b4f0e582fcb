"""Signing in locust's users, over their own HTTP session, so that locust counts it."""

import itertools

import gevent
from locust.clients import HttpSession

from load.accounts import ATTEMPTS_MAX, PASSPHRASE, AccountError

_numbers = itertools.count(1)


def sign_in(http: HttpSession, prefix: str = "locust") -> str:
    """Return the access token of a user nobody else here plays, and show it with every request. Raises AccountError.

    All users call from one address: start the server with MNBARA_RATE_LIMITS=off, or wait as its limits ask.
    """
    name = f"{prefix}-{next(_numbers)}"
    body = {"email": f"{name}@load.example", "password": PASSPHRASE, "display_name": name}
    path = "/v1/auth/register"
    for _ in range(ATTEMPTS_MAX):
        with http.post(path, json=body, catch_response=True) as answer:
            if answer.ok:
                token: str = answer.json()["tokens"]["access_token"]
                http.headers["Authorization"] = f"Bearer {token}"
                return token
            if answer.status_code == 409:
                path = "/v1/auth/login"
                body.pop("display_name")
                answer.success()  # it was registered by an earlier run
            elif answer.status_code == 429:
                answer.success()
                gevent.sleep(float(answer.headers.get("Retry-After", "1")))
    raise AccountError(f"{name} cannot sign in: HTTP {answer.status_code} {answer.text[:200]}")
