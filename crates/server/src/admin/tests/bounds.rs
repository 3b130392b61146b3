//! Budgets, limits and bounds: set, ended and set again, by whom, and what the audit log tells of it.

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
