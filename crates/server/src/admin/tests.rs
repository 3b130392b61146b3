//! Every route against everybody: no key, a key that calls models, another organization's administrator, each role, the
//! operator. What a route does is tested elsewhere; here only whether it may be taken.

mod bounds;
mod consents;

use axum::body::Body;
use axum::http::Request as HttpRequest;
use directory::{
    Bounds, Caps, InvitedTo, KeyOwner, LimitSubject, Mandate, NewAdminKey, NewInvite, NewKey, NewLimit,
    NewOrganization, NewProject, NewProviderKey, NewUser, OrganizationRole, Permission, ProjectRole, Sealed,
    Secret,
};
use domain::{OrganizationId, ProjectId, ProviderKeyId, UserId};
use gateway::Failure;
use payments::Manual;
use providers::{Client, Timeouts};
use store::{Durability, Store};
use tower::ServiceExt;

use super::route::{Access, Verb};
use serde_json::json;

use super::*;
use crate::clock::{SystemClock, SystemIds};
use crate::config::Environment;
use crate::decisions::{ExplainSettings, Keeper, Recorded};
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::payments::{PaymentSettings, Payments};
use crate::tasks::{InFlight, RuntimeTasks};
use crate::user_pays::UserPays;
use crate::vault::{MasterKeys, Vault};

const OPERATOR: &str = "operator-of-the-tests";

/// A gateway's administration, and an organization with one of everything.
struct House {
    admin: Arc<Admin>,
    router: Router,
    runtime: tokio::runtime::Runtime,
    names: Vec<(&'static str, String)>,
    callers: Callers,
    store: Store,
    _folder: tempfile::TempDir,
}

/// The keys of everybody.
struct Callers {
    model_key: String,
    invite_token: String,
    other_owner: String,
    owner: String,
    admin: String,
    reader: String,
    project_owner: String,
    guest: String,
}

impl Callers {
    fn of(&self, role: &str) -> &str {
        match role {
            "reader" => &self.reader,
            "project owner" => &self.project_owner,
            "admin" => &self.admin,
            "owner" => &self.owner,
            _ => OPERATOR,
        }
    }
}

fn admin_of(store: &Store, clock: &Arc<dyn Clock>) -> Arc<Admin> {
    let hasher = || KeyHasher::new([7; 32]);
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let settings = PaymentSettings {
        provider: Arc::new(Manual::default()),
        webhook: None,
        bounds: payments::recharge::Bounds::default(),
        look_every: std::time::Duration::from_secs(1),
    };
    let payments = Payments::new(settings, store.payments(), Arc::clone(clock), Arc::clone(&ids));
    let explain = ExplainSettings { recorded: Recorded::All, keep_days: 30 };
    let directory = DirectoryService::open(store.directory(), hasher()).unwrap();
    let gateway = gateway::Shared {
        directory: Arc::clone(directory.directory()),
        routes: gateway::Routes::default(),
        brought: Arc::default(),
        operator_keys: Arc::default(),
        rates: Arc::default(),
        tiers: gateway::Tiers::default(),
        pools: gateway::Pools::default(),
        retries: gateway::RetryBudget::new(gateway::RetryRules::default()),
        clock: Arc::clone(clock),
        ids: Arc::clone(&ids),
        tasks: Arc::new(RuntimeTasks::new(InFlight::default())),
        observer: Arc::new(Metrics::new(std::iter::empty())),
        recorder: Arc::new(Keeper::new(store.decisions(), Arc::clone(clock), explain)),
        settings: gateway::Settings::default(),
    };
    let environment = Environment::from([("MASTER", "0".repeat(64).as_str())]);
    let vault = Vault::open(MasterKeys(vec!["env:MASTER".to_owned()]), environment, Arc::clone(&ids));
    let tls = Client::tls().unwrap();
    let clients = Arc::new(move || Client::new(Timeouts::default(), &tls));
    let gateway = Arc::new(gateway);
    let keyring = Keyring::new(vault.unwrap(), Arc::clone(&gateway), clients);
    Arc::new(Admin {
        operator: hasher().hash(OPERATOR),
        hasher: hasher(),
        directory,
        gateway,
        ledger: store.ledger(),
        reader: store.reader(),
        payments: Arc::new(payments),
        keyring,
        clock: Arc::clone(clock),
        ids,
        user_pays: UserPays::new(consents::settings()),
        decisions: store.decisions(),
        explain,
        status: Box::new(|| Value::Null),
    })
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let store = Store::open(folder.path(), Durability::Process, Arc::clone(&clock)).unwrap();
        let admin = admin_of(&store, &clock);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (names, callers) = furnish(&admin.directory, &Mandate::operator(&SystemIds, clock.now()));
        let router = router(Arc::clone(&admin));
        Self { admin, router, runtime, names, callers, store, _folder: folder }
    }

