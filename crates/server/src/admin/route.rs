//! A route of the administration: what it is called, who may take it, and what it does, in one line of a table.
//!
//! The router, the tests of who may do what and the description in OpenAPI are all made from the tables, so a route that
//! is in none cannot exist. What a route is about (an organization, a project, a key) is found here, and whether it may
//! be done is asked here; a handler gets both settled.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::{FromRequest, RawPathParams, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use directory::{Administrator, Key, KeyOwner, Permission, Project, Tenant};
use domain::{KeyId, OrganizationId, ProjectId, RequestId, UserId};

use super::access::{Hand, not_allowed, operator_only};
use super::input::{blocking, shown};
use super::query::Query;
use super::{Admin, Answered, Problem};

/// Every method that a route has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Who may take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever brings its credential in the body.
    Open,
    /// The operator alone.
    Operator,
    /// The operator, and members whose roles have this permission.
    May(Permission),
    /// The operator, members who manage the key's project, and the member whose own key it is.
    OfKey,
    /// The operator, members who manage others' consents, and the member whose own consent it is.
    OfConsent,
    /// The operator, and members who see the organization whose request it is; a handler finds out whose it is.
    OfRequest,
}

/// Where the project of a call is named, if not in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the path, and the organization there or by the credential.
    Path,
    /// In the member `project` of the body.
    Body,
}

/// What a route does.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Something that blocks on the store.
    Blocking(fn(&Call) -> Answered),
    /// Something that waits, for the ledger.
    Waiting(fn(Call) -> Pin<Box<dyn Future<Output = Answered> + Send>>),
    /// Something that finds out by itself what it is about, and asks whether it may if it is not the operator's.
    Own(fn() -> MethodRouter<Arc<Admin>>),
}

/// One route.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) summary: &'static str,
    /// Names of the query's parameters; one that ends with `[]` is a list.
    pub(crate) query: &'static [&'static str],
    /// The body's members, each `name: type` with a `!` behind a name that must be there; see `openapi.rs`.
    pub(crate) takes: &'static [&'static str],
    place: Place,
    work: Work,
}

/// A call whose organization is known and whose caller may make it.
pub(crate) struct Call {
    pub(crate) admin: Arc<Admin>,
    pub(crate) hand: Hand,
    /// The organization it is about.
    pub(crate) tenant: Arc<Tenant>,
    /// The query.
    pub(crate) query: Query,
    /// The body.
    pub(crate) body: Bytes,
    project: Option<Arc<Project>>,
    key: Option<Arc<Key>>,
    path: HashMap<String, String>,
}

impl Route {
    /// A route that blocks on the store.
    pub(crate) const fn new(
        verb: Verb,
        path: &'static str,
        access: Access,
        summary: &'static str,
        work: fn(&Call) -> Answered,
    ) -> Self {
        Self::with(verb, path, access, summary, Work::Blocking(work))
    }

    /// A route of the operator's alone.
    pub(crate) const fn own(
        verb: Verb,
        path: &'static str,
        summary: &'static str,
        work: fn() -> MethodRouter<Arc<Admin>>,
    ) -> Self {
        Self::with(verb, path, Access::Operator, summary, Work::Own(work))
    }

    /// A route that does its work in some way.
    pub(crate) const fn with(
        verb: Verb,
        path: &'static str,
        access: Access,
        summary: &'static str,
        work: Work,
    ) -> Self {
        Self { verb, path, access, summary, query: &[], takes: &[], place: Place::Path, work }
    }

    /// The same with parameters of the query.
    pub(crate) const fn query(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }

