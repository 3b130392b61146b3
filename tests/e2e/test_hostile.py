"""Requests that nobody sends by accident: smuggled heads, odd credentials, made-up addresses, tricks with paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from conftest import MakeGateway
from harness import SETTINGS, Gateway, Json, Mock, Provider, Route, Tenant, config, unlike
from test_hardening import raw

ASK: Json = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}
BODY = json.dumps(ASK).encode()
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
LENGTH = b"content-length: %d\r\n" % len(BODY)


def answers(gateway: Gateway, request: bytes) -> list[tuple[int, bytes]]:
    """Every answer to these bytes, until the gateway closes or falls silent."""
    found = []
    with raw(gateway, request) as connection:
        connection.settimeout(0.5)
        while True:
            response = HTTPResponse(connection)
            try:
                response.begin()
                found.append((response.status, response.read()))
            except (OSError, ValueError, EOFError) as end:
                assert "BadStatusLine" not in type(end).__name__, end
                return found
            except Exception as end:  # http.client's own, when the connection ends without an answer
                assert type(end).__name__ == "RemoteDisconnected", end
                return found


def statuses(gateway: Gateway, request: bytes) -> list[int]:
    return [status for status, _ in answers(gateway, request)]


def bearer(tenant: Tenant) -> bytes:
    return f"authorization: Bearer {tenant.secret}\r\n".encode()


#: A second call, to be smuggled in as the body of another.
HIDDEN = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"

#: What stands between the head's first line and its end, the body, and the statuses that may answer. {key} is the right
#: header of authorization, {secret} the key. None of these may be answered twice, and nothing is charged.
HEADS: dict[str, tuple[bytes, bytes, set[int]]] = {
    "two keys, the right one first": (b"{key}authorization: Bearer tk-x\r\n" + LENGTH, BODY, {401}),
    "two keys, the right one last": (b"authorization: Bearer tk-x\r\n{key}" + LENGTH, BODY, {401}),
    "the right key twice": (b"{key}{key}" + LENGTH, BODY, {401}),
    "two keys in one header": (b"authorization: Bearer {secret}, Bearer {secret}\r\n" + LENGTH, BODY, {401}),
    "a folded key": (b"authorization: Bearer\r\n {secret}\r\n" + LENGTH, BODY, {400, 401}),
    "a header's name with a space": (b"authorization : Bearer {secret}\r\n" + LENGTH, BODY, {400}),
    "a header that begins with a space": (b"host: x\r\n authorization: Bearer {secret}\r\n" + LENGTH, BODY, {400, 401}),
    "a null in the key": (b"authorization: Bearer {secret}\x00\r\n" + LENGTH, BODY, {400}),
    "a null in a name": (b"{key}x\x00y: 1\r\n" + LENGTH, BODY, {400}),
    "no key": (b"authorization: Bearer\r\n" + LENGTH, BODY, {401}),
    "a key of blanks": (b"authorization: Bearer   \r\n" + LENGTH, BODY, {401}),
    "a key in other letters": (b"authorization: Bearer {secret}\xc3\xa9\r\n" + LENGTH, BODY, {401}),
    "an encoded key": (b"authorization: Bearer%20{secret}\r\n" + LENGTH, BODY, {401}),
    "a key after a tab": (b"authorization: Bearer\t{secret}\r\n" + LENGTH, BODY, {401}),
    "a quoted key": (b'authorization: Bearer "{secret}"\r\n' + LENGTH, BODY, {401}),
    "a key without a scheme": (b"authorization: {secret}\r\n" + LENGTH, BODY, {401}),
    "a key of 60 KiB": (b"authorization: Bearer " + b"x" * 61_440 + b"\r\n" + LENGTH, BODY, {401, 431}),
    "a key of a megabyte": (b"authorization: Bearer " + b"x" * 1_048_576 + b"\r\n" + LENGTH, BODY, {431}),
    "two lengths": (b"{key}" + LENGTH + b"content-length: 1\r\n", BODY, {400}),
    "a list of lengths": (b"{key}content-length: 5, 6\r\n", BODY, {400}),
    "a signed length": (b"{key}content-length: +5\r\n", BODY, {400}),
    "a negative length": (b"{key}content-length: -5\r\n", BODY, {400}),
    "a length beyond all": (b"{key}content-length: 99999999999999999999999\r\n", BODY, {400}),
    "an unknown coding": (b"{key}transfer-encoding: xchunked\r\n", BODY, {400}),
    "chunked, but not last": (b"{key}transfer-encoding: chunked, identity\r\n", b"0\r\n\r\n", {400}),
    "chunks of no size": (b"{key}transfer-encoding: chunked\r\n", b"zz\r\n" + BODY, {400}),
    "chunks of a huge size": (b"{key}transfer-encoding: chunked\r\n", b"fffffffffffffffff\r\n" + BODY, {400}),
    "a signed chunk": (b"{key}transfer-encoding: chunked\r\n", b"-1\r\n" + BODY, {400}),
}


def filled(text: bytes, tenant: Tenant) -> bytes:
    return text.replace(b"{key}", bearer(tenant)).replace(b"{secret}", tenant.secret.encode())


@pytest.mark.parametrize("case", HEADS)
def test_odd_heads_are_refused_once(gateway: Gateway, tenant: Tenant, case: str) -> None:
    head, body, expected = HEADS[case]
    request = POST + b"host: x\r\n" + filled(head, tenant) + b"\r\n" + body
    found = statuses(gateway, request)
    # A head that is cut off in the middle may be gone before its answer is read.
    assert (len(found) == 1 or case == "a key of a megabyte" and not found) and set(found) <= expected, found
    assert tenant.rows() == []


@pytest.mark.parametrize(
    ("head", "body"),
    [
        # By the length the hidden call belongs to the body, by the chunks it comes after it.
        (b"content-length: %d\r\ntransfer-encoding: chunked\r\n" % (5 + len(HIDDEN)), b"0\r\n\r\n" + HIDDEN),
        (b"transfer-encoding: chunked\r\ncontent-length: %d\r\n" % (5 + len(HIDDEN)), b"0\r\n\r\n" + HIDDEN),
        (b"content-length: 0\r\ncontent-length: %d\r\n" % len(HIDDEN), HIDDEN),
        (b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", b"0\r\n\r\n" + HIDDEN),
        (b"transfer-encoding:\x0bchunked\r\ncontent-length: %d\r\n" % len(HIDDEN), HIDDEN),
    ],
)
def test_no_call_is_smuggled_in_another(gateway: Gateway, tenant: Tenant, head: bytes, body: bytes) -> None:
    request = POST + b"host: x\r\n" + bearer(tenant) + head + b"\r\n" + body
    found = answers(gateway, request)
    # A proxy that goes by the other header must not get the hidden call's answer for somebody else's: either nothing
    # is taken for one, or the connection ends.
    assert len(found) <= 1, found
    assert tenant.rows() == []


def test_lines_may_end_in_a_bare_line_feed_but_hide_nothing(gateway: Gateway, tenant: Tenant) -> None:
    key = bearer(tenant).replace(b"\r\n", b"\n")
    request = b"GET /v1/models HTTP/1.1\nhost: x\n" + key + b"\n"
    assert statuses(gateway, request) in ([200], [400])
    # A line feed inside a value is the end of its line, never a part of it.
    request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx: 1\n" + bearer(tenant) + b"\r\n"
    assert statuses(gateway, request) in ([200], [400])
    request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx: 1\r" + bearer(tenant) + b"\r\n"
    assert statuses(gateway, request) in ([400], [])


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER ", b"Bearer   "])
def test_the_scheme_is_read_in_any_case(gateway: Gateway, tenant: Tenant, scheme: bytes) -> None:
    key = b"authorization: " + scheme + tenant.secret.encode() + b"\r\n"
    assert statuses(gateway, b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + key + b"\r\n") == [200]


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b"x", b"y"],
        [b"api.openai.com"],
        [b"admin:secret@127.0.0.1"],
        [b"127.0.0.1:1/admin"],
        [b"..%2f"],
        [b""],
        [b"[::1"],
    ],
    ids=repr,
)
def test_a_host_opens_nothing(gateway: Gateway, tenant: Tenant, hosts: list[bytes]) -> None:
    """No answer depends on the host: what needs a key needs it by any name."""
    lines = b"".join(b"host: %s\r\n" % host for host in hosts)
    for path, key, expected in [
        (b"/v1/models", bearer(tenant), 200),
        (b"/v1/models", b"", 401),
        (b"/admin/v1/status", bearer(tenant), 401),
        (b"/admin/v1/status", b"", 401),
    ]:
        found = statuses(gateway, b"GET " + path + b" HTTP/1.1\r\n" + lines + key + b"\r\n")
        assert found in ([expected], [400], [403] if expected == 401 else [400]), (path, found)


@pytest.mark.parametrize("target", [b"http://api.openai.com/v1/models", b"http://x:y@127.0.0.1/v1/models"])
def test_a_whole_address_as_target_is_served_here(gateway: Gateway, tenant: Tenant, target: bytes) -> None:
    """We are no proxy: nothing goes to the address."""
    request = b"GET " + target + b" HTTP/1.1\r\nhost: x\r\n" + bearer(tenant) + b"\r\n"
    ((status, body),) = answers(gateway, request)
    assert status == 400 or {"sim"} <= {model["id"] for model in json.loads(body)["data"]}


def test_no_tunnel(gateway: Gateway, tenant: Tenant) -> None:
    request = b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\n" + bearer(tenant) + b"\r\n"
    (status,) = statuses(gateway, request)
    assert 400 <= status < 500


#: Headers by which somebody says who they are.
CLAIMS = [
    {"x-forwarded-for": "10.1.2.3"},
    {"x-forwarded-for": "10.1.2.3, 127.0.0.1"},
    {"forwarded": "for=10.1.2.3"},
    {"x-real-ip": "10.1.2.3"},
    {"cf-connecting-ip": "10.1.2.3"},
    {"true-client-ip": "10.1.2.3"},
    {"client-ip": "10.1.2.3"},
]


def narrow(gateway: Gateway, tenant: Tenant, *networks: str) -> None:
    """Limits the tenant's key to networks."""
    answer = gateway.api("PATCH", f"/admin/v1/keys/{tenant.key_id}", {"networks": list(networks)})
    assert answer.status_code == 200, answer.text


