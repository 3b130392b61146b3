"""OpenAI's administration API with OpenAI's own SDK, unchanged but for address and key, and what /admin/v1 adds."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from conftest import MakeGateway
from harness import HTTP, PATIENCE, Gateway, Json, Tenant, any_client, unlike

ASK: Json = {"model": "sim?out=5", "max_tokens": 5, "messages": [{"role": "user", "content": "."}]}


@dataclass
class Owned:
    """An organization with its first owner, as an operator makes them."""

    tenant: Tenant
    owner: str
    key: str

    @property
    def gateway(self) -> Gateway:
        return self.tenant.gateway

    def sdk(self, key: str | None = None) -> Any:
        """The SDK's administration in somebody's name, the owner's unless told otherwise."""
        client = any_client().with_options(
            base_url=self.gateway.base_url, admin_api_key=key or self.key, api_key="-", max_retries=0, timeout=PATIENCE
        )
        return client.admin.organization

    def person(self, name: str, role: str) -> tuple[str, str]:
        """A member and a key that acts for them."""
        path = f"/admin/v1/organizations/{self.tenant.org}"
        user = self.gateway.make(f"{path}/users", email=f"{name}@example.com", name=name, role=role)["id"]
        return user, self.gateway.make(f"{path}/admin-keys", user=user, name=name)["secret"]

    def call(self, secret: str, **more: Any) -> openai.OpenAI:
        """One call of a model with a key."""
        client = any_client().with_options(base_url=self.gateway.base_url, api_key=secret, max_retries=0)
        return client.chat.completions.create(**(ASK | more))

    def raw(self, method: str, path: str, key: str | None = None, **body: Any) -> Any:
        headers = {"authorization": f"Bearer {key or self.key}"}
        return HTTP.request(method, self.gateway.url + path, headers=headers, json=body or None)


@pytest.fixture
def owned(tenant: Tenant) -> Owned:
    house = Owned(tenant, "", "")
    house.owner, house.key = house.person("owner", "owner")
    return house


def refused(status: int, work: Any) -> Json:
    """Asserts that the SDK raises this status; the error's body."""
    with pytest.raises(openai.APIStatusError) as caught:
        work()
    assert caught.value.status_code == status, caught.value
    assert caught.value.request_id and caught.value.request_id.startswith("req_")
    body: Json = caught.value.body  # type: ignore[assignment]
    # Where a limit owner refused, the body tells the same.
    assert "owner" not in body or body["request_id"] == caught.value.request_id, body
    return body


def test_a_project_from_its_making_to_its_end(owned: Owned) -> None:
    projects = owned.sdk().projects
    project = projects.create(name="Shop")
    assert (project.object, project.name, project.status) == ("organization.project", "Shop", "active")
    assert projects.retrieve(project.id).created_at == project.created_at
    assert projects.update(project.id, name="Store").name == "Store"
    account = projects.service_accounts.create(project.id, name="robot")
    assert account.api_key and account.api_key.value.startswith("tk-") and account.role == "member"
    owned.call(account.api_key.value)
    second = projects.service_accounts.api_keys.create(account.id, project_id=project.id, name="second")
    owned.call(second.value)
    keys = {key.id: key for key in projects.api_keys.list(project.id)}
    assert set(keys) == {account.api_key.id, second.id}
    shown = keys[second.id]
    assert shown.owner.type == "service_account" and shown.owner.service_account.id == account.id
    assert shown.last_used_at and shown.owner_project_access == "active"
    assert second.value not in str(keys) and shown.redacted_value[:5] == second.value[:5]
    gone = projects.api_keys.delete(second.id, project_id=project.id)
    assert (gone.object, gone.id, gone.deleted) == ("organization.project.api_key.deleted", second.id, True)
    refused(403, lambda: owned.call(second.value))
    refused(404, lambda: projects.api_keys.retrieve(second.id, project_id=project.id))
    owned.call(account.api_key.value)
    assert projects.service_accounts.delete(account.id, project_id=project.id).deleted
    refused(403, lambda: owned.call(account.api_key.value))
    assert projects.service_accounts.list(project.id).data == []
    last = projects.service_accounts.create(project.id, name="last").api_key.value
    assert projects.archive(project.id).status == "archived"
    refused(403, lambda: owned.call(last))
    assert project.id not in [each.id for each in projects.list()]
    assert project.id in [each.id for each in projects.list(include_archived=True)]
    refused(409, lambda: projects.update(project.id, name="again"))


