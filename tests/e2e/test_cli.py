"""The command line as scripts use it: fields of the data, exit codes, and what goes to which output."""

from __future__ import annotations

import json
import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from conftest import MakeGateway
from harness import ROOT, UPSTREAM_KEY, Gateway, Json, Mock, Outcome, Provider, Route, Tenant, config, environment, run
from upstreams import closed_port

ASK: Json = {"model": "sim", "messages": [{"role": "user", "content": "hi"}], "user": "u-1"}
UNKNOWN = "0" * 32


def check_failure(done: Outcome, code: int, says: str) -> None:
    """A failure says why and what to do on standard error, and nothing on standard output."""
    assert (done.code, done.stdout) == (code, ""), done
    assert says in done.stderr and "error:" in done.stderr, done


def test_from_nothing_to_a_bill(gateway: Gateway) -> None:
    org = gateway.cli("org", "create", "Ferry Ltd").json
    assert org["id"].startswith("org_") and (org["object"], org["name"]) == ("organization", "Ferry Ltd")
    project = gateway.cli("project", "create", "site", "--org", org["id"], "--environment", "staging").json
    assert project["data_class"] == "internal"
    careful = ("project", "create", "vault", "--org", org["id"], "--data-class", "sensitive")
    assert gateway.cli(*careful).json["data_class"] == "sensitive"
    assert project["id"].startswith("proj_") and project["environment"] == "staging"
    key = gateway.cli("keys", "create", "--project", project["id"], "--name", "laptop").json
    assert key["id"].startswith("key_") and key["secret"].startswith("tk-") and len(key["secret"]) == 49
    assert (key["name"], key["organization"]) == ("laptop", org["id"]) and key["secret"] not in key["redacted"]
    grants = [("promo", "1.50", ["--expires", "2099-12-31"]), ("prepaid", "3.50", [])]
    for kind, amount, more in grants:
        lot = gateway.cli("credits", "grant", "--org", org["id"], "--amount", amount, "--kind", kind, *more).json
        assert lot["id"].startswith("lot_") and (lot["kind"], lot["amount"]) == (kind, amount)
        assert (
            kind != "promo" or lot["expires_at"].startswith("2099-12-31T00:00:00") and lot["expires_at"].endswith("Z")
        )

    tenant = Tenant(gateway, org["id"], project["id"], key["id"], key["secret"], Decimal("5.00"))
    answer = tenant.post("/chat/completions", ASK)
    booked = tenant.settled_one()

    balance = gateway.cli("credits", "balance", "--org", org["id"]).json
    assert {"posted", "held", "available", "debt"} <= {name for name in balance if isinstance(balance[name], str)}
    assert Decimal(balance["posted"]) == 5 - Decimal(booked["cost"]) and balance["held"] == balance["debt"] == "0.00"
    assert [lot["kind"] for lot in balance["wallets"][0]["lots"]] == ["promo", "prepaid"]

    listed = gateway.cli("usage", "list", "--org", org["id"], "--limit", "5").json
    assert listed["data"] == [booked]
    promised = (
        "request_id attempt at org project key model target provider input_tokens cached_tokens output_tokens cost"
    )
    assert set(f"{promised} status estimated user feature environment".split()) <= set(booked)
    assert (booked["user"], booked["environment"], booked["project"]) == ("u-1", "staging", project["id"])

    explained = gateway.cli("explain", answer.headers["x-request-id"]).json
    assert (explained["state"], explained["attempts"], explained["cost"]) == ("settled", [booked], booked["cost"])
    assert explained["hold"]["state"] == "settled" and explained["hold"]["amount"] == booked["held"]
    entry = explained["journal"][0]
    assert (entry["kind"], entry["amount"], entry["debt"]) == ("settle", booked["cost"], "0.00")
    assert [draw["amount"] for draw in entry["draws"]] == [booked["cost"]]


def test_explain_shows_a_live_hold(gateway: Gateway, tenant: Tenant) -> None:
    body = ASK | {"model": "sim?tps=40;out=40", "stream": True}
    stream: Any = tenant.client().chat.completions.create(**body)
    explained = gateway.cli("explain", stream.response.headers["x-request-id"]).json
    assert (explained["state"], explained["hold"]["state"], explained["attempts"]) == ("running", "live", [])
    assert Decimal(explained["hold"]["amount"]) == Decimal(tenant.balance()["held"]) > 0
    assert list(stream)
    tenant.settled_one()