def test_a_stranger_cannot_say_where_it_is(gateway: Gateway, tenant: Tenant) -> None:
    narrow(gateway, tenant, "10.0.0.0/8")
    for claim in [{}, *CLAIMS]:
        answer = tenant.post("/chat/completions", ASK, claim)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (403, "ip_not_authorized"), claim
        assert "127.0.0.1" in error["message"] and "10.0.0.0" not in answer.text
    # The address itself is what counts, by every way of writing its network.
    for networks, served in [
        (["127.0.0.1/32"], True),
        (["127.0.0.0/8"], True),
        (["0.0.0.0/0"], True),
        (["127.0.0.0/32"], False),
        (["127.0.0.2/31"], False),
        (["::1/128"], False),
        (["::/0"], False),
        (["10.0.0.0/8", "127.0.0.1/32"], True),
    ]:
        narrow(gateway, tenant, *networks)
        status = tenant.post("/chat/completions", ASK, CLAIMS[0]).status_code
        assert status == (200 if served else 403), networks
    answer = gateway.api("PATCH", f"/admin/v1/keys/{tenant.key_id}", {"networks": ["10.0.0.1/8"]})
    assert answer.status_code == 400 and "10.0.0.0/8" in answer.text, answer.text


def test_a_trusted_proxy_says_where_its_client_is(make_gateway: MakeGateway, mock: Mock) -> None:
    settings = SETTINGS.replace("[server]", '[server]\ntrusted_proxies = ["127.0.0.1/32"]')
    routes = [Route("sim", "mock", "sim-small")]
    gateway = make_gateway(text=config([Provider("mock", mock.base_url)], routes, settings))
    tenant = gateway.tenant()
    narrow(gateway, tenant, "10.0.0.0/8")
    for headers, status in [
        ({}, 403),
        ({"x-forwarded-for": "10.1.2.3"}, 200),
        ({"x-forwarded-for": "192.0.2.1"}, 403),
        # What the client itself sent stands in front of what the proxy saw.
        ({"x-forwarded-for": "10.1.2.3, 192.0.2.1"}, 403),
        ({"x-forwarded-for": "192.0.2.1, 10.1.2.3"}, 200),
        ({"x-forwarded-for": "10.1.2.3, nonsense"}, 403),
        ({"x-forwarded-for": ""}, 403),
        *((claim, 403) for claim in CLAIMS if "x-forwarded-for" not in claim),
    ]:
        answer = tenant.post("/chat/completions", ASK, headers)
        assert answer.status_code == status, (headers, answer.text)