def test_lists_turn_their_pages(owned: Owned) -> None:
    projects = owned.sdk().projects
    made = [projects.create(name=f"p{number}").id for number in range(7)]
    assert [each.id for each in projects.list(limit=3)] == [owned.tenant.project, *made]
    for project in projects.list(limit=2):
        projects.archive(project.id)
    assert projects.list().data == []


def test_people_come_by_invitation_and_their_roles_hold_at_once(owned: Owned) -> None:
    admin = owned.sdk()
    project = owned.tenant.project
    invite = admin.invites.create(email="new@example.com", role="reader", projects=[{"id": project, "role": "member"}])
    token = invite.model_extra["token"]
    assert invite.status == "pending" and token.startswith("tk-invite-")
    assert "token" not in admin.invites.retrieve(invite.id).model_extra
    accept = "/admin/v1/invites/accept"
    assert HTTP.post(owned.gateway.url + accept, json={"token": unlike(token)}).status_code == 400
    answer = HTTP.post(owned.gateway.url + accept, json={"token": token, "name": "Newcomer"})
    assert answer.status_code == 201, answer.text
    user, key = answer.json()["user"]["id"], answer.json()["admin_key"]["secret"]
    assert HTTP.post(owned.gateway.url + accept, json={"token": token}).status_code == 400
    assert admin.invites.retrieve(invite.id).status == "accepted"
    assert admin.projects.users.retrieve(user, project_id=project).role == "member"
    assert [each.email for each in admin.users.list(emails=["NEW@example.com", "x@example.com"])] == ["new@example.com"]
    theirs = owned.sdk(key)
    assert {each.id for each in theirs.users.list()} == {owned.owner, user}
    told = refused(403, lambda: theirs.projects.create(name="mine"))
    assert told["code"] == "insufficient_permissions" and "new@example.com" in told["message"] and told["next_step"]
    # A key of their own, which ends with their part in the project.
    mine = owned.raw("POST", "/admin/v1/keys", key, project=project, name="mine").json()
    assert mine["owner"] == user
    owned.call(mine["secret"])
    admin.projects.users.update(user, project_id=project, role="owner")
    theirs.projects.update(project, name="renamed by its owner")
    theirs.projects.rate_limits.update_rate_limit("rl-sim", project_id=project, max_requests_per_1_minute=60)
    spend = {"threshold_amount": 100, "currency": "USD", "interval": "month"}
    refused(403, lambda: theirs.projects.spend_limit.update(project, **spend))
    assert admin.projects.users.delete(user, project_id=project).object == "organization.project.user.deleted"
    refused(403, lambda: owned.call(mine["secret"]))
    refused(403, lambda: theirs.projects.update(project, name="no more"))
    assert admin.users.update(user, role="admin").role == "admin"
    theirs.projects.create(name="an admin's")
    refused(403, lambda: theirs.users.update(user, role="owner"))
    refused(403, lambda: theirs.users.delete(owned.owner))
    assert admin.users.delete(user).object == "organization.user.deleted"
    refused(403, lambda: theirs.projects.list())
    refused(409, lambda: admin.users.delete(owned.owner))
    open_one = admin.invites.create(email="late@example.com", role="reader")
    assert admin.invites.delete(open_one.id).deleted
    refused(404, lambda: admin.invites.retrieve(open_one.id))
    late = HTTP.post(owned.gateway.url + accept, json={"token": open_one.model_extra["token"]})
    assert late.status_code == 400


def test_administrators_keys(owned: Owned) -> None:
    keys = owned.sdk().admin_api_keys
    made = keys.create(name="terraform", expires_in_seconds=1_000)
    assert made.value.startswith("tk-admin-") and made.owner.id == owned.owner
    assert made.expires_at == made.created_at + 1_000
    assert [each.id for each in keys.list(order="desc", limit=1)][0] == made.id
    assert owned.sdk(made.value).projects.list().data
    # It calls no models, and a key that does administers nothing.
    refused(401, lambda: owned.call(made.value))
    refused(401, lambda: owned.sdk(owned.tenant.secret).projects.list())
    assert keys.delete(made.id).object == "organization.admin_api_key.deleted"
    refused(403, lambda: owned.sdk(made.value).projects.list())
    refused(404, lambda: keys.retrieve(made.id))
    refused(400, lambda: keys.create(name="x", expires_in_seconds=0))


