"""User pays (2.8): an app sends its user to the page of consent and gets a key that spends from the user's own wallet."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import http.server
import os
import re
import secrets
import socket
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx2 as httpx
import openrouter
import pytest

from browser import CHROMIUM, Page, chromium
from conftest import MakeGateway, stopping
from harness import HTTP, ROOT, SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config, environment, unlike

ASK: Json = {"model": "sim", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], "user": "u-1"}
#: For a test of what a user agrees to, nothing else refuses.
USER_PAYS = """
[user_pays]
enabled = true
attempts_per_minute = 10000
per_app_rpm = 10000
per_user_rpm = 10000
code_seconds = 600
"""


def text_of(mock: Mock, section: str) -> str:
    routes = [Route("sim", "mock", "sim-small"), Route("other", "mock", "sim-small")]
    return config([Provider("mock", mock.base_url)], routes, SETTINGS + section)


@pytest.fixture(scope="module")
def paying(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway on which users may pay."""
    with stopping(Gateway(tmp_path_factory.mktemp("paying"), text_of(mock, USER_PAYS))) as running:
        yield running.start()


@dataclass
class App:
    """A small app on the user's machine: it remembers what it is called back with."""

    port: int
    calls: list[dict[str, str]] = field(default_factory=list)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    host: str = "127.0.0.1"

    @property
    def callback(self) -> str:
        return f"http://{self.host}:{self.port}/back?from=gateway"

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def asks(self, **other: str) -> dict[str, str]:
        """What it sends its user to the page with."""
        usual = {"callback_url": self.callback, "code_challenge": self.challenge, "code_challenge_method": "S256"}
        return {name: value for name, value in (usual | {"state": "s & t"} | other).items() if value}

    def exchange(self, gateway: Gateway, code: str, **other: str) -> httpx.Response:
        body = {"code": code, "code_verifier": self.verifier, "code_challenge_method": "S256"} | other
        return HTTP.post(f"{gateway.url}/api/v1/auth/keys", json=body)