#: Paths that are not what they look like, and what a caller with a project's key gets.
PATHS: list[tuple[str, set[int]]] = [
    ("//v1/models", {404}),
    ("/v1//models", {404}),
    ("/v1/../admin/v1/status", {404}),
    ("/v1/models/../../admin/v1/status", {404}),
    ("/./admin/v1/status", {404}),
    ("/admin/v1/%2e%2e/", {401, 403}),
    ("/admin/v1/status/", {401, 403}),
    ("/admin//v1/status", {401, 403}),
    ("/admin/v1/status;a=b", {401, 403}),
    ("/admin/v1/status%00", {401, 403}),
    ("/%61dmin/v1/status", {404}),
    ("/ADMIN/v1/status", {404}),
    ("/admin", {404}),
    ("/v1/organization/../../admin/v1/status", {401, 403, 404}),
    ("/v1/models/%2e%2e%2fadmin", {404}),
    ("/v1/models/%00", {404}),
    ("/v1/models/%ff%fe", {404}),
    ("/v1/chat/completions/", {404}),
    ("/v1/chat/completions;x=1", {404}),
    ("/v1/chat/completions%20", {404}),
    ("/V1/chat/completions", {404}),
    ("/v1/Chat/completions", {404}),
    ("/v1/chat/completions%3f", {404}),
    ("/v1/" + "x" * 30_000, {404, 414, 431}),
    ("/" + "a/" * 15_000, {404, 414, 431}),
    ("*", {400, 404, 405}),
]


