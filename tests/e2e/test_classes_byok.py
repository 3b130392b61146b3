"""Bring your own key (mission 2.7, 2.8, 2.10, 5.5): tested on entry, sealed, used first or alone, never mixed unless allowed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx
import pytest

from conftest import MakeGateway
from harness import PATIENCE, UPSTREAM_KEY, Gateway, Json, Provider, Route, Tenant, config, environment, eventually, run
from upstreams import JsonHandler, listening

CHAT: Json = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
OURS = "ours"


@dataclass
class Accounts:
    """A provider that knows its callers by their keys, and what each of them is answered."""

    #: The status that each key gets, for chats.
    keys: dict[str, int] = field(default_factory=dict)
    #: The keys of the chats that came.
    called: list[str] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    base_url: str = ""

    def key(self, status: int = 200) -> str:
        made = f"sk-byok-{secrets.token_hex(16)}"
        self.keys[made] = status
        return made

    def names(self) -> list[str]:
        """Whose keys called since the last look."""
        seen, self.called[:] = list(self.called), []
        return [OURS if key == UPSTREAM_KEY else key for key in seen]


@contextlib.contextmanager
def accounts() -> Iterator[Accounts]:
    known = Accounts({UPSTREAM_KEY: 200})

    class Handler(JsonHandler):
        def bearer(self) -> str:
            return self.headers.get("authorization", "").removeprefix("Bearer ")

        def do_GET(self) -> None:
            key = self.bearer()
            if key in known.keys:
                self.answer(200, {"object": "list", "data": []})
            else:
                # Some providers repeat the key.
                error = {"message": f"Incorrect API key provided: {key}.", "code": "invalid_api_key"}
                self.answer(401, {"error": error})

        def do_POST(self) -> None:
            asked = self.asked()
            key = self.bearer()
            known.called.append(key)
            known.heads.append({name.lower(): value for name, value in self.headers.items()})
            status = known.keys.get(key, 401)
            if status != 200:
                return self.answer(status, {"error": {"message": f"no, {key}", "type": "x"}})
            self.answer_chat(asked["model"])

    with listening(Handler) as known.base_url:
        yield known


@dataclass
class House:
    gateway: Gateway
    provider: Accounts
    other: Accounts
    master: Path

    def keys_path(self, tenant: Tenant) -> str:
        return f"/admin/v1/organizations/{tenant.org}/provider-keys"

    def bring(self, tenant: Tenant, secret: str, **more: object) -> httpx.Response:
        body = {"provider": "acme", "secret": secret} | more
        return self.gateway.api("POST", self.keys_path(tenant), body)

    def use(self, tenant: Tenant, byok: str, fallback: bool = False) -> None:
        body = {"byok": byok, "byok_fallback": fallback}
        assert self.gateway.api("PATCH", f"/admin/v1/projects/{tenant.project}", body).status_code == 200


def toml(provider: Accounts, other: Accounts, master: Path | None) -> str:
    vault = f'\n[vault]\nmaster_keys = ["file:{master}"]\n' if master else ""
    providers = [Provider("acme", provider.base_url), Provider("beta", other.base_url)]
    routes = [Route("m", "acme", "m"), Route("n", "beta", "n")]
    # A model that both serve, acme first.
    both = Route("both", "acme", "m").toml().removesuffix("]")
    both += ", " + Route("both", "beta", "n").toml().split("targets = [")[1]
    return config(providers, routes) + "\n\n" + both + "\n" + vault


@pytest.fixture
def house(make_gateway: MakeGateway, tmp_path: Path) -> Iterator[House]:
    with accounts() as provider, accounts() as other:
        master = tmp_path / "master"
        master.write_text(secrets.token_hex(32))
        yield House(make_gateway(text=toml(provider, other, master)), provider, other, master)


def chat(tenant: Tenant, model: str = "m", **headers: str) -> httpx.Response:
    return tenant.post("/chat/completions", CHAT | {"model": model}, headers)


def last_class(tenant: Tenant, answer: httpx.Response) -> str:
    explained = tenant.gateway.get(f"/admin/v1/requests/{answer.headers['x-request-id']}/explain")
    layers = {layer["owner"]: layer for layer in explained["layers"]}
    return layers["route"]["saw"]["contract"]["class"]


def test_5_5_a_key_is_tested_when_it_is_brought(house: House) -> None:
    tenant = house.gateway.tenant()
    wrong = "sk-byok-nobody-knows-this-one"
    refused = house.bring(tenant, wrong)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "secret"), refused.text
    assert "401" in error["message"] and "Incorrect API key" in error["message"] and wrong not in refused.text
    assert house.gateway.get(house.keys_path(tenant))["data"] == []
    kept = house.bring(tenant, wrong, test=False)
    assert kept.status_code == 201 and "401" in kept.json()["test_failure"] and wrong not in kept.text
    # The provider learns to know it, and is asked again.
    house.provider.keys[wrong] = 200
    tested = house.gateway.cli("byok", "test", kept.json()["id"], "--org", tenant.org, "--json")
    assert tested.code == 0 and tested.json["test_failure"] is None, tested
    # Nobody can be asked at an address where nobody is.
    for body, param in [
        ({"provider": "nobody"}, "provider"),
        ({"secret": "short"}, "secret"),
        ({"secret": "with spaces in the middle"}, "secret"),
        ({"project": "proj_00000000000000000000000000000000"}, "project"),
    ]:
        bad = house.gateway.api(
            "POST", house.keys_path(tenant), {"provider": "acme", "secret": house.provider.key()} | body
        )
        assert bad.status_code in (400, 404) and bad.json()["error"]["param"] == param, bad.text


def test_2_7_and_5_5_first_only_and_off(house: House) -> None:
    tenant, key = house.gateway.tenant(), house.provider.key()
    assert house.bring(tenant, key, label="team").status_code == 201
    # A new project does not use it.
    answer = chat(tenant)
    assert (answer.status_code, house.provider.names(), last_class(tenant, answer)) == (200, [OURS], "direct")
    for byok in ("first", "only"):
        house.use(tenant, byok)
        answer = chat(tenant)
        assert (answer.status_code, house.provider.names()) == (200, [key]), answer.text
        assert last_class(tenant, answer) == "byok"
        assert tenant.rows()[0]["target"] == "acme/m"
    # Where there is no key of one's own: `first` goes by ours, `only` says what is missing.
    refused = chat(tenant, "n")
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["owner"]) == (403, "provider_key_missing", "route"), refused.text
    assert "beta" in error["message"] and "byok add" in error["next_step"] and house.other.names() == []
    house.use(tenant, "first")
    assert chat(tenant, "n").status_code == 200 and house.other.names() == [OURS]
    # Of a model that both serve, the one with a key of one's own is called, and ours never.
    assert chat(tenant, "both").status_code == 200 and house.provider.names() == [key] and house.other.names() == []
    found = house.gateway.get(house.keys_path(tenant))["data"][0]
    assert (found["label"], found["last_four"], found["trouble"]) == ("team", key[-4:], None)
    disabled = house.gateway.cli("byok", "disable", found["id"], "--org", tenant.org, "--json")
    assert disabled.code == 0 and chat(tenant).status_code == 200 and house.provider.names() == [OURS]
    assert house.gateway.cli("byok", "enable", found["id"], "--org", tenant.org, "--json").code == 0
    assert chat(tenant).status_code == 200 and house.provider.names() == [key]
    assert house.gateway.cli("byok", "remove", found["id"], "--org", tenant.org, "--yes", "--json").code == 0
    assert chat(tenant).status_code == 200 and house.provider.names() == [OURS]
    house.use(tenant, "off")


@pytest.mark.parametrize(("status", "wanted", "words"), [
    (401, 403, "does not take"), (402, 402, "no credit or quota"), (429, 429, "limits the rate of"),
])  # fmt: skip
def test_5_5_a_failing_key_is_never_mixed_with_ours_unless_allowed(
    house: House, status: int, wanted: int, words: str
) -> None:
    tenant, key = house.gateway.tenant(), house.provider.key(status)
    assert house.bring(tenant, key, label="team").status_code == 201
    house.use(tenant, "first")
    refused = chat(tenant)
    error = refused.json()["error"]
    assert (refused.status_code, error["owner"]) == (wanted, "provider"), refused.text
    assert words in error["message"] and "your own key `team`" in error["message"] and key not in refused.text
    assert house.provider.names() == [key]
    house.use(tenant, "first", fallback=True)
    answer = chat(tenant)
    assert (answer.status_code, house.provider.names()) == (200, [key, OURS]), answer.text
    assert [row["status"] for row in tenant.rows()[:2]] == ["succeeded", "failed"]
    # Many refusals of that account close nothing for others.
    for _ in range(8):
        chat(tenant)
    house.provider.names()
    assert chat(house.gateway.tenant()).status_code == 200 and house.provider.names() == [OURS]


def test_5_5_a_projects_key_goes_before_the_organizations(house: House) -> None:
    tenant = house.gateway.tenant()
    of_all, of_project = house.provider.key(), house.provider.key()
    assert house.bring(tenant, of_all).status_code == 201
    assert house.bring(tenant, of_project, project=tenant.project).status_code == 201
    house.use(tenant, "only")
    assert chat(tenant).status_code == 200 and house.provider.names() == [of_project]


@pytest.mark.parametrize(("header", "klass"), [("provider", "byok"), ("end-user", "user_pays")])
def test_2_8_a_key_that_comes_with_the_request_is_used_for_it_alone(house: House, header: str, klass: str) -> None:
    tenant, key = house.gateway.tenant(), house.provider.key()
    name = f"x-tollkeeper-{header}-key"
    answer = chat(tenant, **{name: f"acme={key}"})
    assert (answer.status_code, house.provider.names(), last_class(tenant, answer)) == (200, [key], klass)
    head = house.provider.heads[-1]
    assert name not in head and not any(key in value for field, value in head.items() if field != "authorization")
    assert chat(tenant).status_code == 200 and house.provider.names() == [OURS]
    # It goes before what is kept, and is never mixed with ours.
    kept = house.provider.key()
    assert house.bring(tenant, kept).status_code == 201
    house.use(tenant, "first")
    assert chat(tenant, **{name: f"acme={key}"}).status_code == 200 and house.provider.names() == [key]
    bad = chat(tenant, **{name: "acme=sk-byok-that-nobody-knows"})
    assert bad.status_code == 403 and name in bad.json()["error"]["message"], bad.text
    assert house.provider.names() == ["sk-byok-that-nobody-knows"]
    elsewhere = chat(tenant, **{name: f"beta={key}"})
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (403, "provider_key_missing")
    assert house.provider.names() == house.other.names() == []
    house.use(tenant, "first", fallback=True)
    assert chat(tenant, **{name: "acme=sk-byok-that-nobody-knows"}).status_code == 200
    assert house.provider.names() == ["sk-byok-that-nobody-knows", OURS]
    for value in ("acme", "acme=", key, f"nobody={key}", f"acme={key}, acme={key}"):
        wrong = chat(tenant, **{name: value})
        error = wrong.json()["error"]
        assert (wrong.status_code, error["param"]) == (400, name) and key not in wrong.text, (value, wrong.text)


def test_2_10_one_secret_has_one_owner(house: House) -> None:
    one, other, key = house.gateway.tenant(), house.gateway.tenant(), house.provider.key()
    assert house.bring(one, key, label="team").status_code == 201
    again = house.bring(one, key)
    assert again.status_code == 409 and "`team`" in again.json()["error"]["message"], again.text
    theirs = house.bring(other, key)
    assert theirs.status_code == 409 and "2.10" in theirs.json()["error"]["message"], theirs.text
    assert "team" not in theirs.text and one.org not in theirs.text


def doctor(house: House) -> dict[str, str]:
    """What the doctor finds in the gateway's folder, by what was looked at."""
    gateway = house.gateway
    env = environment(UPSTREAM_KEY=UPSTREAM_KEY, **gateway.env)
    done = run("doctor", "--data", str(gateway.data), "--config", str(gateway.folder / "tollkeeper.toml"), "--json", env=env)
    assert UPSTREAM_KEY not in done.stdout + done.stderr
    return {check["check"]: check["message"] for check in done.json["checks"] if not check["ok"]}