def test_usage_is_cut_at_the_limit_newest_first(gateway: Gateway, tenant: Tenant) -> None:
    ids = [tenant.post("/chat/completions", ASK).headers["x-request-id"] for _ in range(3)]
    page = gateway.cli("usage", "list", "--org", tenant.org, "--limit", "2").json
    assert [row["request_id"] for row in page["data"]] == ids[:0:-1] and page["has_more"]
    assert not gateway.cli("usage", "list", "--org", tenant.org).json["has_more"]


def test_a_repeated_grant_counts_once(gateway: Gateway, tenant: Tenant) -> None:
    grant = ["credits", "grant", "--org", tenant.org, "--kind", "prepaid", "--idempotency-key", "invoice-7"]
    assert gateway.cli(*grant, "--amount", "1.00").json == gateway.cli(*grant, "--amount", "1.00").json
    check_failure(gateway.cli(*grant, "--amount", "2.00"), 1, "Idempotency-Key")
    assert Decimal(tenant.balance()["posted"]) == 6


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["org", "create"], 2, ""),
        (["project", "create", "p", "--org", "nonsense"], 2, "org_"),
        (["credits", "grant", "--org", f"org_{UNKNOWN}", "--amount", "-1", "--kind", "promo"], 2, "above zero"),
        (["credits", "grant", "--org", f"org_{UNKNOWN}", "--amount", "1", "--kind", "gift"], 2, "prepaid"),
        (["credits", "grant", "--org", f"org_{UNKNOWN}", "--amount", "1.0000000001", "--kind", "promo"], 2, "amount"),
        (["usage", "list", "--org", f"org_{UNKNOWN}", "--limit", "1001"], 2, "1000"),
        (["explain", "req_1"], 2, ""),
        (["project", "create", "p", "--org", f"org_{UNKNOWN}"], 5, "org_"),
        (["keys", "create", "--project", f"proj_{UNKNOWN}"], 5, "proj_"),
        (["credits", "grant", "--org", f"org_{UNKNOWN}", "--amount", "1", "--kind", "promo"], 5, "org_"),
        (["credits", "balance", "--org", f"org_{UNKNOWN}"], 5, "org_"),
        (["usage", "list", "--org", f"org_{UNKNOWN}"], 5, "org_"),
        (["explain", f"req_{UNKNOWN}"], 5, "req_"),
    ],
)
def test_exit_codes(gateway: Gateway, args: list[str], code: int, says: str) -> None:
    done = gateway.cli(*args)
    assert (done.code, done.stdout) == (code, "") and says in done.stderr, done


@pytest.mark.parametrize(
    ("key", "url", "code", "says"),
    [
        ("tk-op-wrong", None, 4, "operator"),
        ("", None, 4, "TOLLKEEPER_OPERATOR_KEY"),
        ("any", "http://127.0.0.1:1", 1, "127.0.0.1:1"),
        ("any", "ftp://nowhere", 2, "http://"),
    ],
)
def test_the_operator_must_be_let_in(gateway: Gateway, key: str, url: str | None, code: int, says: str) -> None:
    env = environment(TOLLKEEPER_URL=url or gateway.url, TOLLKEEPER_OPERATOR_KEY=key)
    done = run("org", "create", "Nobody", env=env)
    assert (done.code, done.stdout) == (code, "") and says in done.stderr, done


def test_a_tenants_key_is_no_operators_key(gateway: Gateway, tenant: Tenant) -> None:
    env = environment(TOLLKEEPER_URL=gateway.url, TOLLKEEPER_OPERATOR_KEY=tenant.secret)
    check_failure(run("credits", "balance", "--org", tenant.org, env=env), 4, "operator")
    stranger = Tenant(gateway, tenant.org, tenant.project, tenant.key_id, gateway.operator_key)
    assert stranger.post("/chat/completions", ASK).status_code == 401


FACTS = "prototype calls strict-compliance latency-flexible openai-billing needs-openai-model card".split()