@pytest.mark.parametrize(("path", "expected"), PATHS, ids=[path[:40] for path, _ in PATHS])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_tricks_with_paths(gateway: Gateway, tenant: Tenant, method: str, path: str, expected: set[int]) -> None:
    line = f"{method} {path} HTTP/1.1\r\nhost: x\r\n".encode()
    ((status, body),) = answers(gateway, line + bearer(tenant) + LENGTH + b"\r\n" + BODY)
    allowed = expected | ({404, 405} if path.startswith("/v1/models/") and method == "POST" else set())
    assert status in allowed, (status, body)
    error = json.loads(body)["error"] if body else {}
    assert tenant.secret not in json.dumps(error)
    assert tenant.rows() == []


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "authorization"])
def test_a_key_in_the_query_is_none(gateway: Gateway, tenant: Tenant, name: str) -> None:
    line = f"POST /v1/chat/completions?{name}={tenant.secret} HTTP/1.1\r\nhost: x\r\n".encode()
    ((status, body),) = answers(gateway, line + LENGTH + b"\r\n" + BODY)
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
    assert tenant.secret not in gateway.log() and tenant.secret.encode() not in body


@pytest.fixture
def named(gateway: Gateway) -> Iterator[Any]:
    """Makes a tenant whose project and key have this name."""

    def make(name: str) -> Tenant:
        org = gateway.make("/admin/v1/organizations", name=name)["id"]
        project = gateway.make("/admin/v1/projects", name=name, organization=org)["id"]
        key = gateway.make("/admin/v1/keys", name=name, project=project)
        return Tenant(gateway, org, project, key["id"], key["secret"])

    yield make


