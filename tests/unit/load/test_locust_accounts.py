"""How locust's users stay signed in: tokens are replaced before they expire, and once after a 401."""

import json

import pytest
import requests
from requests.adapters import BaseAdapter

from load.accounts import AccountError
from load.scenarios import accounts
from load.scenarios.accounts import PremadeAccounts, Session


class Server(BaseAdapter):
    """A server that takes the newest access token only, and counts what it is asked."""

    def __init__(self, life_s: int = 900) -> None:
        super().__init__()
        self.life_s, self.counter, self.asked = life_s, 0, []
        self.refresh_status = 200

    def tokens(self):
        return {
            "access_token": f"access-{self.counter}",
            "refresh_token": f"refresh-{self.counter}",
            "expires_in": self.life_s,
        }

    def send(self, request, **_how):
        answer = requests.Response()
        answer.request, answer.url, answer.connection = request, request.url, self
        answer._content = b"{}"
        shown = request.headers.get("Authorization")
        self.asked.append((request.path_url, shown))
        if request.path_url == "/v1/auth/refresh":
            answer.status_code = self.refresh_status
            if answer.ok:
                assert json.loads(request.body)["refresh_token"] == f"refresh-{self.counter}"
                self.counter += 1
                answer._content = json.dumps({"tokens": self.tokens()}).encode()
        else:
            answer.status_code = 200 if shown == f"Bearer access-{self.counter}" else 401
        return answer

    def close(self):
        pass


class Client(requests.Session):
    """Locust's session as far as it matters here: paths are of the host."""

    def request(self, method, url, *more, **how):
        return super().request(method, f"http://load.example{url}", *more, **how)


def signed_in(server: Server) -> Client:
    http = Client()
    http.trust_env = False
    http.mount("http://", server)
    http.auth = Session(http, server.tokens())
    return http


def test_a_token_is_replaced_before_it_expires(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(accounts.time, "monotonic", lambda: now)
    server = Server()
    http = signed_in(server)
    now += 719
    assert http.get("/v1/auth/me").ok
    now += 2
    assert http.get("/v1/auth/me").ok
    assert http.get("/v1/auth/me").ok
    assert [path for path, _ in server.asked] == [
        *("/v1/auth/me", "/v1/auth/refresh", "/v1/auth/me", "/v1/auth/me")
    ]
    assert server.asked[1][1] is None


def test_after_a_401_the_token_is_replaced_and_the_request_made_again_once():
    server = Server()
    http = signed_in(server)
    server.counter += 1  # the server knows better
    http.auth._refresh_token = "refresh-1"
    assert http.post("/v1/listings", json={"a": 1}).status_code == 200
    assert [path for path, _ in server.asked] == ["/v1/listings", "/v1/auth/refresh", "/v1/listings"]
    server.asked.clear()
    server.refresh_status = 503
    server.counter += 1
    assert http.get("/v1/auth/me").status_code == 401
    assert [path for path, _ in server.asked] == ["/v1/auth/me", "/v1/auth/refresh"]


def test_a_session_that_has_ended_is_said():
    server = Server()
    http = signed_in(server)
    server.counter, server.refresh_status = 5, 401
    with pytest.raises(AccountError, match="cannot refresh: HTTP 401"):
        http.get("/v1/auth/me")


def test_each_account_of_a_file_is_given_to_one_user_at_a_time(tmp_path):
    file = tmp_path / "accounts.json"
    file.write_text('{"email":"load-{number}@load.example","password":"p","count":2}')
    premade = PremadeAccounts(file)
    assert premade.take() == (1, "load-1@load.example", "p")
    assert premade.take()[0] == 2
    with pytest.raises(AccountError, match="2 accounts, fewer than there are users"):
        premade.take()
    premade.give_back(1)
    assert premade.take()[0] == 1


@pytest.mark.parametrize("text", ["", "[]", '{"email":"x"}'])
def test_another_file_is_refused(tmp_path, text):
    file = tmp_path / "accounts.json"
    file.write_text(text)
    with pytest.raises(AccountError, match="is no file of"):
        PremadeAccounts(file)