    /// The same with a body.
    pub(crate) const fn takes(mut self, takes: &'static [&'static str]) -> Self {
        self.takes = takes;
        self
    }

    /// The same about the project that the body names.
    pub(crate) const fn about_body(mut self) -> Self {
        self.place = Place::Body;
        self
    }

    /// Adds it to a router.
    pub(crate) fn join(&'static self, router: Router<Arc<Admin>>, admin: &Arc<Admin>) -> Router<Arc<Admin>> {
        let admin = Arc::clone(admin);
        let taken = match self.work {
            Work::Own(make) => {
                make().layer(axum::middleware::from_fn(move |request: Request, next: Next| {
                    guard(self.access, request, next)
                }))
            }
            Work::Blocking(_) | Work::Waiting(_) => on(self.verb.filter(), move |request: Request| {
                let admin = Arc::clone(&admin);
                async move {
                    let id = request.extensions().get::<RequestId>().copied();
                    self.answer(admin, request).await.unwrap_or_else(|problem| problem.of(id).into_response())
                }
            }),
        };
        router.route(self.path, taken)
    }

    async fn answer(&self, admin: Arc<Admin>, request: Request) -> Answered {
        let (mut head, body) = request.into_parts();
        let hand = head.extensions.remove::<Hand>().ok_or_else(|| Problem::refused(&operator_only()))?;
        let path = path_of(&mut head).await?;
        let query = Query::read(head.uri.query().unwrap_or_default(), |name| self.knows(name))?;
        let body = Bytes::from_request(Request::from_parts(head, body), &()).await;
        let body =
            body.map_err(|error| Problem::field("body", format!("The body cannot be read: {error}.")))?;
        let call = self.admit(admin, hand, path, query, body)?;
        match self.work {
            Work::Blocking(work) => blocking(move || work(&call)).await,
            Work::Waiting(work) => work(call).await,
            Work::Own(_) => Err(Problem::internal(&"a route was taken in two ways")),
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.query.iter().any(|known| known.strip_suffix("[]").unwrap_or(known) == name)
    }

    /// Finds what the call is about and asks whether it may be made: first whose organization, then the role, then
    /// whether the rest exists, so that nobody without the role learns what does.
    fn admit(
        &self,
        admin: Arc<Admin>,
        hand: Hand,
        path: HashMap<String, String>,
        query: Query,
        body: Bytes,
    ) -> Result<Call, Problem> {
        let named = Named::of(self, &path, &body)?;
        let tenant = named.tenant(&admin, &hand, self.path)?;
        let organization = tenant.organization.id;
        let project = named.project.as_deref().and_then(|text| text.parse().ok());
        let found = project.and_then(|id| tenant.project(id)).cloned();
        let key = named.key.as_deref().and_then(|text| text.parse().ok());
        let key = key.and_then(|id| admin.directory.directory().key(id)).filter(|key| {
            key.organization == organization && found.as_ref().is_none_or(|found| found.id == key.project)
        });
        let place = project.or_else(|| key.as_ref().map(|key| key.project));
        let consent =
            path.get("consent").and_then(|text| text.parse().ok()).and_then(|id| tenant.consent(id));
        if let Some(permission) = self.needed(&hand, key.as_deref(), consent.map(|consent| consent.user))
            && !hand.by.may(permission, organization, place)
        {
            return Err(Problem::refused(&not_allowed(&hand.by, permission)));
        }
        if let Some(text) = named.project.as_deref().filter(|_| found.is_none()) {
            return Err(Problem::unknown("project", text));
        }
        if let Some(text) = named.key.as_deref().filter(|_| key.is_none()) {
            return Err(Problem::unknown("key", text));
        }
        Ok(Call { admin, hand, tenant, query, body, project: found, key, path })
    }

    /// The permission that a member needs; `None` where there is nothing to ask a member for.
    fn needed(&self, hand: &Hand, key: Option<&Key>, consenting: Option<UserId>) -> Option<Permission> {
        match (self.access, &hand.by) {
            (Access::May(permission), _) => Some(permission),
            (Access::OfKey, Administrator::Member { user, .. })
                if key.is_some_and(|key| key.owner == KeyOwner::User(user.id)) =>
            {
                Some(Permission::OwnKeys)
            }
            (Access::OfKey, _) => Some(Permission::ManageProject),
            // Also of somebody who has no part in the project any more.
            (Access::OfConsent, Administrator::Member { user, .. }) if consenting == Some(user.id) => {
                Some(Permission::Read)
            }
            (Access::OfConsent, _) => Some(Permission::ManageConsents),
            (Access::Open | Access::Operator | Access::OfRequest, _) => None,
        }
    }
}

/// What a call names, as it is written.
struct Named {
    organization: Option<String>,
    project: Option<String>,
    key: Option<String>,
}

impl Named {
    fn of(route: &Route, path: &HashMap<String, String>, body: &[u8]) -> Result<Self, Problem> {
        let project = match route.place {
            Place::Path => path.get("project").cloned(),
            Place::Body => Some(project_in(body)?),
        };
        Ok(Self { organization: path.get("organization").cloned(), project, key: path.get("key").cloned() })
    }

