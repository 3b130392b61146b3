//! Budgets, limits and bounds: set, ended and set again, by whom, and what the audit log tells of it.

use domain::{RequestId, Zone};
use gateway::ceiling_id;
use ledger::{Act, Booking, Budget, Caps as BudgetCaps, Command, Note, Period, Subject};
use store::DecisionRecord;

use super::*;

#[test]
fn a_spend_limit_that_was_deleted_can_be_set_again() {
    let house = House::new();
    let owner = house.callers.owner.as_str();
    let project = format!("/v1/organization/projects/{}/spend_limit", house.name("project"));
    for path in ["/v1/organization/spend_limit", &project] {
        let limit = |cents: i64| json!({ "threshold_amount": cents, "currency": "USD", "interval": "month" });
        let ask = |method: &str, body: &Value| house.ask(method, path, Some(owner), body);
        for cents in [100, 250] {
            let (status, set) = ask("POST", &limit(cents));
            assert_eq!((status, &set["threshold_amount"]), (200, &json!(cents)), "{set}");
            assert_eq!(ask("GET", &json!({})).0, 200);
            assert_eq!(ask("DELETE", &json!({})).0, 200);
            assert_eq!(ask("GET", &json!({})).0, 404);
            assert_eq!(ask("DELETE", &json!({})).0, 404);
        }
        // Nor does it matter that the operator took the budget away for good.
        ask("POST", &limit(300));
        let budgets = format!("/admin/v1/budgets?organization={}", house.name("organization"));
        let (_, found) = house.ask("GET", &budgets, Some(OPERATOR), &json!({}));
        let found = found["data"].as_array().unwrap().iter().find(|budget| budget["hard"] == true).unwrap();
        let removal = budgets.replace('?', &format!("/{}?", found["id"].as_str().unwrap()));
        assert_eq!(house.ask("DELETE", &removal, Some(OPERATOR), &json!({})).0, 200);
        assert_eq!(ask("GET", &json!({})).0, 404);
        let (status, set) = ask("POST", &limit(400));
        assert_eq!((status, &set["threshold_amount"]), (200, &json!(400)), "{set}");
        assert_eq!(ask("DELETE", &json!({})).0, 200);
    }
}

#[test]
fn nobody_gets_a_key_in_another_ones_name_by_openrouters_api() {
    let house = House::new();
    let user = house.name("user").to_owned();
    let body = json!({ "name": "theirs", "creator_user_id": user, "workspace_id": house.name("project") });
    for key in [&house.callers.owner, &house.callers.admin, &house.callers.project_owner] {
        let (status, answer) = house.ask_openrouter("POST", "keys", key, &body);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("somebody else"), "{answer}");
    }
    let (status, made) = house.ask_openrouter("POST", "keys", OPERATOR, &body);
    assert_eq!((status, &made["data"]["creator_user_id"]), (201, &json!(user)), "{made}");
    let nobodys = json!({ "name": "robot", "workspace_id": house.name("project") });
    assert_eq!(house.ask_openrouter("POST", "keys", &house.callers.project_owner, &nobodys).0, 201);
}

#[test]
fn the_audit_log_tells_of_budgets() {
    let house = House::new();
    let organization = house.name("organization");
    let of = json!({ "organization": organization, "of": "project", "which": house.name("project"), "period": "daily",
                     "cost": "5.00" });
    let (status, made) = house.ask("POST", "/admin/v1/budgets", Some(OPERATOR), &of);
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    let path = format!("/admin/v1/budgets/{id}");
    let patch = json!({ "organization": organization, "cost": "7.00" });
    for _ in 0..2 {
        // The second one changes nothing, and nothing is told of it.
        assert_eq!(house.ask("PATCH", &path, Some(OPERATOR), &patch).0, 200);
    }
    let removal = format!("{path}?organization={organization}");
    assert_eq!(house.ask("DELETE", &removal, Some(OPERATOR), &json!({})).0, 200);
    let told = house.told(id);
    let what = |line: &Value| {
        let cost = |side: &str| line[side]["cost"].as_str().map(str::to_owned);
        (line["action"].as_str().unwrap().to_owned(), cost("before"), cost("after"))
    };
    let [five, seven] = ["5.00", "7.00"].map(|cost| Some(cost.to_owned()));
    let expected = [
        ("budget.deleted".to_owned(), seven.clone(), None),
        ("budget.updated".to_owned(), five.clone(), seven),
        ("budget.updated".to_owned(), None, five),
    ];
    assert_eq!(told.iter().map(what).collect::<Vec<_>>(), expected);
    assert_eq!((&told[2]["after"], &told[2]["project"]), (&made, &json!(house.name("project"))));
}