    fn path(&self, route: &Route) -> String {
        let fill = |path: String, (name, id): &(&str, String)| path.replace(&format!("{{{name}}}"), id);
        self.names.iter().fold(route.path.to_owned(), fill)
    }

    fn name(&self, what: &str) -> &str {
        &self.names.iter().find(|(name, _)| *name == what).unwrap().1
    }

    /// A route with nothing in its body but what it is about.
    fn take(&self, route: &Route, key: Option<&str>) -> u16 {
        let about = if route.path == "/admin/v1/keys" {
            json!({ "project": self.name("project") })
        } else {
            json!({})
        };
        self.ask(route.verb.method().as_str(), &self.path(route), key, &about).0
    }

    fn ask(&self, method: &str, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = HttpRequest::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if key == Some(OPERATOR) {
            request = request.header("openai-organization", self.name("organization"));
        }
        self.send(request.body(Body::from(body.to_string())).unwrap())
    }

    /// The same of OpenRouter's API.
    fn ask_openrouter(&self, method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let mut request = HttpRequest::builder()
            .method(method)
            .uri(format!("/api/v1/{path}"))
            .header("authorization", format!("Bearer {key}"));
        if key == OPERATOR {
            request = request.header("openai-organization", self.name("organization"));
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let (status, body) = match crate::openrouter::receive(&self.admin, &head) {
            Ok(asked) => {
                let body = axum::body::Bytes::from(body.to_string());
                self.runtime.block_on(crate::openrouter::answer(&self.admin, asked, body))
            }
            Err(fault) => fault.into_answer(),
        };
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// What the audit log tells of a subject, the newest first.
    fn told(&self, subject: &str) -> Vec<Value> {
        let path = format!("/admin/v1/organizations/{}/audit?limit=100", self.name("organization"));
        let (status, page) = self.ask("GET", &path, Some(OPERATOR), &json!({}));
        assert_eq!(status, 200, "{page}");
        let lines = page["data"].as_array().unwrap().iter();
        lines.filter(|line| line["subject"] == subject).cloned().collect()
    }

    /// As the front door does.
    fn send(&self, request: HttpRequest<Body>) -> (u16, Value) {
        let (mut head, body) = request.into_parts();
        match self.admin.receive(&head) {
            Ok(Reception::Known(hand)) => drop(head.extensions.insert(*hand)),
            Ok(Reception::Open) => {}
            Err(refusal) => {
                let answer = Failure::from(refusal)
                    .into_response(dialect::Dialect::OpenAi, domain::RequestId::fresh(&SystemIds));
                return (answer.status().as_u16(), Value::Null);
            }
        }
        let request = HttpRequest::from_parts(head, body);
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        })
    }
}

fn organization(service: &DirectoryService, mandate: &Mandate<'_>) -> OrganizationId {
    let new = NewOrganization { name: "Tests".to_owned(), ..NewOrganization::default() };
    service.create_organization(new, mandate).unwrap().id
}

fn member(
    service: &DirectoryService,
    mandate: &Mandate<'_>,
    organization: OrganizationId,
    name: &str,
    role: OrganizationRole,
) -> (UserId, String) {
    let email = format!("{name}@example.com");
    let new = NewUser { organization, email, name: None, role };
    let user = service.add_user(new, mandate).unwrap().id;
    let new = NewAdminKey { organization, user, name: name.to_owned(), expires_at: None };
    (user, text(&service.create_admin_key(new, mandate).unwrap().secret))
}

fn text(secret: &Secret) -> String {
    secret.expose().to_owned()
}