    /// The organization. That of somebody else is as unknown as one that does not exist.
    fn tenant(&self, admin: &Admin, hand: &Hand, path: &str) -> Result<Arc<Tenant>, Problem> {
        let directory = admin.directory.directory();
        let of_member = hand.by.organization();
        let (id, unknown): (Option<OrganizationId>, _) = if let Some(text) = &self.organization {
            (text.parse().ok(), Problem::unknown("organization", text))
        } else if path.starts_with("/v1/") {
            match (of_member, &hand.named) {
                (Some(own), _) => (Some(own), Problem::unknown("organization", &own.to_string())),
                (None, Some(text)) => (text.parse().ok(), Problem::unknown("OpenAI-Organization", text)),
                (None, None) => return Err(unnamed()),
            }
        } else if let Some(text) = &self.project {
            let project = text.parse::<ProjectId>().ok().and_then(|id| directory.project(id));
            (project.map(|project| project.organization), Problem::unknown("project", text))
        } else if let Some(text) = &self.key {
            let key = text.parse::<KeyId>().ok().and_then(|id| directory.key(id));
            (key.map(|key| key.organization), Problem::unknown("key", text))
        } else {
            return Err(Problem::internal(&"a route names no organization"));
        };
        let id = id.filter(|id| of_member.is_none_or(|own| own == *id));
        id.and_then(|id| directory.tenant(id)).ok_or(unknown)
    }
}

/// The operator's key is for all organizations, so a call of OpenAI's has to name one.
fn unnamed() -> Problem {
    Problem::field(
        "OpenAI-Organization",
        "`OpenAI-Organization` is missing: the operator's key is for every organization, so set this header to the one \
         that is meant, such as org_… (most clients read OPENAI_ORG_ID).",
    )
}

/// The project that a body names, before anything else of it is looked at.
fn project_in(body: &[u8]) -> Result<String, Problem> {
    #[derive(serde::Deserialize)]
    struct About {
        project: String,
    }
    let About { project } = super::input::parse(body)?;
    super::input::field::<ProjectId>("project", &project)?;
    Ok(project)
}

async fn path_of(head: &mut axum::http::request::Parts) -> Result<HashMap<String, String>, Problem> {
    // A path that is no UTF-8 when it is decoded names nothing that there is.
    let params = RawPathParams::from_request_parts(head, &()).await;
    let params = params.map_err(|_| Problem::unknown("path", head.uri.path()))?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Lets the operator alone to what finds out by itself what it is about; whoever administers to what is of a request,
/// and anybody to what is open.
async fn guard(access: Access, request: Request, next: Next) -> Response {
    let hand = request.extensions().get::<Hand>();
    let is_let_in = match access {
        Access::Open => true,
        Access::OfRequest => hand.is_some(),
        Access::Operator | Access::May(_) | Access::OfKey | Access::OfConsent => {
            hand.is_some_and(|hand| matches!(hand.by, Administrator::Operator))
        }
    };
    if is_let_in {
        return next.run(request).await;
    }
    Problem::refused(&operator_only()).of(request.extensions().get().copied()).into_response()
}

impl Verb {
    /// As HTTP knows it.
    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

impl Call {
    /// The project it is about, which exists.
    pub(crate) fn project(&self) -> Result<&Arc<Project>, Problem> {
        self.project.as_ref().ok_or_else(|| Problem::internal(&"a route names no project"))
    }

    /// The project, where a route may be about one or about the organization.
    pub(crate) const fn named_project(&self) -> Option<&Arc<Project>> {
        self.project.as_ref()
    }

    /// The key it is about, which exists.
    pub(crate) fn key(&self) -> Result<&Arc<Key>, Problem> {
        self.key.as_ref().ok_or_else(|| Problem::internal(&"a route names no key"))
    }

    /// Another part of the path, as it is written.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// Another part of the path as an id. What is none names nothing that there is.
    pub(crate) fn id<T: std::str::FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.text(name).parse().map_err(|_| self.unknown(name))
    }

    /// That nothing is known under this part of the path.
    pub(crate) fn unknown(&self, name: &str) -> Problem {
        Problem::unknown(name, self.text(name))
    }

    /// Whether this may be done beyond what the route asks for.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Problem> {
        let of_key = || self.key.as_ref().map(|key| key.project);
        let project = self.project.as_ref().map(|project| project.id).or_else(of_key);
        if self.hand.by.may(permission, self.tenant.organization.id, project) {
            return Ok(());
        }
        Err(Problem::refused(&not_allowed(&self.hand.by, permission)))
    }

    /// The body's members. One that is `null` says as much as one that is missing, as OpenAI's clients mean it.
    pub(crate) fn members<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        let mut value: serde_json::Value = super::input::parse(body)?;
        if let Some(members) = value.as_object_mut() {
            members.retain(|_, member| !member.is_null());
        }
        super::input::parse(value.to_string().as_bytes())
    }
}

impl Problem {
    /// Nothing is known by this name, or nothing that the caller may know of.
    pub(crate) fn unknown(what: &str, text: &str) -> Self {
        Self::not_found(what, format!("{} `{}` here", what.replace('_', " "), shown(text)))
    }
}
