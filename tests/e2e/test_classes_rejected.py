"""Access class 2.10: copied, shared and published keys are refused, in the configuration and from callers."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from conftest import MakeGateway
from harness import BINARY, SETTINGS, UPSTREAM_KEY, Contract, Json, Mock, Provider, Route, config, environment, eventually, run

MESSAGES: Json = [{"role": "user", "content": "hi"}]


def mistakes(tmp_path: Path, text: str, **env: str) -> list[str]:
    file = tmp_path / "tollkeeper.toml"
    file.write_text(text)
    done = run("config", "check", "--config", str(file), env=environment(UPSTREAM_KEY=UPSTREAM_KEY, **env))
    errors: list[str] = done.json.get("errors", [])
    assert (done.code == 0) == (not errors), done
    assert UPSTREAM_KEY not in done.stdout + done.stderr
    return errors


def line(key: str) -> str:
    """The line of a list, as the command writes it and as everybody else would."""
    done = subprocess.run([BINARY, "keys", "hash"], input=f"{key}\n", capture_output=True, text=True, check=True)
    assert done.stdout == hashlib.sha256(key.encode()).hexdigest() + "\n" and key not in done.stderr
    return done.stdout


def test_2_10_a_key_without_an_owner_is_refused(tmp_path: Path, mock: Mock) -> None:
    text = config([Provider("p", mock.base_url)], [Route("m", "p", "sim-small")])
    assert mistakes(tmp_path, text) == []
    (mistake,) = mistakes(tmp_path, text.replace('owner = "the tests"\n', ""))
    assert mistake.startswith("providers[0].contract.owner: is missing"), mistake


def test_2_10_one_secret_under_two_owners_is_refused(tmp_path: Path, mock: Mock) -> None:
    text = config([Provider("one", mock.base_url), Provider("two", mock.base_url)], [Route("m", "one", "sim-small")])
    assert mistakes(tmp_path, text) == []
    before, after = text.rsplit('owner = "the tests"', 1)
    (mistake,) = mistakes(tmp_path, f'{before}owner = "somebody else"{after}')
    for part in ["`one`", "`two`", "`the tests`", "`somebody else`", "2.10"]:
        assert part in mistake, mistake


def test_2_10_a_published_key_is_refused_everywhere(tmp_path: Path, mock: Mock, make_gateway: MakeGateway) -> None:
    published = tmp_path / "published-keys"
    published.write_text("# known leaks\n" + line("sk-somebody-elses"))
    access = f'[access]\npublished_keys = "file:{published}"\n'
    text = access + config([Provider("p", mock.base_url, contract=Contract())], [Route("m", "p", "sim-small")])
    gateway = make_gateway(text=text)
    tenant = gateway.tenant()
    body = {"model": "m", "messages": MESSAGES}
    assert tenant.post("/chat/completions", body).status_code == 200
    tenant.settled_one()

    # The running gateway takes up what is added to the list: its own key is as good as revoked.
    with published.open("a") as file:
        file.write(line(tenant.secret))

    def refused() -> Json | None:
        answer = tenant.post("/chat/completions", body)
        return answer.json()["error"] if answer.status_code == 401 else None

    error = eventually(refused, "the list to be read again")
    assert error["code"] == "invalid_api_key" and "known to be published" in error["message"], error
    assert "revoke it" in error["next_step"] and tenant.secret not in str(error)

    # A provider's key on the list is a mistake of the configuration that names the provider's field.
    with published.open("a") as file:
        file.write(line(UPSTREAM_KEY))
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith("providers[0].api_key: the key of env:UPSTREAM_KEY is known to be published"), mistake

    published.write_text("sk-in-clear\n")
    (mistake,) = mistakes(tmp_path, text)
    assert "published-keys, line 1: is no SHA-256" in mistake and "sk-in-clear" not in mistake, mistake


def test_2_10_the_gateways_own_keys_are_looked_for_in_a_list_that_changes(
    tmp_path: Path, mock: Mock, make_gateway: MakeGateway
) -> None:
    published = tmp_path / "published-keys"
    published.write_text("")
    access = f'[access]\npublished_keys = "file:{published}"\n'
    other = tmp_path / "other"
    other.write_text("sk-of-the-other-provider")
    one, two = Provider("one", mock.base_url).toml(), Provider("two", mock.base_url).toml()
    providers = f"{one}\n{two.replace('env:UPSTREAM_KEY', f'file:{other}')}\n"
    routes = "\n".join(Route(model, "one", "sim-small").toml() for model in ("m", "both"))
    second = Route("both", "two", "sim-small").toml().split("targets = [")[1]
    text = access + SETTINGS + providers + f"{routes.removesuffix(']')}, {second}\n"
    gateway = make_gateway(text=text)
    tenant = gateway.tenant()

    def chat(model: str) -> tuple[int, Json, str | None]:
        answer = tenant.post("/chat/completions", {"model": model, "messages": MESSAGES})
        return answer.status_code, answer.json(), answer.headers.get("x-tollkeeper-target")

    assert chat("m")[0] == 200 and chat("both")[2] == "one/sim-small"
    published.write_text(line(UPSTREAM_KEY))
    error = eventually(lambda: chat("m")[1].get("error"), "the list to be read again")
    before = len(mock.truth())
    assert chat("m")[0] == 403 and len(mock.truth()) == before
    assert (error["code"], error["owner"]) == ("provider_key_published", "route"), error
    assert "`one`" in error["message"] and "operator" in error["next_step"] and UPSTREAM_KEY not in str(error)
    target = gateway.get("/admin/v1/routes/explain?model=m")["targets"][0]
    assert target["place"] is None and "published" in target["why"], target
    # What another provider's key serves is served there, and a key of one's own goes on.
    assert chat("both")[2] == "two/sim-small"
    own = {"x-tollkeeper-provider-key": "one=sk-of-my-own-account"}
    assert tenant.post("/chat/completions", {"model": "m", "messages": MESSAGES}, own).status_code == 200
    (told,) = [text for text in gateway.log().splitlines() if "is known to be published" in text and "ERROR" in text]
    assert "one" in told and UPSTREAM_KEY not in gateway.log()

    def doctor() -> dict[str, str]:
        env = environment(UPSTREAM_KEY=UPSTREAM_KEY)
        file = gateway.folder / "tollkeeper.toml"
        done = run("doctor", "--data", str(gateway.data), "--config", str(file), "--json", env=env)
        return {check["check"]: check["message"] for check in done.json["checks"] if not check["ok"]}

    assert "providers[0].api_key: the key of env:UPSTREAM_KEY is known" in doctor()["configuration"]
    # Taken from the list, the key is called with again; and the operator's own key is looked for, too.
    published.write_text(line(gateway.operator_key) + "# the other one was a mistake\n")
    eventually(lambda: chat("m")[0] == 200, "the key to be taken back")
    assert "the operator's key is known to be published" in gateway.log()
    assert gateway.api("GET", "/admin/v1/status").status_code == 401
    assert list(doctor()) == ["operator's key"]