fn furnish(service: &DirectoryService, mandate: &Mandate<'_>) -> (Vec<(&'static str, String)>, Callers) {
    let id = organization(service, mandate);
    let other = organization(service, mandate);
    let person = |name, role| member(service, mandate, id, name, role);
    let (_, owner) = person("owner", OrganizationRole::Owner);
    let (_, admin) = person("admin", OrganizationRole::Admin);
    let (_, reader) = person("reader", OrganizationRole::Reader);
    let (guest_id, guest) = person("guest", OrganizationRole::Reader);
    let (part_id, project_owner) = person("part", OrganizationRole::Reader);
    let (_, other_owner) = member(service, mandate, other, "other", OrganizationRole::Owner);
    let project = project_of(service, mandate, id);
    service.set_member(project, part_id, ProjectRole::Owner, mandate).unwrap();
    service.set_member(project, guest_id, ProjectRole::Member, mandate).unwrap();
    let account = service.create_service_account(project, "robot", mandate).unwrap().id;
    let owned = Some(KeyOwner::ServiceAccount(account));
    let new = NewKey { project, owner: owned, name: None, bounds: Bounds::default(), expires_at: None };
    let key = service.create_key(new, mandate).unwrap();
    let limit = NewLimit {
        organization: id,
        subject: LimitSubject::Project(Some(project)),
        model: "sim".to_owned(),
        caps: Caps { requests_per_minute: Some(1), ..Caps::default() },
    };
    let limit = service.set_limit(limit, mandate).unwrap().id;
    let provider_key = NewProviderKey {
        id: ProviderKeyId::from_bytes([1; 16]),
        organization: id,
        project: None,
        provider: "sim".to_owned(),
        label: "ours".to_owned(),
        last_four: "wxyz".to_owned(),
        fingerprint: KeyHash::from_bytes([1; 32]),
        sealed: Sealed::from_bytes(vec![1]),
        tested: false,
        test_failure: None,
    };
    let provider_key = service.bring_provider_key(provider_key, mandate).unwrap().id;
    let invite = NewInvite {
        organization: id,
        email: "new@example.com".to_owned(),
        role: OrganizationRole::Reader,
        projects: vec![InvitedTo { id: project, role: ProjectRole::Member }],
    };
    let invite = service.create_invite(invite, mandate).unwrap();
    let admin_key = service.directory().admin_keys(id).first().unwrap().id;
    let names = vec![
        ("organization", id.to_string()),
        ("project", project.to_string()),
        ("user", guest_id.to_string()),
        ("service_account", account.to_string()),
        ("key", key.key.id.to_string()),
        ("consent", consents::given(service, mandate, project, guest_id).to_string()),
        ("limit", limit.to_string()),
        ("rate_limit", limit.to_string()),
        ("provider_key", provider_key.to_string()),
        ("invite", invite.invite.id.to_string()),
        ("admin_key", admin_key.to_string()),
        ("id", "unknown".to_owned()),
    ];
    let (model_key, invite_token) = (text(&key.secret), text(&invite.token));
    (names, Callers { model_key, invite_token, other_owner, owner, admin, reader, project_owner, guest })
}

fn project_of(service: &DirectoryService, mandate: &Mandate<'_>, organization: OrganizationId) -> ProjectId {
    let (environment, data_class) = Default::default();
    let new = NewProject {
        organization,
        name: "tests".to_owned(),
        environment,
        data_class,
        after_grant: directory::AfterGrant::default(),
    };
    service.create_project(new, mandate).unwrap().id
}

/// What each role may, written down again.
fn may(role: &str, access: Access) -> bool {
    use Permission as P;
    let permission = match access {
        Access::Open => return true,
        Access::Operator => return role == "operator",
        // The request is made up.
        Access::OfRequest => return true,
        // The key of the house is a service account's, so it takes a right to its project.
        Access::OfKey => P::ManageProject,
        // The consent of the house is the guest's, who is none of the roles.
        Access::OfConsent => P::ManageConsents,
        Access::May(permission) => permission,
    };
    match role {
        "operator" | "owner" => true,
        "admin" => !matches!(permission, P::ManagePeople | P::ManageAdminKeys | P::ShareData),
        "project owner" => matches!(permission, P::Read | P::ManageProject | P::OwnKeys),
        "reader" => permission == P::Read,
        _ => false,
    }
}