class Server6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextlib.contextmanager
def listening(server: type[http.server.ThreadingHTTPServer], host: str) -> Iterator[App]:
    calls: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            query = urllib.parse.urlsplit(self.path).query
            if self.path.startswith("/back"):
                calls.append(dict(urllib.parse.parse_qsl(query)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"Back in the app.")

        def log_message(self, *_: object) -> None:
            pass

    with server((host, 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield App(running.server_port, calls, host=f"[{host}]" if ":" in host else host)
        running.shutdown()


@pytest.fixture
def app() -> Iterator[App]:
    with listening(http.server.ThreadingHTTPServer, "127.0.0.1") as app:
        yield app


@pytest.fixture
def app6() -> Iterator[App]:
    """The same where its machine has IPv6."""
    try:
        with listening(Server6, "::1") as app:
            yield app
    except OSError:
        pytest.skip("this machine has no IPv6")


@dataclass
class Person:
    """Somebody with a wallet and a key of their own."""

    tenant: Tenant
    user: str
    secret: str

    @property
    def gateway(self) -> Gateway:
        return self.tenant.gateway

    def form(self, fields: dict[str, str], **headers: str) -> httpx.Response:
        return HTTP.post(f"{self.gateway.url}/auth", data=fields, headers=headers, follow_redirects=False)

    def agree(self, app: App, **other: str) -> str:
        """Agrees on the page as it comes, field by field, and answers the code."""
        page = HTTP.get(f"{self.gateway.url}/auth", params=app.asks())
        assert page.status_code == 200, page.text
        fields = hidden(page.text) | {"key": self.secret, "limit": "1.00", "reset": "monthly", "days": "30"}
        answer = self.form(fields | {"models": "", "decision": "allow"} | other)
        assert answer.status_code == 303, answer.text
        back = came_back(answer)
        assert back.pop("from") == "gateway" and back.pop("state") == "s & t"
        assert back.keys() == {"code"}
        return back["code"]

    def app_key(self, app: App, **other: str) -> Tenant:
        """Somebody who calls with the key of an app that they agreed to."""
        made = app.exchange(self.gateway, self.agree(app, **other))
        assert made.status_code == 200, made.text
        assert made.json()["user_id"] == self.user
        return Tenant(self.gateway, self.tenant.org, self.tenant.project, "", made.json()["key"])

    def consents(self) -> list[Json]:
        found: list[Json] = self.gateway.get(f"/admin/v1/organizations/{self.tenant.org}/consents")["data"]
        return found


def person(gateway: Gateway, granted: str = "5.00") -> Person:
    tenant = gateway.tenant(granted)
    user = gateway.make(f"/admin/v1/organizations/{tenant.org}/users", email="ada@example.com", role="admin")["id"]
    key = gateway.make("/admin/v1/keys", project=tenant.project, owner=user, name="own")
    return Person(tenant, user, key["secret"])


def hidden(page: str) -> dict[str, str]:
    """What a form keeps of what the app asked."""
    found = re.findall(r'<input type=hidden name=(\w+) value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


def came_back(answer: httpx.Response) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["location"]).query))


def refused(answer: httpx.Response, reason: str) -> Json:
    assert answer.status_code == 429, answer.text
    error: Json = answer.json()["error"]
    assert error["reason"] == reason, error
    return error


def test_2_8_a_user_agrees_and_pays_for_the_app(paying: Gateway, app: App) -> None:
    ada = person(paying)
    code = ada.agree(app, limit="0.002", key_label="Notes")
    [pending] = ada.consents()
    assert (pending["state"], pending["key"], pending["limit"], pending["limit_reset"]) == ("pending", None, "0.002", "monthly")
    assert pending["app"] == {"origin": "http://127.0.0.1", "name": "Notes"} and pending["user"] == ada.user

    # The official SDK, changed in nothing but its address.
    sdk = openrouter.OpenRouter(server_url=f"{paying.url}/api/v1")
    made = sdk.o_auth.exchange_auth_code_for_api_key(code=code, code_verifier=app.verifier, code_challenge_method="S256")
    assert made.user_id == ada.user and made.key.startswith("tk-")
    own = openrouter.OpenRouter(api_key=made.key, server_url=f"{paying.url}/api/v1")
    seen = own.api_keys.get_current_key_metadata().data
    assert (seen.limit, seen.limit_reset) == (0.002, "monthly")

    # It calls at the user's expense, and whatever it says of itself it is known by its consent.
    called = Tenant(paying, ada.tenant.org, ada.tenant.project, "", made.key)
    first = called.post("/chat/completions", ASK, {"http-referer": "https://evil.example", "x-title": "Evil"})
    assert first.status_code == 200, first.text
    row = ada.tenant.settled_one()
    assert (row["app"], row["user"]) == ("127.0.0.1", "u-1")
    request = first.headers["x-request-id"]
    explained = paying.get(f"/admin/v1/requests/{request}/explain")
    [saw] = [layer["saw"] for layer in explained["layers"] if layer["owner"] == "key"]
    assert (saw["app"], saw["consent"]) == ("127.0.0.1", pending["id"])
    assert explained["attempts"][0]["app"] == "127.0.0.1"
    month = datetime.now(UTC).strftime("%Y-%m")
    path = f"/admin/v1/organizations/{ada.tenant.org}/statement?month={month}"
    [line] = [line for line in paying.get(path)["lines"] if line["object"] == "usage"]
    assert (line["app"], line["calls"]) == ("127.0.0.1", 1)
    assert ",sim,127.0.0.1,1," in paying.api("GET", path + "&format=csv").text
    # It went by our key, so it was charged here, once: no provider bills anybody else for it.
    cost = Decimal(row["cost"])
    told = paying.api("GET", path).json(parse_float=Decimal)["payers"]
    assert [(one["payer"], Decimal(one["amount"])) for one in told] == [("organization", cost)]
    told = HTTP.get(f"{paying.url}/api/v1/key", headers={"authorization": f"Bearer {made.key}"}).json(parse_float=Decimal)
    assert (told["data"]["usage"], told["data"]["byok_usage"]) == (cost, 0)

    # Beyond the limit the key's own budget refuses, and says so; the user's own key goes on.
    for _ in range(100):
        answer = called.post("/chat/completions", ASK)
        if answer.status_code != 200:
            break
    error = refused(answer, "key_budget_exceeded")
    assert error["owner"] == "usage_limit" and "0.002" in error["message"] and error["resets_at"], error
    spent = sum((Decimal(row["cost"]) for row in ada.tenant.rows()), Decimal(0))
    assert Decimal("0.001") < spent <= Decimal("0.002")
    assert Decimal(ada.tenant.balance()["net"]) == 5 - spent
    assert Tenant(paying, ada.tenant.org, ada.tenant.project, "", ada.secret).post("/chat/completions", ASK).status_code == 200

    [active] = ada.consents()
    assert active["state"] == "active" and active["key"] == row["key"]
    assert paying.get(f"/admin/v1/keys/{row['key']}")["consent"] == active["id"]
    told = paying.get(f"/admin/v1/organizations/{ada.tenant.org}/audit?resource_ids[]={active['id']}")["data"]
    assert [(line["action"], line["actor"]["type"]) for line in told] == [("consent.fetched", "app"), ("consent.given", "person")]


def test_2_8_an_apps_key_sees_nothing_but_its_own(paying: Gateway, app: App) -> None:
    ada = person(paying)
    paying.make("/admin/v1/budgets", organization=ada.tenant.org, of="organization", period="monthly", cost="437.125")
    own = Tenant(paying, ada.tenant.org, ada.tenant.project, "", ada.secret).post("/chat/completions", ASK)
    called = ada.app_key(app, models="oth*")
    ask = lambda path: HTTP.get(f"{paying.url}/api/v1/{path}", headers={"authorization": f"Bearer {called.secret}"})  # noqa: E731
    seen = ask("key").json()["data"]
    assert [budget["scope"] for budget in seen["budgets"]] == ["key_limit"] and "437.125" not in ask("key").text
    assert ask(f"generation?id={own.headers['x-request-id']}").status_code == 404
    assert [ask(path).status_code for path in ("credits", "keys")] == [403, 403]
    assert called.post("/chat/completions", ASK).status_code in (403, 404)
    mine = called.post("/chat/completions", ASK | {"model": "other"})
    assert mine.status_code == 200, mine.text
    assert ask(f"generation?id={mine.headers['x-request-id']}").status_code == 200
    models = HTTP.get(f"{paying.base_url}/models", headers={"authorization": f"Bearer {called.secret}"}).json()["data"]
    assert [model["id"] for model in models] == ["other"]


def test_2_8_a_consent_is_revoked_at_once_and_ends_by_itself(paying: Gateway, app: App) -> None:
    ada = person(paying)
    # By the operator, on the command line.
    called = ada.app_key(app)
    assert called.post("/chat/completions", ASK).status_code == 200
    [consent] = ada.consents()
    listed = paying.cli("consents", "list", "--org", ada.tenant.org, "--json")
    assert [found["id"] for found in listed.json["data"]] == [consent["id"]], listed
    revoked = paying.cli("consents", "revoke", consent["id"], "--org", ada.tenant.org, "--yes", "--json")
    assert revoked.json["state"] == "revoked", revoked
    answer = called.post("/chat/completions", ASK)
    assert answer.status_code in (401, 403) and "revoked" in answer.json()["error"]["message"], answer.text

    # By the person, on the page, with their key alone.
    called = ada.app_key(app)
    page = HTTP.post(f"{paying.url}/auth/consents", data={"key": ada.secret})
    [chosen] = re.findall(r"name=revoke value=(con_\w+)", page.text)
    assert called.post("/chat/completions", ASK).status_code == 200
    ended = HTTP.post(f"{paying.url}/auth/consents", data={"key": ada.secret, "revoke": chosen})
    assert ended.status_code == 200 and "is refused from now on" in ended.text
    assert called.post("/chat/completions", ASK).status_code in (401, 403)
    assert [consent["state"] for consent in ada.consents()] == ["revoked", "revoked"]

    # With whoever gave it.
    called = ada.app_key(app)
    bob = paying.make(f"/admin/v1/organizations/{ada.tenant.org}/users", email="bob@example.com", role="owner")["id"]
    gone = paying.api("DELETE", f"/admin/v1/organizations/{ada.tenant.org}/users/{ada.user}")
    assert bob and gone.status_code == 200, gone.text
    assert called.post("/chat/completions", ASK).status_code in (401, 403)
    assert ada.consents()[0]["state"] == "ended"


def test_2_8_a_code_made_by_api_and_a_consent_that_expires(paying: Gateway, app: App) -> None:
    ada = person(paying)
    sdk = openrouter.OpenRouter(api_key=ada.secret, server_url=f"{paying.url}/api/v1")
    until = datetime.now(UTC) + timedelta(seconds=3)
    made = sdk.o_auth.create_auth_code(
        callback_url="https://notes.example/back",
        code_challenge=app.challenge,
        code_challenge_method="S256",
        limit=2.5,
        usage_limit_type="weekly",
        expires_at=until,
        key_label="Notes",
    )
    [consent] = ada.consents()
    assert (consent["limit"], consent["limit_reset"], consent["app"]["origin"]) == ("2.50", "weekly", "https://notes.example")
    exchanged = sdk.o_auth.exchange_auth_code_for_api_key(code=made.data.id, code_verifier=app.verifier)
    called = Tenant(paying, ada.tenant.org, ada.tenant.project, "", exchanged.key)
    assert called.post("/chat/completions", ASK).status_code == 200
    assert ada.tenant.settled_one()["app"] == "notes.example"
    time.sleep(max(0, (until - datetime.now(UTC)).total_seconds()) + 0.1)
    answer = called.post("/chat/completions", ASK)
    assert answer.status_code in (401, 403) and "expired" in answer.json()["error"]["message"], answer.text
    assert ada.consents()[0]["state"] == "expired"
    # A service account's key agrees to nothing, nor does one with a limit of its own.
    for body, status, says in [
        ({"callback_url": "http://notes.example"}, 400, "`callback_url`"),
        ({"callback_url": "https://notes.example", "limit": 1000}, 400, "`limit`: The limit must be at most 100.00."),
        ({"callback_url": "https://notes.example", "expires_at": "2001-01-01T00:00:00Z"}, 400, "`expires_at`"),
        ({"callback_url": "https://notes.example", "code_challenge": ""}, 400, "`code_challenge`"),
    ]:
        challenge = {"code_challenge": app.challenge, "code_challenge_method": "S256"}
        answer = HTTP.post(
            f"{paying.url}/api/v1/auth/keys/code",
            json=challenge | body,
            headers={"authorization": f"Bearer {ada.secret}"},
        )
        assert answer.status_code == status and says in answer.json()["error"]["message"], answer.text
    robots = openrouter.OpenRouter(api_key=ada.tenant.secret, server_url=f"{paying.url}/api/v1")
    with pytest.raises(openrouter.errors.ForbiddenResponseError, match="only a person can agree"):
        robots.o_auth.create_auth_code(callback_url="https://notes.example", code_challenge=app.challenge)


def test_2_8_a_code_is_good_once_and_for_its_verifier(paying: Gateway, app: App) -> None:
    ada = person(paying)
    sdk = openrouter.OpenRouter(server_url=f"{paying.url}/api/v1")
    for verifier, method, error in [
        (unlike(app.verifier), "S256", openrouter.errors.ForbiddenResponseError),
        (app.challenge, "S256", openrouter.errors.ForbiddenResponseError),
        (app.verifier, "plain", openrouter.errors.BadRequestResponseError),
    ]:
        code = ada.agree(app)
        with pytest.raises(error):
            sdk.o_auth.exchange_auth_code_for_api_key(code=code, code_verifier=verifier, code_challenge_method=method)
        # Whoever tried has spent it.
        with pytest.raises(openrouter.errors.ForbiddenResponseError, match="Invalid code or code_verifier"):
            sdk.o_auth.exchange_auth_code_for_api_key(code=code, code_verifier=app.verifier)
        assert ada.consents()[0]["state"] == "revoked"
    code = ada.agree(app)
    assert app.exchange(paying, code).status_code == 200
    assert app.exchange(paying, code).status_code == 403
    assert HTTP.get(f"{paying.url}/api/v1/auth/keys").status_code == 405
    # The code is in no answer, no page and no log; nor is any key.
    log = paying.log()
    assert code not in log and ada.secret not in log


def test_2_8_who_does_not_agree_goes_back_with_nothing(paying: Gateway, app: App) -> None:
    ada = person(paying)
    answer = ada.form(app.asks() | {"decision": "deny"})
    assert answer.status_code == 303
    back = came_back(answer)
    assert (back["error"], back["state"], "code" in back) == ("access_denied", "s & t", False)
    assert answer.headers["location"].startswith(app.callback) and ada.consents() == []


@pytest.mark.parametrize(
    "callback",
    [
        "",
        "https:///evil.example",
        "//evil.example",
        "javascript:alert(document.domain)",
        "data:text/html,<script>alert(1)</script>",
        "http://evil.example/",
        "https://user:pass@evil.example/",
        "https://app.example#@evil.example/",
        "https://app.example\\@evil.example/",
        "https://app.example/\r\nlocation: https://evil.example",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        'https://app.example/"><script>alert(1)</script>',
    ],
)
def test_2_8_nobody_is_sent_where_the_page_does_not_say(paying: Gateway, app: App, callback: str) -> None:
    ada = person(paying)
    asked = app.asks() | {"callback_url": callback}
    for answer in (
        HTTP.get(f"{paying.url}/auth", params=asked, follow_redirects=False),
        ada.form(asked | {"decision": "deny"}),
        ada.form(asked | {"decision": "allow", "key": ada.secret, "limit": "1", "reset": "none", "days": "1"}),
    ):
        assert answer.status_code == 400 and "location" not in answer.headers, answer.text
        assert "<script" not in answer.text and "evil.example" not in answer.headers["content-security-policy"]
    assert ada.consents() == []


def test_2_8_pages_obey_nothing_that_an_app_writes(paying: Gateway, app: App) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e'
    asked = app.asks(key_label=evil, state=evil) | {"callback_url": f"{app.callback}&x='%22%3E"}
    page = HTTP.get(f"{paying.url}/auth", params=asked)
    assert page.status_code == 200 and "<script" not in page.text and "<img" not in page.text and "\u202e" not in page.text.split("name=state")[0]
    assert hidden(page.text)["state"] == evil
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script" not in policy
    assert f"form-action 'self' http://127.0.0.1:{app.port};" in policy
    assert page.headers["cache-control"] == "no-store" and page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-frame-options"] == "DENY" and page.headers["x-content-type-options"] == "nosniff"
    # A form from elsewhere is not taken, whatever it says.
    ada = person(paying)
    fields = hidden(page.text) | {"key": ada.secret, "limit": "1", "reset": "none", "days": "1", "decision": "allow"}
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert ada.form(fields, **headers).status_code == 403
    assert ada.consents() == []
    # Nor one whose body is not whole or far too large.
    assert ada.form({"callback_url": "x" * 100_000}).status_code == 400


def test_2_8_wrong_keys_and_codes_are_limited(mock: Mock, make_gateway: MakeGateway, app: App) -> None:
    gateway = make_gateway("few", text_of(mock, "[user_pays]\nenabled = true\nattempts_per_minute = 3\n"))
    ada = person(gateway)
    filled = app.asks() | {"limit": "1", "reset": "none", "days": "1", "decision": "allow"}
    code = ada.agree(app)
    for _ in range(2):
        wrong = ada.form(filled | {"key": unlike(ada.secret)})
        assert wrong.status_code == 400 and "Incorrect API key" in wrong.text and unlike(ada.secret) not in wrong.text
    assert app.exchange(gateway, "guess").status_code == 403
    # Keys and codes are guessed from one address, so they count together; and the right ones wait, too.
    limited = ada.form(filled | {"key": ada.secret})
    assert limited.status_code == 429 and "3 a minute are allowed" in limited.text
    error = app.exchange(gateway, code)
    assert error.status_code == 429 and "Try again in" in error.json()["error"]["message"]


def test_2_8_apps_and_users_have_rates(mock: Mock, make_gateway: MakeGateway, app: App) -> None:
    section = "[user_pays]\nenabled = true\nper_app_rpm = 3\nper_user_rpm = 2\nattempts_per_minute = 100\n"
    gateway = make_gateway("rates", text_of(mock, section))

    def key(someone: Person, origin: str) -> Tenant:
        sdk = openrouter.OpenRouter(api_key=someone.secret, server_url=f"{gateway.url}/api/v1")
        made = sdk.o_auth.create_auth_code(callback_url=origin, code_challenge=app.challenge, code_challenge_method="S256")
        got = sdk.o_auth.exchange_auth_code_for_api_key(code=made.data.id, code_verifier=app.verifier)
        return Tenant(gateway, someone.tenant.org, someone.tenant.project, "", got.key)

    ada, bob, eve = (person(gateway) for _ in range(3))
    notes, other = (key(ada, f"https://{name}.example") for name in ("notes", "other"))
    assert [called.post("/chat/completions", ASK).status_code for called in (notes, other)] == [200, 200]
    error = refused(notes.post("/chat/completions", ASK), "requests_per_minute_exceeded")
    assert f"apps whose calls {ada.user} pays for" in error["message"] and error["limit"] == "2", error
    assert "user_pays.per_user_rpm" in error["next_step"] and error["resets_at"]
    # Of the app one call is counted so far: two more, whoever pays.
    others = [key(someone, "https://notes.example") for someone in (bob, eve)]
    assert [called.post("/chat/completions", ASK).status_code for called in others] == [200, 200]
    error = refused(others[0].post("/chat/completions", ASK), "requests_per_minute_exceeded")
    assert "app notes.example" in error["message"] and error["limit"] == "3", error
    assert "user_pays.per_app_rpm" in error["next_step"]
    # Their users' own keys are not concerned, and what binds an app's key is told.
    own = Tenant(gateway, bob.tenant.org, bob.tenant.project, "", bob.secret)
    assert own.post("/chat/completions", ASK).status_code == 200
    [consent] = bob.consents()
    groups = gateway.get(f"/admin/v1/keys/{consent['key']}/limits")
    assert {"app", "person"} <= {limit["of"] for group in groups["rate_limits"] for limit in group["limits"]}


def test_2_8_an_operator_says_which_apps_ask_and_whether(mock: Mock, make_gateway: MakeGateway, app: App) -> None:
    section = '[user_pays]\nenabled = true\norigins = ["https://notes.example"]\ncode_seconds = 1\nrequire_challenge = false\n'
    gateway = make_gateway("listed", text_of(mock, section))
    ada = person(gateway)
    foreign = HTTP.get(f"{gateway.url}/auth", params=app.asks())
    assert foreign.status_code == 400 and "is not among the apps" in foreign.text
    denied = ada.form(app.asks() | {"decision": "deny"})
    assert denied.status_code == 400 and "location" not in denied.headers
    # An app without a challenge, which this operator takes; a code that is not fetched in time is worth nothing.
    asked = {"callback_url": "https://notes.example/back", "limit": "1", "reset": "none", "days": "1"}
    code = came_back(ada.form(asked | {"key": ada.secret, "decision": "allow"}))["code"]
    assert HTTP.post(f"{gateway.url}/api/v1/auth/keys", json={"code": code}).status_code == 200
    code = came_back(ada.form(asked | {"key": ada.secret, "decision": "allow"}))["code"]
    time.sleep(1.1)
    late = HTTP.post(f"{gateway.url}/api/v1/auth/keys", json={"code": code})
    assert late.status_code == 403 and late.json()["error"]["code"] == 403, late.text
    assert [consent["state"] for consent in ada.consents()] == ["lapsed", "active"]
    called = ada.consents()[1]["key"]
    # A restart keeps what was agreed to, and forgets the codes that wait.
    waiting = came_back(ada.form(asked | {"key": ada.secret, "decision": "allow"}))["code"]
    assert gateway.stop() == 0
    gateway.config = gateway.config.replace("enabled = true", "enabled = false")
    gateway.start()
    assert [consent["key"] for consent in ada.consents()][2] == called
    # What is turned off asks nobody; whoever agreed before can still end it.
    assert HTTP.get(f"{gateway.url}/auth", params=asked).status_code == 404
    assert HTTP.post(f"{gateway.url}/api/v1/auth/keys", json={"code": waiting}).status_code == 404
    assert HTTP.post(f"{gateway.url}/auth/consents", data={"key": ada.secret}).status_code == 200


def test_2_8_an_app_in_a_browser_calls_across_origins(paying: Gateway, app: App) -> None:
    ada = person(paying)
    page = {"origin": f"http://127.0.0.1:{app.port}"}
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}
    for path, status in [("/api/v1/auth/keys", 204), ("/v1/chat/completions", 204), ("/admin/v1/status", 401), ("/auth", 405)]:
        asked = HTTP.request("OPTIONS", paying.url + path, headers=page | wanted)
        assert asked.status_code == status, (path, asked.text)
        assert asked.headers.get("access-control-allow-origin") == (page["origin"] if status == 204 else None)
        assert "access-control-allow-credentials" not in asked.headers
    called = ada.app_key(app)
    answer = called.post("/chat/completions", ASK, page)
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == page["origin"]
    assert "access-control-allow-origin" not in called.post("/chat/completions", ASK, {"origin": "http://evil.example"}).headers