@pytest.mark.parametrize(
    ("said", "route", "access"),
    [
        ("yes 999 no no no no no", "low-cost or free route", "model of somebody else"),
        ("yes 1000 no no yes yes yes", "with monitoring", "OpenAI directly"),
        ("no 5 yes yes no yes no", "cloud marketplace", "authorised gateway"),
        ("no 100001 no yes no yes yes", "batches", "no shared key"),
        ("no 100000 no yes yes no yes", "gateway with budget caps", "model of somebody else"),
    ],
)
def test_a_route_is_advised(said: str, route: str, access: str) -> None:
    facts = zip(FACTS, said.split(), strict=True)
    done = run("route", "advise", *(word for name, fact in facts for word in (f"--{name}", fact)))
    assert done.code == 0 and done.json["object"] == "route_advice"
    assert route in done.json["route"]["take"] and access in done.json["access"]["take"]
    assert all(done.json[which][field] for which in ("route", "access") for field in ("because", "next_step"))


def test_facts_that_nobody_tells_are_named() -> None:
    check_failure(run("route", "advise", "--prototype", "yes", "--card", "no"), 2, "--calls, --strict-compliance")


def test_help_and_version_go_to_standard_output() -> None:
    for args in (["--help"], ["--version"], ["credits", "grant", "--help"]):
        done = run(*args)
        assert done.code == 0 and done.stdout and not done.stderr
    assert run().code == 2 and run("nonsense").code == 2