def test_2_10_the_operators_own_keys_are_taken_from_nobody(house: House, tmp_path: Path) -> None:
    tenant = house.gateway.tenant()
    # Kept: whatever provider it is said to be for, and though the provider would take it.
    for provider in ("acme", "beta"):
        refused = house.bring(tenant, UPSTREAM_KEY, provider=provider, test=False)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (409, "secret"), refused.text
        assert "operator" in error["message"] and "2.10" in error["message"], error
    file = tmp_path / "secret"
    file.write_text(UPSTREAM_KEY)
    add = ("byok", "add", "--json", "--org", tenant.org, "--provider", "acme", "--from", f"file:{file}")
    added = house.gateway.cli(*add)
    assert added.code != 0 and "operator" in added.stderr and UPSTREAM_KEY not in added.stderr, added
    # With one request, of the caller or the end user.
    for name in ("x-tollkeeper-provider-key", "x-tollkeeper-end-user-key"):
        refused = chat(tenant, **{name: f"acme={UPSTREAM_KEY}"})
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (400, name) and "operator" in error["message"], refused.text
        assert UPSTREAM_KEY not in refused.text
    assert house.provider.names() == [] and tenant.rows() == []
    assert chat(tenant).status_code == 200 and house.provider.names() == [OURS]
    assert UPSTREAM_KEY not in house.gateway.log()