/// Done, or understood and found wanting: the body is empty on purpose, `{id}` and `{programme}` are made up, and no spend limit is set.
fn is_let_in(status: u16, route: &Route) -> bool {
    let is_made_up = route.path.contains("{id}")
        || route.path.contains("{programme}")
        || route.path.ends_with("spend_limit");
    matches!(status, 200 | 201 | 400) || (status == 404 && is_made_up)
}

#[test]
fn every_route_is_for_those_it_is_for() {
    let mut house = House::new();
    for route in routes() {
        let callers = &house.callers;
        let told =
            |who: &str, status: u16| format!("{} {} by {who}: {status}", route.verb.method(), route.path);
        if route.access == Access::Open {
            let status = house.take(route, None);
            assert_eq!(status, 400, "{}", told("nobody", status));
            continue;
        }
        for (who, key) in [
            ("nobody", None),
            ("a key for models", Some(callers.model_key.as_str())),
            ("an invitation's token", Some(callers.invite_token.as_str())),
            ("a stranger", Some("sk-somebody-elses-key")),
        ] {
            let status = house.take(route, key);
            assert_eq!(status, 401, "{}", told(who, status));
        }
        let status = house.take(route, Some(&callers.other_owner));
        let names_something = route.path.contains('{') || route.path == "/admin/v1/keys";
        match route.access {
            Access::Operator => assert_eq!(status, 403, "{}", told("another's owner", status)),
            Access::OfRequest => assert!(is_let_in(status, route), "{}", told("another's owner", status)),
            Access::Open | Access::May(_) | Access::OfKey | Access::OfConsent if names_something => {
                assert_eq!(status, 404, "{}", told("another's owner", status));
            }
            // Their own organization is what such a route is about.
            Access::Open | Access::May(_) | Access::OfKey | Access::OfConsent => {
                assert!(is_let_in(status, route), "{}", told("another's owner", status));
            }
        }
        for role in ["reader", "project owner", "admin", "owner", "operator"] {
            let status = house.take(route, Some(house.callers.of(role)));
            if may(role, route.access) {
                assert!(is_let_in(status, route), "{}", told(role, status));
            } else {
                assert_eq!(status, 403, "{}", told(role, status));
            }
            if route.verb != Verb::Get && matches!(status, 200 | 201) {
                // What was done may have taken something from whoever comes next.
                house = House::new();
            }
        }
    }
}

#[test]
fn an_unknown_id_and_another_organizations_look_alike() {
    let house = House::new();
    let unlike = |id: &str| {
        let (head, last) = id.split_at(id.len() - 1);
        format!("{head}{}", if last == "0" { "1" } else { "0" })
    };
    for route in routes().filter(|route| route.path.contains('{') && route.access != Access::Operator) {
        let path = house.path(route);
        let (status, theirs) =
            house.ask(route.verb.method().as_str(), &path, Some(&house.callers.other_owner), &json!({}));
        let mut message = theirs["error"]["message"].as_str().unwrap_or_default().to_owned();
        let mut made_up = path.clone();
        for (name, id) in house.names.iter().filter(|(name, _)| *name != "id") {
            if route.path.contains(&format!("{{{name}}}")) {
                made_up = made_up.replace(id.as_str(), &unlike(id));
                message = message.replace(id.as_str(), &unlike(id));
            }
        }
        let (unknown_status, unknown) =
            house.ask(route.verb.method().as_str(), &made_up, Some(&house.callers.other_owner), &json!({}));
        assert_eq!(status, unknown_status, "{path}");
        assert_eq!(Some(message.as_str()), unknown["error"]["message"].as_str(), "{path}");
    }
}

#[test]
fn the_operator_names_an_organization_and_a_member_no_other() {
    let house = House::new();
    let ask = |key: &str, named: Option<&str>| {
        let mut request = HttpRequest::builder()
            .uri("/v1/organization/projects")
            .header("authorization", format!("Bearer {key}"));
        if let Some(named) = named {
            request = request.header("openai-organization", named);
        }
        house.send(request.body(Body::empty()).unwrap())
    };
    let id = house.name("organization");
    let (status, body) = ask(OPERATOR, None);
    assert_eq!((status, &body["error"]["param"]), (400, &json!("OpenAI-Organization")));
    assert_eq!(ask(OPERATOR, Some("org_nonsense")).0, 404);
    assert_eq!(ask(OPERATOR, Some(id)).0, 200);
    assert_eq!(ask(&house.callers.owner, Some(id)).0, 200);
    assert_eq!(ask(&house.callers.owner, None).0, 200);
    assert_eq!(ask(&house.callers.other_owner, Some(id)).0, 403);
    assert_eq!(ask(&house.callers.owner, Some("org_nonsense")).0, 403);
}

