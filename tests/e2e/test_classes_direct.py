"""Access class 2.1: an account of one's own, billed to oneself; and that `explain` tells who paid, to people too."""

from __future__ import annotations

from decimal import Decimal

from harness import PRICE, Gateway, Json, Tenant

ASK: Json = {"model": "sim", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}


def test_2_1_a_direct_call_is_paid_by_its_organization_at_the_price(gateway: Gateway, tenant: Tenant) -> None:
    answer = tenant.post("/chat/completions", ASK, {"x-tollkeeper-show": "access"})
    assert answer.status_code == 200, answer.text
    headers = answer.headers
    assert (headers["x-tollkeeper-access-class"], headers["x-tollkeeper-payer"]) == ("direct", "organization")
    assert headers["x-tollkeeper-contract"].startswith("the tests; verified ")
    row = tenant.settled_one()
    assert (row["access_class"], row["payer"], row["pool"]) == ("direct", "organization", None)
    cost = PRICE.cost(row["input_tokens"], row["output_tokens"])
    assert Decimal(row["cost"]) == Decimal(row["list_price"]) == cost
    explained = gateway.cli("explain", answer.headers["x-request-id"], "--json").json
    assert [(row["access_class"], row["payer"]) for row in explained["attempts"]] == [("direct", "organization")]
    # A limit of rates is among what is seen: several of them, in one layer.
    path = f"/admin/v1/organizations/{tenant.org}/limits"
    assert gateway.api("PUT", path, {"subject": "organization", "requests_per_day": 5}).status_code == 200
    limited = tenant.post("/chat/completions", ASK)
    saw = gateway.cli("explain", limited.headers["x-request-id"], "--json").json
    [rates] = [layer["saw"] for layer in saw["layers"] if layer["owner"] == "rate_limit"]
    assert [(limit["of"], limit["limit"]) for limit in rates] == [("organization", 5)]
    listed = tenant.client().models.retrieve("sim").to_dict()["tollkeeper"]
    assert isinstance(listed, dict) and (listed["access_class"], listed["payer"]) == ("direct", "organization")