def test_2_10_a_kept_key_that_becomes_the_operators_is_not_used(house: House) -> None:
    tenant, key = house.gateway.tenant(), house.provider.key()
    kept = house.bring(tenant, key, label="team").json()
    house.use(tenant, "first")
    assert chat(tenant).status_code == 200 and house.provider.names() == [key]
    assert doctor(house) == {}
    # The operator takes the same secret for another provider.
    file = house.gateway.folder / "secret"
    file.write_text(key)
    house.gateway.stop()
    before, after = house.gateway.config.rsplit('api_key = "env:UPSTREAM_KEY"', 1)
    house.gateway.config = f'{before}api_key = "file:{file}"{after}'
    house.gateway.start()
    refused = chat(tenant)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (403, "provider_key_missing"), refused.text
    assert "`team`" in error["message"] and "byok list" in error["next_step"] and house.provider.names() == []
    listed = house.gateway.get(house.keys_path(tenant))["data"][0]
    assert "operator" in listed["trouble"] and listed["id"] == kept["id"], listed
    log = house.gateway.log()
    assert kept["id"] in log and "not used" in log and key not in log
    assert "`team`" in doctor(house)[f"provider key {kept['id']}"]


def test_2_10_a_kept_key_that_becomes_published_is_not_used(make_gateway: MakeGateway, tmp_path: Path) -> None:
    with accounts() as provider, accounts() as other:
        master, published = tmp_path / "master", tmp_path / "published"
        master.write_text(secrets.token_hex(32))
        published.write_text("")
        access = f'[access]\npublished_keys = "file:{published}"\n'
        house = House(make_gateway(text=access + toml(provider, other, master)), provider, other, master)
        tenant, key = house.gateway.tenant(), provider.key()
        kept = house.bring(tenant, key, label="team").json()
        house.use(tenant, "first")
        assert chat(tenant).status_code == 200 and provider.names() == [key]
        published.write_text(hashlib.sha256(key.encode()).hexdigest() + "\n")
        eventually(lambda: chat(tenant).status_code == 403, "the list to be read again")
        provider.names()
        for _ in range(2):
            refused = chat(tenant)
            assert refused.json()["error"]["code"] == "provider_key_missing", refused.text
            assert "published" in house.gateway.get(house.keys_path(tenant))["data"][0]["trouble"]
            assert "`team`" in doctor(house)[f"provider key {kept['id']}"]
            # A start finds it out, too.
            house.gateway.stop()
            house.gateway.start()
        assert provider.names() == [], "neither it nor ours in its place"
        assert kept["id"] in house.gateway.log() and key not in house.gateway.log()
        # It is not taken again, neither kept nor sent.
        again = house.bring(house.gateway.tenant(), key)
        sent = chat(tenant, **{"x-tollkeeper-provider-key": f"acme={key}"})
        assert (again.status_code, sent.status_code) == (401, 401), (again.text, sent.text)