#[test]
fn the_ceiling_of_a_tier_is_for_the_tier_to_set() {
    let house = House::new();
    let organization: OrganizationId = house.name("organization").parse().unwrap();
    let budget = Budget {
        id: ceiling_id(organization),
        subject: Subject::Organization,
        period: Period::Monthly,
        zone: Zone::default(),
        caps: BudgetCaps { cost: Some("5".parse().unwrap()), ..BudgetCaps::default() },
        hard: true,
        thresholds: Vec::new(),
    };
    let note = Note { actor: "gateway".into(), reason: None };
    let booking = Booking { organization, idempotency: None, note, act: Act::SetBudget(budget) };
    house.admin.ledger.submit(Command::Book(Box::new(booking))).wait().unwrap();
    let path = format!("/admin/v1/budgets/{}?organization={organization}", ceiling_id(organization));
    let bare = path.split('?').next().unwrap();
    let patch = json!({ "organization": organization, "cost": "7.00" });
    for (method, path, body) in [("PATCH", bare, patch), ("DELETE", path.as_str(), json!({}))] {
        let (status, answer) = house.ask(method, path, Some(OPERATOR), &body);
        assert_eq!(status, 409, "{method}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("[[tiers]]"), "{answer}");
    }
}

#[test]
fn a_project_owner_only_tightens_the_limit_of_a_key() {
    let house = House::new();
    let (part, admin) = (house.callers.project_owner.as_str(), house.callers.admin.as_str());
    let body = json!({ "name": "robot", "workspace_id": house.name("project") });
    let (_, made) = house.ask_openrouter("POST", "keys", part, &body);
    let name = made["data"]["hash"].as_str().unwrap();
    let path = format!("keys/{name}");
    let key = house.admin.directory.directory().keys(house.name("project").parse().unwrap(), None, 9);
    let key = key.iter().find(|key| key.name == "robot").unwrap().id;
    let budget = json!({ "organization": house.name("organization"), "of": "key", "which": key, "period": "daily",
                         "cost": "5.00", "zone": "Europe/Berlin" });
    let (status, first) = house.ask("POST", "/admin/v1/budgets", Some(OPERATOR), &budget);
    assert_eq!(status, 201, "{first}");
    let patch = |key: &str, body: Value| house.ask_openrouter("PATCH", &path, key, &body);
    for body in [json!({ "limit": null }), json!({ "limit": 6 }), json!({ "limit_reset": "weekly" })] {
        let (status, answer) = patch(part, body.clone());
        assert_eq!(status, 403, "{body}: {answer}");
    }
    // Another name is no other limit: the budget keeps its zone and its counts.
    assert_eq!(patch(part, json!({ "name": "machine" })).0, 200);
    assert!(house.told(first["id"].as_str().unwrap()).len() == 1);
    // Another zone counts anew.
    assert_eq!(patch(part, json!({ "limit": 4 })).0, 403);
    let (status, answer) = patch(admin, json!({ "limit": 4, "limit_reset": "weekly" }));
    assert_eq!((status, &answer["data"]["limit"]), (200, &json!(4)), "{answer}");
    assert_eq!(house.told(first["id"].as_str().unwrap())[0]["action"], "budget.deleted");
    let (status, answer) = patch(part, json!({ "limit": 3 }));
    assert_eq!((status, &answer["data"]["limit"]), (200, &json!(3)), "{answer}");
    assert_eq!(patch(part, json!({ "limit": 4 })).0, 403);
    assert_eq!(patch(admin, json!({ "limit": null })).0, 200);
    assert_eq!(patch(part, json!({ "limit": 9 })).0, 200);
}

#[test]
fn openrouters_keys_are_found_by_their_hash_and_paged() {
    let house = House::new();
    let mandate = Mandate::operator(&SystemIds, house.admin.clock.now());
    let project: ProjectId = house.name("project").parse().unwrap();
    let make = |n: usize| {
        let name = Some(format!("key {n}"));
        let new = NewKey { project, owner: None, name, bounds: Bounds::default(), expires_at: None };
        house.admin.directory.create_key(new, &mandate).unwrap().key.id
    };
    // More than are looked through at once, every second one of them revoked.
    let made: Vec<_> = (0..1_100).map(make).collect();
    for key in made.iter().step_by(2) {
        house.admin.directory.revoke_key(*key, &mandate).unwrap();
    }
    let page = |offset: usize| {
        let path = format!("keys?workspace_id={project}&offset={offset}");
        let (status, page) = house.ask_openrouter("GET", &path, &house.callers.owner, &json!({}));
        assert_eq!(status, 200, "{page}");
        page["data"].as_array().unwrap().clone()
    };
    // The key of the house comes first.
    let names = |page: &[Value]| [page.first(), page.last()].map(|key| key.map(|key| key["name"].clone()));
    let named = |n: usize| Some(json!(format!("key {n}")));
    let (second, last) = (page(100), page(501));
    assert_eq!((second.len(), names(&second)), (100, [named(199), named(397)]));
    assert_eq!((last.len(), names(&last)), (50, [named(1_001), named(1_099)]));
    assert!(page(551).is_empty());
    let show =
        |name: &str, key: &str| house.ask_openrouter("GET", &format!("keys/{name}"), key, &json!({})).0;
    let name = second[0]["hash"].as_str().unwrap();
    assert_eq!((show(name, &house.callers.owner), show(name, &house.callers.other_owner)), (200, 404));
    let gone = house.admin.directory.directory().key(made[1]).unwrap();
    let before = gone.hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(show(&before, &house.callers.owner), 200);
    house.admin.directory.rotate_key(made[1], 60, &mandate).unwrap();
    // Its former secret has another hash, which names it no longer.
    assert_eq!(show(&before, &house.callers.owner), 404);
}

#[test]
fn a_member_does_not_undo_the_bounds_of_their_own_key() {
    let house = House::new();
    let (guest, part) = (house.callers.guest.as_str(), house.callers.project_owner.as_str());
    let project = house.name("project");
    let (status, made) =
        house.ask("POST", "/admin/v1/keys", Some(guest), &json!({ "project": project, "name": "mine" }));
    assert_eq!(status, 201, "{made}");
    let path = format!("/admin/v1/keys/{}", made["id"].as_str().unwrap());
    let patch = |key: &str, body: &Value| house.ask("PATCH", &path, Some(key), body).0;
    let bounds = [
        json!({ "expires_at": "2999-01-01T00:00:00Z" }),
        json!({ "networks": ["10.0.0.0/8"] }),
        json!({ "models": { "mode": "allow_list", "models": ["sim"] } }),
        json!({ "endpoints": ["models"] }),
        json!({ "expires_at": null }),
        json!({ "networks": null }),
        json!({ "models": null }),
        json!({ "endpoints": null }),
        json!({ "disabled": false }),
    ];
    for body in &bounds {
        assert_eq!((patch(guest, body), patch(part, body)), (403, 200), "{body}");
    }
    let openai = format!("/v1/organization/projects/{project}/api_keys/{}", made["id"].as_str().unwrap());
    for body in [json!({ "scopes": [] }), json!({ "expires_in_seconds": 9 })] {
        let post = |key: &str| house.ask("POST", &openai, Some(key), &body).0;
        assert_eq!((post(guest), post(part)), (403, 200), "{body}");
    }
    assert_eq!(patch(guest, &json!({ "name": "still mine", "disabled": true })), 200);
    assert_eq!(house.ask("POST", &format!("{path}/rotate"), Some(guest), &json!({})).0, 200);
    assert_eq!(house.ask("DELETE", &path, Some(guest), &json!({})).0, 200);
}

#[test]
fn members_see_why_their_organizations_requests_went_as_they_did() {
    let house = House::new();
    let organization: OrganizationId = house.name("organization").parse().unwrap();
    let decide = |organization: Option<OrganizationId>| {
        let (request, at) = (RequestId::fresh(&SystemIds), house.admin.clock.now());
        house.store.decisions().keep(DecisionRecord { organization, request, at, body: "{}".to_owned() });
        request
    };
    let (ours, nobodys, unknown) = (decide(Some(organization)), decide(None), RequestId::fresh(&SystemIds));
    let explain = |request: RequestId, key: &str| {
        let path = format!("/admin/v1/requests/{request}/explain");
        let (status, answer) = house.ask("GET", &path, Some(key), &json!({}));
        (status, answer.to_string().replace(&request.to_string(), "REQUEST"))
    };
    let Callers { owner, reader, other_owner, .. } = &house.callers;
    for key in [OPERATOR, owner, reader] {
        assert_eq!(explain(ours, key).0, 200, "{}", explain(ours, key).1);
    }
    assert_eq!(explain(nobodys, OPERATOR).0, 200);
    let missing = explain(unknown, owner);
    assert_eq!(missing.0, 404);
    for found in [explain(ours, other_owner), explain(nobodys, owner), explain(unknown, OPERATOR)] {
        assert_eq!(found, missing);
    }
}

#[test]
fn owners_and_admins_change_their_organization_but_not_where_it_is() {
    let house = House::new();
    let path = format!("/admin/v1/organizations/{}", house.name("organization"));
    let patch = |key: &str, body: &Value| house.ask("PATCH", &path, Some(key), body);
    let Callers { owner, admin, reader, other_owner, .. } = &house.callers;
    let ours = json!({ "name": "Ours", "time_zone": "Europe/Berlin", "in_flight": "stops" });
    for key in [owner, admin] {
        let (status, changed) = patch(key, &ours);
        assert_eq!((status, &changed["name"], &changed["in_flight"]), (200, &json!("Ours"), &json!("stops")));
    }
    assert_eq!((patch(reader, &ours).0, patch(other_owner, &ours).0), (403, 404));
    for (name, value) in [("country", json!("DE")), ("country", Value::Null), ("verified", json!(true))] {
        let body = json!({ "name": "Theirs", name: value });
        let (status, refused) = patch(owner, &body);
        assert_eq!(status, 403, "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{name}`")) && message.contains("operator"), "{message}");
        assert_eq!(patch(OPERATOR, &body).0, 200);
    }
}