DOCS = (ROOT / "docs/user-pays.md").read_text()


def test_2_8_what_the_page_for_authors_says_works(mock: Mock, make_gateway: MakeGateway, tmp_path: Path) -> None:
    [settings] = re.findall(r"^```toml\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    routes = [Route("sim-small", "mock", "sim-small")]
    gateway = make_gateway("docs", config([Provider("mock", mock.base_url)], routes, SETTINGS + settings))
    ada = person(gateway)
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL))
    env = environment(GATEWAY=gateway.url, OWN_KEY=ada.secret)
    script = f"set -euo pipefail\n{lines}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert '"limit":2.5' in done.stdout and "chat.completion" in done.stdout, done.stdout
    assert "Notes asks to call models at your expense" in (tmp_path / "page.html").read_text().replace("<bdi>", "").replace("</bdi>", "")
    assert ada.tenant.settled_one()["app"] == "127.0.0.1"


@contextlib.contextmanager
def page_of(folder: Path) -> Iterator[Page]:
    folder.mkdir()
    with chromium(folder) as page:
        yield page


def test_2_8_an_app_may_listen_at_the_machines_ipv6_address(paying: Gateway, app6: App) -> None:
    ada = person(paying)
    code = ada.agree(app6)
    key = app6.exchange(paying, code).json()["key"]
    [consent] = ada.consents()
    assert (consent["app"]["origin"], consent["state"]) == ("http://[::1]", "active"), consent
    answer = Tenant(paying, ada.tenant.org, ada.tenant.project, "", key).post("/chat/completions", ASK)
    assert answer.status_code == 200, answer.text


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
def test_2_8_a_browser_leads_back_to_the_machines_ipv6_address(paying: Gateway, app6: App, tmp_path: Path) -> None:
    ada = person(paying)
    # Policies cannot name that address, so a browser is asked whether it lets the form lead there.
    with page_of(tmp_path / "browser") as page:
        page.go(f"{paying.url}/auth?{urllib.parse.urlencode(app6.asks())}")
        page.fill(key=ada.secret, limit="0.50")
        page.run("document.querySelector('[value=allow]').click()")
        page.wait("document.body.innerText.includes('Back in the app.')")
        assert page.complaints == [], page.complaints
    assert app6.exchange(paying, app6.calls[-1]["code"]).status_code == 200


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
def test_2_8_a_browser_goes_the_whole_way(paying: Gateway, app: App, tmp_path: Path) -> None:
    ada = person(paying)
    url = f"{paying.url}/auth?" + urllib.parse.urlencode(app.asks(key_label="Field Notes"))
    shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
    with page_of(tmp_path / "browser") as page:
        page.go(url)
        assert "Field Notes asks to call models at your expense" in page.text()
        for name, width, dark in [("wide", 1000, False), ("phone", 390, False), ("dark", 390, True)]:
            page.screenshot(shots / f"consent-{name}.png", width, dark)
            assert page.run("document.documentElement.scrollWidth <= window.innerWidth"), name
        # The style is the page's own, so the policy has let it in.
        assert page.run("getComputedStyle(document.querySelector('main')).borderTopLeftRadius") != ""
        assert page.run("getComputedStyle(document.querySelector('.origin')).borderRadius") == "8px"
        page.fill(key=unlike(ada.secret), limit="five")
        page.run("document.querySelector('[value=allow]').click()")
        page.wait("document.body.innerText.includes('This is not an amount')")
        page.screenshot(shots / "consent-wrong.png", 390, False)
        assert ada.secret not in str(page.run("document.documentElement.outerHTML"))
        page.fill(key=ada.secret, limit="0.50")
        page.run("document.querySelector('[value=allow]').click()")
        page.wait("document.body.innerText.includes('Back in the app.')")
        assert page.complaints == [], page.complaints
        [back] = app.calls
        assert back["state"] == "s & t" and app.exchange(paying, back["code"]).status_code == 200
        # The app is not told where its user was.
        assert page.run("document.referrer") == ""
        page.go(url)
        page.run("document.querySelector('[value=deny]').click()")
        page.wait("document.body.innerText.includes('Back in the app.')")
        assert app.calls[-1]["error"] == "access_denied"
        # And what was agreed to is ended where it was agreed to.
        page.go(f"{paying.url}/auth/consents")
        page.fill(key=ada.secret)
        page.run("document.querySelector('button').click()")
        page.wait("document.body.innerText.includes('Field Notes (127.0.0.1)')")
        page.screenshot(shots / "consents.png", 390, True)
        page.fill(key=ada.secret)
        page.run("document.querySelector('[name=revoke]').checked = true")
        page.run("document.querySelector('button').click()")
        page.wait("document.body.innerText.includes('is refused from now on')")
        assert page.complaints == [], page.complaints
    assert [consent["state"] for consent in ada.consents()] == ["revoked"]