@pytest.mark.parametrize(
    "name",
    [
        '"}],"admin":true,"x":[{"',
        "<script>alert(1)</script>",
        "ключ 鍵 🔑",
        "a\\nb",
        "${jndi:x}",
        "%s%n",
        "é" * 100,
        "' OR 1=1 --",
    ],
)
def test_names_are_text_and_nothing_else(gateway: Gateway, named: Any, name: str) -> None:
    tenant = named(name)
    assert gateway.api("PATCH", f"/admin/v1/keys/{tenant.key_id}", {"disabled": True}).status_code == 200
    answer = tenant.post("/chat/completions", ASK)
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"} and name in error["message"], error
    found = gateway.get(f"/admin/v1/requests/{answer.headers['x-request-id']}/explain")
    assert found["caller"]["key"]["name"] == found["caller"]["project"]["name"] == name
    # Every line of the log is one object, whatever is in it.
    for line in gateway.log().splitlines():
        assert isinstance(json.loads(line), dict), line


@pytest.mark.parametrize(
    "name",
    ["", " ", "a\nb", "a\x00b", "a\x1b[31m", "a\u202eb", "a\u200bb", "a\u061cb", "a\u00adb", "\ufeff", "x" * 101],
)
def test_names_that_deceive_are_refused(gateway: Gateway, tenant: Tenant, name: str) -> None:
    for path, more in [("keys", {"project": tenant.project}), ("projects", {"organization": tenant.org})]:
        answer = gateway.api("POST", f"/admin/v1/{path}", {"name": name, **more})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "name", answer.text


def test_what_callers_name_is_shown_without_controls(gateway: Gateway, tenant: Tenant) -> None:
    subject = {"subject": "user", "requests_per_day": 0}
    assert gateway.api("PUT", f"/admin/v1/organizations/{tenant.org}/limits", subject).status_code == 200
    answer = tenant.post("/chat/completions", ASK | {"user": 'a"\u001b[31m\r\n{"x":1}\u202e'})
    message = answer.json()["error"]["message"]
    assert answer.status_code == 429 and not re.search(r"[\x00-\x1f\x7f]", message), message
    answer = tenant.post("/chat/completions", ASK | {"model": "x\u001b[2J\r\nset-cookie: a=b"})
    assert answer.status_code == 404 and "set-cookie" not in answer.headers
    assert not re.search(r"[\x00-\x1f\x7f]", answer.json()["error"]["message"])


def test_a_refused_key_is_the_same_known_or_not(gateway: Gateway, tenant: Tenant) -> None:
    """Nobody learns from the words which keys there are: only whoever has a whole key is told more of it."""
    whole, broken = unlike(tenant.secret), tenant.secret[:-1]
    for secret in (whole, broken):
        stranger = Tenant(gateway, "", "", "", secret)
        answer = stranger.post("/chat/completions", ASK)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert "Tests" not in answer.text and tenant.org not in answer.text and secret not in answer.text


@pytest.mark.parametrize("upgrade", [b"", b"connection: upgrade\r\nupgrade: websocket\r\n"])
@pytest.mark.parametrize("with_key", [False, True])
def test_a_web_socket_is_refused_before_anything_is_counted(
    gateway: Gateway, tenant: Tenant, upgrade: bytes, with_key: bool
) -> None:
    before = gateway.metric("tollkeeper_requests_total")
    request = b"GET /v1/responses HTTP/1.1\r\nhost: x\r\n" + upgrade + (bearer(tenant) if with_key else b"") + b"\r\n"
    with raw(gateway, request) as connection:
        response = HTTPResponse(connection)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        body = json.loads(response.read())["error"]
    assert (response.status, headers["upgrade"], headers["connection"].lower()) == (426, "HTTP/1.1", "upgrade")
    assert body["type"] == "invalid_request_error" and "POST /v1/responses" in body["message"], body
    assert body["code"] == "upgrade_required" and headers["x-request-id"] == body["request_id"]
    assert gateway.metric("tollkeeper_requests_total") == before
    assert gateway.api("GET", f"/admin/v1/requests/{body['request_id']}/explain").status_code == 404