#[test]
fn roles_bound_what_is_in_a_body_too() {
    let house = House::new();
    let ask = |key: &str, path: &str, body: Value| house.ask("POST", path, Some(key), &body).0;
    let (admin, owner, part) = (&house.callers.admin, &house.callers.owner, &house.callers.project_owner);
    for (role, by_admin) in [("reader", 200), ("admin", 403), ("owner", 403)] {
        let invite = |n: &str| json!({ "email": format!("{role}-{n}@example.com"), "role": role });
        assert_eq!(ask(admin, "/v1/organization/invites", invite("a")), by_admin, "{role}");
        assert_eq!(ask(owner, "/v1/organization/invites", invite("o")), 200, "{role}");
    }
    let project = house.name("project").to_owned();
    let path = format!("/admin/v1/projects/{project}");
    let patch = |key: &str, body: Value| house.ask("PATCH", &path, Some(key), &body).0;
    assert_eq!(patch(part, json!({ "name": "ours" })), 200);
    assert_eq!(patch(part, json!({ "data_class": "public" })), 403);
    assert_eq!(patch(admin, json!({ "data_class": "public" })), 200);
    // A key of one's own, and one of somebody else's.
    assert_eq!(ask(part, "/admin/v1/keys", json!({ "project": project, "name": "mine" })), 201);
    assert_eq!(ask(&house.callers.reader, "/admin/v1/keys", json!({ "project": project })), 403);
    // Nobody gets a secret by which to call in somebody else's name; a service account is nobody's.
    let owned = |owner: &str| json!({ "project": project, "owner": house.name(owner) });
    assert_eq!(ask(owner, "/admin/v1/keys", owned("user")), 400);
    assert_eq!(ask(owner, "/admin/v1/keys", owned("service_account")), 201);
    assert_eq!(ask(&house.callers.reader, "/admin/v1/keys", owned("service_account")), 403);
    let (status, key) = house.ask("POST", "/admin/v1/keys", Some(OPERATOR), &owned("user"));
    assert_eq!(status, 201, "{key}");
    assert_eq!(ask(owner, &format!("/admin/v1/keys/{}/rotate", key["id"].as_str().unwrap()), json!({})), 400);
    let named = json!({ "name": "x", "user": house.name("user") });
    let keys = format!("/admin/v1/organizations/{}/admin-keys", house.name("organization"));
    assert_eq!(ask(owner, &keys, named.clone()), 400);
    assert_eq!(ask(OPERATOR, &keys, named), 201);
}

#[test]
fn pages_end_where_they_should() {
    let house = House::new();
    let mandate = Mandate::operator(&SystemIds, house.admin.clock.now());
    let id: OrganizationId = house.name("organization").parse().unwrap();
    for _ in 0..4 {
        project_of(&house.admin.directory, &mandate, id);
    }
    let list = |query: &str| {
        let path = format!("/v1/organization/projects?{query}");
        house.ask("GET", &path, Some(&house.callers.reader), &json!({}))
    };
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let (status, page) = list(&format!("limit=2{after}"));
        assert_eq!(status, 200, "{page}");
        let data = page["data"].as_array().unwrap();
        assert_eq!((&page["first_id"], &page["last_id"]), (&data[0]["id"], &data[data.len() - 1]["id"]));
        seen.extend(data.iter().map(|project| project["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted());
    let (_, empty) = list(&format!("after={}", seen[4]));
    assert_eq!(
        empty,
        json!({ "object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false })
    );
    for bad in ["after=nonsense", "limit=0", "limit=101", "limit=x", "nonsense=1", "include_archived=maybe"] {
        let (status, body) = list(bad);
        let field = bad.split('=').next().unwrap();
        assert_eq!((status, &body["error"]["param"]), (400, &json!(field)), "{body}");
    }
}