def test_limits_models_and_spending(owned: Owned) -> None:
    admin, project = owned.sdk().projects, owned.tenant.project
    limits = admin.rate_limits
    assert limits.list_rate_limits(project).data == []
    first = limits.update_rate_limit("rl-vendor/sim", project_id=project, max_requests_per_1_minute=10)
    assert (first.model, first.max_requests_per_1_minute, first.max_tokens_per_1_minute) == ("vendor/sim", 10, None)
    second = limits.update_rate_limit(first.id, project_id=project, max_tokens_per_1_minute=1_000)
    assert (second.id, second.max_requests_per_1_minute, second.max_tokens_per_1_minute) == (first.id, 10, 1_000)
    assert [each.id for each in limits.list_rate_limits(project)] == [first.id]
    refused(400, lambda: limits.update_rate_limit("rl-sim", project_id=project))
    permissions = admin.model_permissions
    assert permissions.retrieve(project).mode == "deny_list"
    assert permissions.update(project, mode="allow_list", model_ids=["sim*"]).api_model_ids == ["sim*"]
    assert permissions.retrieve(project).api_model_ids == ["sim*"]
    assert permissions.delete(project).deleted
    assert permissions.retrieve(project).api_model_ids == []
    for place, args in [(owned.sdk().spend_limit, ()), (admin.spend_limit, (project,))]:
        refused(404, lambda: place.retrieve(*args))
        owned.call(owned.tenant.secret)
        made = place.update(*args, threshold_amount=1, currency="USD", interval="month")
        assert (made.threshold_amount, made.currency, made.interval) == (1, "USD", "month")
        assert made.enforcement.status == "inactive"
        # A cent is not enough for a long answer: it counts from the next call on.
        long = ASK | {"max_tokens": 4_000}
        body = refused(429, lambda: owned.call(owned.tenant.secret, **long))
        assert body["code"].endswith("_spend_limit_exceeded"), body
        assert place.update(*args, threshold_amount=500, currency="USD", interval="month").threshold_amount == 500
        owned.call(owned.tenant.secret, **long)
        assert place.delete(*args).deleted
        refused(404, lambda: place.delete(*args))
    told = list(owned.sdk().audit_logs.list(event_types=["spend_limit.updated", "spend_limit.deleted"]))
    assert len(told) == 6 and told[0].type == "spend_limit.deleted" and told[0].project.id == project
    assert told[1].model_extra["spend_limit.updated"]["changes_requested"] == {"threshold_amount": 500}


def test_the_audit_log_names_who_what_and_whence(owned: Owned) -> None:
    admin = owned.sdk()
    project = admin.projects.create(name="Audited")
    admin.projects.update(project.id, name="Renamed")
    admin.projects.model_permissions.update(project.id, mode="deny_list", model_ids=["x"])
    admin.projects.rate_limits.update_rate_limit("rl-sim", project_id=project.id, max_requests_per_1_minute=1)
    account = admin.projects.service_accounts.create(project.id, name="robot")
    admin.projects.api_keys.delete(account.api_key.id, project_id=project.id)
    admin.projects.service_accounts.delete(account.id, project_id=project.id)
    admin.projects.users.create(project.id, user_id=owned.owner, role="member")
    admin.projects.archive(project.id)
    logs = list(admin.audit_logs.list(project_ids=[project.id], limit=3))
    assert [log.type for log in logs] == [
        "project.archived",
        "project.user.added",
        "service_account.deleted",
        "api_key.deleted",
        "api_key.created",
        "service_account.created",
        "rate_limit.updated",
        "project.updated",
        "project.updated",
        "project.created",
    ]
    for log in logs:
        assert log.actor.api_key.user.id == owned.owner and log.actor.api_key.user.email == "owner@example.com"
        assert log.actor.model_extra["ip_address"] == "127.0.0.1"
        assert log.project.id == project.id and abs(log.effective_at - project.created_at) < 60
        assert account.api_key.value not in log.model_dump_json()
    renamed = logs[-2].model_dump(by_alias=True)["project.updated"]
    assert (renamed["id"], renamed["changes_requested"]) == (project.id, {"name": "Renamed"})
    assert (renamed["before"]["name"], renamed["after"]["name"]) == ("Audited", "Renamed")
    # Filters narrow, alone and together.
    for found, filters in [
        (2, {"event_types": ["project.updated"]}),
        (3, {"event_types": ["project.updated", "project.archived"]}),
        (1, {"resource_ids": [account.api_key.id], "event_types": ["api_key.deleted"]}),
        (10, {"actor_emails": ["owner@example.com"], "actor_ids": [owned.owner]}),
        (0, {"actor_emails": ["nobody@example.com"]}),
        (10, {"effective_at": {"gte": project.created_at, "lte": project.created_at + 60}}),
        (0, {"effective_at": {"lt": project.created_at}}),
        (0, {"effective_at": {"gt": project.created_at + 60}}),
    ]:
        assert len(list(admin.audit_logs.list(project_ids=[project.id], **filters))) == found, filters
    page = admin.audit_logs.list(project_ids=[project.id], before=logs[5].id, limit=2)
    assert [log.id for log in page.data] == [logs[3].id, logs[4].id] and page.has_more
    # The export is all of it, the operator's doings too.
    path = f"/admin/v1/organizations/{owned.tenant.org}/audit"
    export = owned.raw("GET", f"{path}?format=jsonl")
    assert export.headers["content-type"] == "application/jsonl"
    lines = [json.loads(line) for line in export.text.splitlines()]
    assert lines[-1]["action"] == "organization.created" and lines[-1]["actor"]["type"] == "operator"
    assert lines == owned.gateway.get(f"{path}?limit=1000")["data"]
    for secret in (owned.key, account.api_key.value):
        assert secret not in export.text