def test_5_5_no_secret_is_in_the_database_or_the_log(house: House) -> None:
    tenant, key = house.gateway.tenant(), house.provider.key()
    sent, wrong = house.provider.key(), "sk-byok-wrong-" + secrets.token_hex(8)
    assert house.bring(tenant, key).status_code == 201
    assert house.bring(tenant, wrong, test=False).status_code == 201
    assert chat(tenant, **{"x-tollkeeper-provider-key": f"acme={sent}"}).status_code == 200
    assert chat(tenant, **{"x-tollkeeper-end-user-key": f"acme={wrong}"}).status_code == 403
    house.use(tenant, "only")
    assert chat(tenant).status_code == 403, "the key that came last is used, which the provider does not take"
    audit = house.gateway.get(f"/admin/v1/organizations/{tenant.org}/audit?limit=100")
    actions = [line["action"] for line in audit["data"]]
    assert actions.count("provider_key.created") == 2, actions
    assert house.gateway.stop() == 0
    files = [path for path in house.gateway.data.rglob("*") if path.is_file()]
    files += [house.gateway.folder / "gateway.log"]
    assert len(files) > 3
    for secret in (key, sent, wrong, house.master.read_text()):
        for path in files:
            assert secret.encode() not in path.read_bytes(), path
        assert secret not in json.dumps(audit)
    house.gateway.start()
    house.provider.names()
    # What was sealed is opened by the next start.
    assert chat(tenant).status_code == 403 and house.provider.names() == [wrong]