def test_init_writes_a_file_that_passes_its_check(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.toml"
    assert run("init", "--json", cwd=tmp_path).json["file"] == "tollkeeper.toml"
    assert file.read_text() == (ROOT / "config/default.toml").read_text()
    assert run("config", "check", "--config", str(file)).json["ok"]
    check_failure(run("init", str(file)), 1, "exists already")


@pytest.mark.parametrize("sample", sorted((ROOT / "config").glob("*.toml")), ids=lambda file: file.name)
def test_every_sample_configuration_is_valid(sample: Path) -> None:
    secrets = {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-test", "UPSTREAM_KEY": "sk-test"}
    done = run("config", "check", "--config", str(sample), env=environment(**secrets))
    assert done.code == 0 and done.json["ok"], done


def test_config_check_finds_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(
        '[server]\nlissten = "x"\n[ledger]\ndurability = "eternal"\n[[routes]]\nmodel = "m"\ntargets = []\n'
    )
    done = run("config", "check", "--config", str(file))
    assert done.code == 6 and not done.json["ok"] and done.json["file"] == str(file)
    mistakes = "\n".join(done.json["errors"])
    for place in ["server.lissten: unknown name; did you mean `listen`?", "ledger.durability", "routes[0].targets"]:
        assert place in mistakes
    check_failure(run("serve", "--data", str(tmp_path / "data"), "--config", str(file)), 1, "ledger.durability")
    assert not (tmp_path / "data").exists(), "nothing is made for a configuration that cannot be served"


def test_one_address_cannot_be_served_twice(gateway: Gateway, tmp_path: Path) -> None:
    listen = gateway.url.removeprefix("http://")
    check_failure(run("serve", "--data", str(tmp_path / "data"), "--listen", listen), 1, "--listen")


def test_one_folder_cannot_be_served_twice(gateway: Gateway) -> None:
    done = run("serve", "--data", str(gateway.data), "--listen", "127.0.0.1:0")
    check_failure(done, 1, str(gateway.data))


def doctor(gateway: Gateway, *more: str, text: str | None = None) -> tuple[Outcome, dict[str, list[bool]]]:
    """Runs the doctor; what it says, and whether the checks of each kind went well."""
    file = gateway.folder / "doctor.toml"
    file.write_text(text or gateway.config)
    args = ["doctor", "--json", "--data", str(gateway.data), "--config", str(file), *more]
    done = run(*args, env=environment(UPSTREAM_KEY=UPSTREAM_KEY))
    checks: dict[str, list[bool]] = {}
    for check in done.json["checks"]:
        checks.setdefault(check["check"].split()[0], []).append(check["ok"])
    return done, checks


def test_the_doctor_looks_at_everything(make_gateway: MakeGateway, mock: Mock) -> None:
    gateway = make_gateway()
    done, checks = doctor(gateway)
    assert done.code == 6 and checks["balance"] == [False], "nobody can call yet"
    gateway.tenant()
    before = len(mock.truth())
    done, checks = doctor(gateway)
    assert done.code == 0 and done.json["ok"]
    assert set(checks) == {"configuration", "store", "balance", "auto-recharge", "routes", "contracts", "provider"}
    assert checks["auto-recharge"] == [True], "said, and no failure"
    assert len(mock.truth()) == before, "no paid call"
    done, checks = doctor(gateway, "--live")
    assert done.code == 0 and checks["live"] == [True] and len(mock.truth()) == before + 1


def test_the_doctor_finds_what_is_wrong(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    gateway.tenant(granted="0")
    with closed_port() as refused:
        text = config([Provider("gone", refused)], [Route("priced", "gone", "m"), Route("unpriced", "gone", "m", None)])
        done, checks = doctor(gateway, text=text)
    assert done.code == 6 and not done.json["ok"]
    assert checks == {
        "configuration": [True],
        "store": [True],
        "balance": [False],
        "auto-recharge": [True],
        "routes": [False],
        "contracts": [True],
        "provider": [False],
    }
    assert all(check["next_step"] for check in done.json["checks"] if not check["ok"])
    done, checks = doctor(gateway, text="nonsense = 1")
    assert done.code == 6 and checks["configuration"] == [False]


#: Changes that the database's own checks let pass, and what they break.
TAMPERED = {
    "a lot": "UPDATE lot SET remaining = remaining + 1000, used = used - 1000 WHERE used > 1000",
    "a lot and its wallet": (
        "UPDATE lot SET remaining = remaining + 1000, used = used - 1000 WHERE used > 1000;"
        "UPDATE wallet SET balance = balance + 1000 WHERE id = (SELECT wallet FROM lot WHERE used > 0 LIMIT 1)"
    ),
    "a grant": (
        "UPDATE lot SET granted = granted + 1000, remaining = remaining + 1000 WHERE used > 0;"
        "UPDATE wallet SET balance = balance + 1000 WHERE id = (SELECT wallet FROM lot WHERE used > 0 LIMIT 1)"
    ),
    "a bill": "UPDATE cost_row SET cost_pico = cost_pico + 1000, cost = cost + 1",
    "a lost bill": "DELETE FROM cost_row",
    "a lost entry": "DELETE FROM journal WHERE sequence = (SELECT max(sequence) FROM journal)",
    "an entry's time": "UPDATE journal SET at = at + 1",
    "a hold from nowhere": "UPDATE wallet SET held = balance WHERE balance > 0 AND held = 0",
}


@pytest.fixture(scope="module")
def books(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a folder with one paid call in it."""
    folder = tmp_path_factory.mktemp("books")
    tenant = gateway.tenant()
    tenant.post("/chat/completions", ASK)
    tenant.settled_one()
    with sqlite3.connect(gateway.data / "tollkeeper.db") as source, sqlite3.connect(folder / "tollkeeper.db") as copy:
        source.backup(copy)
    return folder


def test_verify_reports_what_it_looked_at(gateway: Gateway, books: Path) -> None:
    done = run("verify", "--json", "--data", str(books))
    assert done.code == 0 and done.json["ok"] and done.json["breaches"] == []
    assert done.json["rows"] >= 1 and Decimal(done.json["revenue"]) > 0
    assert gateway.verify().code == 0, "beside a running gateway"


@pytest.mark.parametrize("change", TAMPERED)
def test_verify_finds_tampering(books: Path, tmp_path: Path, change: str) -> None:
    shutil.copytree(books, tmp_path, dirs_exist_ok=True)
    with sqlite3.connect(tmp_path / "tollkeeper.db") as database:
        database.executescript(TAMPERED[change])
    done = run("verify", "--data", str(tmp_path))
    assert done.code == 6 and not done.json["ok"] and done.json["breaches"], done
    assert "restore a backup" in done.stderr
    assert json.loads(done.stdout)["object"] == "verification"


def test_verify_needs_a_folder_of_ours(tmp_path: Path) -> None:
    check_failure(run("verify", "--data", str(tmp_path)), 1, str(tmp_path))
    (tmp_path / "tollkeeper.db").write_bytes(b"this is no database, but it is long enough to be read as one" * 100)
    check_failure(run("verify", "--data", str(tmp_path)), 1, str(tmp_path))