def test_keys_have_bounds_and_rotate(owned: Owned) -> None:
    project = owned.tenant.project
    made = owned.raw(
        "POST", "/admin/v1/keys", project=project, name="narrow", endpoints=["models"], networks=["10.0.0.0/8"]
    )
    assert made.status_code == 201, made.text
    path, secret = f"/admin/v1/keys/{made.json()['id']}", made.json()["secret"]
    refused(403, lambda: owned.call(secret))
    patched = owned.raw("PATCH", path, networks=[], endpoints=["chat_completions"])
    assert patched.status_code == 200 and patched.json()["networks"] == [], patched.text
    owned.call(secret)
    rotated = owned.raw("POST", f"{path}/rotate", grace_seconds=1_000).json()
    owned.call(secret)
    owned.call(rotated["secret"])
    again = owned.raw("POST", f"{path}/rotate").json()
    refused(403, lambda: owned.call(rotated["secret"]))
    assert owned.raw("PATCH", path, disabled=True).status_code == 200
    refused(403, lambda: owned.call(again["secret"]))
    assert owned.raw("PATCH", path, disabled=False).status_code == 200
    owned.call(again["secret"])
    assert owned.raw("DELETE", path).status_code == 200
    refused(403, lambda: owned.call(again["secret"]))
    assert secret not in owned.gateway.log() and again["secret"] not in owned.gateway.log()


def test_nothing_of_another_organization_is_reached(owned: Owned, gateway: Gateway) -> None:
    other = Owned(gateway.tenant(), "", "")
    other.owner, other.key = other.person("owner", "owner")
    theirs = other.sdk().projects
    admin = owned.sdk()
    account = theirs.service_accounts.create(other.tenant.project, name="robot")
    for work in (
        lambda: admin.projects.retrieve(other.tenant.project),
        lambda: admin.projects.archive(other.tenant.project),
        lambda: admin.projects.api_keys.list(other.tenant.project),
        lambda: admin.projects.api_keys.delete(account.api_key.id, project_id=owned.tenant.project),
        lambda: admin.projects.service_accounts.delete(account.id, project_id=owned.tenant.project),
        lambda: admin.users.retrieve(other.owner),
        lambda: admin.projects.users.create(owned.tenant.project, user_id=other.owner, role="owner"),
    ):
        assert refused(404, work)["code"] == "not_found"
    named = any_client().with_options(
        base_url=gateway.base_url, admin_api_key=owned.key, organization=other.tenant.org, max_retries=0
    )
    refused(403, lambda: named.admin.organization.projects.list())
    # The operator says which organization is meant.
    operator = any_client().with_options(
        base_url=gateway.base_url, admin_api_key=gateway.operator_key, organization=other.tenant.org, max_retries=0
    )
    assert [each.id for each in operator.admin.organization.projects.list()] == [other.tenant.project]
    without = owned.sdk(gateway.operator_key)
    assert refused(400, lambda: without.projects.list())["param"] == "OpenAI-Organization"