def test_5_5_master_keys_are_turned_over_while_calls_go_on(house: House) -> None:
    tenant, key = house.gateway.tenant(), house.provider.key()
    assert house.bring(tenant, key).status_code == 201
    house.use(tenant, "only")
    old, new = house.master.read_text(), secrets.token_hex(32)
    stop, seen = threading.Event(), []

    def traffic() -> None:
        while not stop.is_set():
            seen.append(chat(tenant).status_code)

    threads = [threading.Thread(target=traffic) for _ in range(4)]
    for thread in threads:
        thread.start()

    def more() -> None:
        reached = len(seen) + 8
        eventually(lambda: len(seen) >= reached, "calls that go on")

    more()
    house.master.write_text(f"{new}\n{old}\n")
    rotated = house.gateway.cli("vault", "rotate", "--json")
    assert rotated.code == 0 and (rotated.json["resealed"], rotated.json["unopened"]) == (1, []), rotated
    more()
    house.master.write_text(new)
    again = house.gateway.cli("vault", "rotate", "--json").json
    assert (again["resealed"], again["unchanged"]) == (0, 1) and len(again["master_keys"]) == 1
    more()
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert set(seen) == {200}
    # A start finds it sealed by the new one.
    house.gateway.stop()
    house.gateway.start()
    assert chat(tenant).status_code == 200
    # Without it the gateway starts, says which key it misses, and never calls with ours instead.
    missing = rotated.json["master_keys"][0]
    house.gateway.stop()
    house.master.write_text(old)
    house.gateway.start()
    house.provider.names()
    assert missing in house.gateway.log()
    status = house.gateway.cli("vault", "status", "--json").json
    assert missing in status["unopened"][0]["reason"] and status["provider_keys"] == 1
    for byok in ("only", "first"):
        house.use(tenant, byok)
        refused = chat(tenant)
        assert refused.status_code == 403 and "cannot be used" in refused.json()["error"]["message"], refused.text
    assert house.provider.names() == []
    # Put back, it is read without a start.
    house.master.write_text(new)
    assert house.gateway.cli("vault", "rotate", "--json").json["unopened"] == []
    assert chat(tenant).status_code == 200 and house.provider.names() == [key]


def test_5_5_without_a_master_key_no_key_is_kept(make_gateway: MakeGateway) -> None:
    with accounts() as provider, accounts() as other:
        gateway = make_gateway(text=toml(provider, other, None))
        tenant, key = gateway.tenant(), provider.key()
        refused = gateway.api(
            "POST", f"/admin/v1/organizations/{tenant.org}/provider-keys", {"provider": "acme", "secret": key}
        )
        assert refused.status_code == 409 and "vault.master_keys" in refused.json()["error"]["message"], refused.text
        # One that comes with the request needs none.
        assert chat(tenant, **{"x-tollkeeper-provider-key": f"acme={key}"}).status_code == 200


def test_5_5_the_command_line_takes_a_secret_from_elsewhere(house: House, tmp_path: Path) -> None:
    tenant, key = house.gateway.tenant(), house.provider.key()
    file = tmp_path / "secret"
    file.write_text(key + "\n")
    add = ("byok", "add", "--json", "--org", tenant.org, "--provider", "acme")
    nothing = house.gateway.cli(*add)
    assert nothing.code == 2 and "standard input" in nothing.stderr, nothing
    added = house.gateway.cli(*add, "--from", f"file:{file}", "--label", "team")
    assert added.code == 0 and added.json["label"] == "team" and key not in added.stdout + added.stderr, added
    env = environment(TOLLKEEPER_URL=house.gateway.url, TOLLKEEPER_OPERATOR_KEY=house.gateway.operator_key)
    missing = run(*add, "--from", "env:NOT_SET", env=env)
    assert missing.code == 2 and "NOT_SET" in missing.stderr
    listed = house.gateway.cli("byok", "list", "--org", tenant.org, "--json").json
    assert [one["label"] for one in listed["data"]] == ["team"]
    updated = house.gateway.cli(
        "project", "update", tenant.project, "--byok", "first", "--byok-fallback", "true", "--json"
    )
    assert updated.code == 0 and (updated.json["byok"], updated.json["byok_fallback"]) == ("first", True)
    assert chat(tenant).status_code == 200 and house.provider.names() == [key]