def ask(gateway: Gateway, path: str, key: str) -> tuple[int, Json]:
    """A GET of a path exactly as it is written, which no client library leaves alone."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        connection.putrequest("GET", path)
        connection.putheader("authorization", f"Bearer {key}")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body else {}
    finally:
        connection.close()


def test_a_path_is_taken_as_it_is_written(owned: Owned) -> None:
    project, org = owned.tenant.project, owned.tenant.org
    for path in (
        "/v1/organization",
        "/v1/organization/",
        "/v1/organization/projects/",
        "/v1/organization//projects",
        "/v1//organization/projects",
        "//v1/organization/projects",
        "/v1/organization/projects//",
        "/v1/organization/../../admin/v1/status",
        "/v1/organization/projects/../../../admin/v1/status",
        "/v1/organization/%2e%2e/%2e%2e/admin/v1/status",
        "/v1/organization/projects/%2e%2e%2fusers",
        "/v1/organization/projects/..%2f..",
        f"/v1/organization/projects/{project}/",
        f"/v1/organization/projects/{project}%00",
        f"/v1/organization/projects/{project}%20",
        f"/v1/organization/projects/%20{project}",
        f"/v1/organization/projects/{project.upper()}",
        f"/v1/organization/projects/{project}/api_keys/..%2fservice_accounts",
        f"/v1/organization/projects/{'a' * 8_000}",
        "/v1/organization/projects/%ff%fe",
        "/v1/organization/projects/%F0%9F%92%A9",
        "/v1/organization/projects/proj_%EF%BC%90",
        "/v1/organizations/projects",
        "/v1/organization%2fprojects",
        "/V1/organization/projects",
        f"/admin/v1/organizations/{org}/../{org}/audit",
        f"/admin/v1/organizations/{org}//audit",
        f"/admin/v1/organizations/{org}/audit/",
    ):
        status, body = ask(owned.gateway, path, owned.key)
        assert status == 404 and set(body) == {"error"}, (path, status, body)
    for path in ("/v1/organization/projects", f"/v1/organization/projects/{project}?"):
        assert ask(owned.gateway, path, owned.key)[0] == 200, path


def test_what_cannot_be_meant_is_said_by_field(owned: Owned) -> None:
    project = f"/v1/organization/projects/{owned.tenant.project}"
    for method, path, body, param in [
        ("POST", "/v1/organization/projects", {"name": ""}, "name"),
        ("POST", "/v1/organization/projects", {"name": "a\nb"}, "name"),
        ("POST", "/v1/organization/projects", {"nome": "x"}, "nome"),
        ("POST", "/v1/organization/projects", {"name": "x", "residency": "eu"}, "residency"),
        ("POST", "/v1/organization/projects", {"name": 7}, "name"),
        ("POST", "/v1/organization/invites", {"email": "nobody", "role": "reader"}, "email"),
        ("POST", "/v1/organization/invites", {"email": "a@b.c", "role": "emperor"}, "role"),
        ("POST", f"/v1/organization/users/{owned.owner}", {"role": "emperor"}, "role"),
        ("POST", f"{project}/users", {"role": "member"}, "user_id"),
        ("POST", f"{project}/model_permissions", {"mode": "maybe", "model_ids": []}, "mode"),
        ("POST", f"{project}/model_permissions", {"mode": "allow_list", "model_ids": ["a b"]}, "models"),
        ("POST", f"{project}/rate_limits/rl-sim", {"max_requests_per_1_minute": -1}, "max_requests_per_1_minute"),
        ("POST", f"{project}/spend_limit", {"threshold_amount": 0, "currency": "USD", "interval": "month"}, "threshold_amount"),
        ("POST", f"{project}/spend_limit", {"threshold_amount": 5, "currency": "EUR", "interval": "month"}, "currency"),
        ("GET", "/v1/organization/audit_logs?effective_at[gte]=yesterday", {}, "effective_at[gte]"),
        ("GET", "/v1/organization/audit_logs?project_ids[]=nonsense", {}, "project_ids"),
        ("GET", "/v1/organization/projects?limit=1000", {}, "limit"),
    ]:
        answer = owned.raw(method, path, **body)
        assert answer.status_code == 400, (path, answer.text)
        assert answer.json()["error"]["param"] == param, (path, answer.text)
    # What clients send as null is not there.
    answer = owned.raw("POST", "/v1/organization/projects", name="nulls", residency=None, external_key_id=None)
    assert answer.status_code == 200, answer.text


def test_everything_outlives_a_restart(make_gateway: MakeGateway) -> None:
    gateway = make_gateway("restarted")
    owned = Owned(gateway.tenant(), "", "")
    owned.owner, owned.key = owned.person("owner", "owner")
    account = owned.sdk().projects.service_accounts.create(owned.tenant.project, name="robot")
    before = owned.raw("GET", f"/admin/v1/organizations/{owned.tenant.org}/audit?limit=1000").json()
    gateway.kill()
    gateway.start()
    owned.call(account.api_key.value)
    assert owned.sdk().projects.service_accounts.retrieve(account.id, project_id=owned.tenant.project).name == "robot"
    assert owned.raw("GET", f"/admin/v1/organizations/{owned.tenant.org}/audit?limit=1000").json() == before


def test_the_command_line_does_the_same(owned: Owned) -> None:
    """What an operator types, each once; exit codes and data as scripts get them."""
    gateway, org, project = owned.gateway, owned.tenant.org, owned.tenant.project

    def cli(*args: str, code: int = 0) -> Json:
        done = gateway.cli(*args)
        assert done.code == code, (args, done)
        return done.json if code == 0 else {}

    assert cli("org", "update", org, "--country", "DE", "--verified", "true")["country"] == "DE"
    assert cli("org", "update", org, "--country", "none")["country"] is None
    changed = cli("project", "update", project, "--models", "sim*", "--data-class", "public")
    assert changed["models"] == {"mode": "allow_list", "models": ["sim*"]} and changed["data_class"] == "public"
    assert cli("project", "update", project, "--models", "all")["models"] is None
    assert [each["id"] for each in cli("project", "list", "--org", org)["data"]] == [project]
    key = cli("keys", "create", "--project", project, "--name", "typed")
    assert key["id"] in [each["id"] for each in cli("keys", "list", "--project", project)["data"]]
    assert "secret" not in cli("keys", "show", key["id"])
    assert cli("keys", "update", key["id"], "--disable", "--networks", "10.0.0.0/8")["networks"] == ["10.0.0.0/8"]
    assert cli("keys", "update", key["id"], "--enable", "--networks", "all")["disabled_at"] is None
    rotated = cli("keys", "rotate", key["id"], "--grace-seconds", "60")
    assert rotated["secret"] != key["secret"]
    owned.call(rotated["secret"])
    cli("keys", "revoke", key["id"], code=2)
    cli("keys", "revoke", key["id"], "--yes")
    cli("keys", "revoke", key["id"], "--yes", code=5)
    member = cli("members", "add", "typed@example.com", "--org", org, "--role", "admin")
    secret = cli("members", "key", member["id"], "--org", org)["secret"]
    assert owned.sdk(secret).projects.list().data
    assert len(cli("members", "list", "--org", org)["data"]) == 2
    cli("members", "remove", member["id"], "--org", org, "--yes")
    limit = cli("limits", "set", "--org", org, "--of", "user", "--requests-per-minute", "6")
    assert (limit["subject"], limit["which"], limit["model"]) == ("user", None, "*")
    assert [each["id"] for each in cli("limits", "list", "--org", org)["data"]] == [limit["id"]]
    cli("limits", "remove", limit["id"], "--org", org)
    cli("project", "archive", project, "--yes")
    newest = cli("audit", "--org", org, "--limit", "1")
    assert newest["has_more"] and newest["data"][0]["action"] == "project.archived"
    lines = [json.loads(line) for line in gateway.cli("audit", "--org", org, "--jsonl").stdout.splitlines()]
    assert lines[0] == newest["data"][0] and lines[-1]["action"] == "organization.created"


def test_the_description_is_served(gateway: Gateway) -> None:
    described = HTTP.get(gateway.url + "/openapi.json")
    assert described.status_code == 200 and described.json()["openapi"] == "3.1.0"
    assert "/v1/organization/projects" in described.json()["paths"]
