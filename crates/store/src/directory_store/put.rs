//! Records as rows: one that is new is inserted, one that is there becomes what it is told to be, but for what never
//! changes.

use directory::{
    AdminKey, Consent, Invite, Key, KeyOwner, Member, Organization, Project, ProviderKey, RateLimit, Record,
    ServiceAccount, User,
};
use domain::{ConsentId, KeyId, ProjectId, Timestamp, UserId};
use rusqlite::{Connection, ToSql};

use crate::columns::{count, to_json};

/// A column's value.
type Column<'a> = (&'static str, &'a dyn ToSql);

/// A table, and the columns by which a row is found.
struct Table {
    name: &'static str,
    key: &'static str,
}

pub(super) fn put(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::Organization(organization) => put_organization(connection, organization),
        Record::Project(project) => put_project(connection, project),
        Record::User(user) => put_user(connection, user),
        Record::Member(member) => put_member(connection, member),
        Record::ServiceAccount(account) => put_service_account(connection, account),
        Record::Consent(consent) => put_consent(connection, consent),
        Record::Key(key) => put_key(connection, key),
        Record::AdminKey(key) => put_admin_key(connection, key),
        Record::Invite(invite) => put_invite(connection, invite),
        Record::Limit(limit) => put_limit(connection, limit),
        Record::ProviderKey(key) => put_provider_key(connection, key),
    }
}

/// `fixed` columns are written once, `changing` ones each time.
fn upsert(
    connection: &Connection,
    table: &Table,
    fixed: &[Column<'_>],
    changing: &[Column<'_>],
) -> rusqlite::Result<()> {
    let names: Vec<&str> = fixed.iter().chain(changing).map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=names.len()).map(|place| format!("?{place}")).collect();
    let sets: Vec<String> = changing.iter().map(|(name, _)| format!("{name} = excluded.{name}")).collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
        table.name,
        names.join(", "),
        places.join(", "),
        table.key,
        sets.join(", ")
    );
    let values: Vec<&dyn ToSql> = fixed.iter().chain(changing).map(|(_, value)| *value).collect();
    connection.prepare_cached(&sql)?.execute(values.as_slice()).map(drop)
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::micros)
}

fn put_organization(connection: &Connection, organization: &Organization) -> rusqlite::Result<()> {
    upsert(
        connection,
        &Table { name: "organization", key: "id" },
        &[
            ("id", organization.id.as_bytes()),
            ("wallet", organization.wallet.as_bytes()),
            ("created_at", &organization.created_at.micros()),
        ],
        &[
            ("name", &organization.name),
            ("time_zone", &organization.time_zone.to_string()),
            ("in_flight", &organization.in_flight.as_str()),
            ("country", &organization.country.map(|country| country.to_string())),
            ("verified_at", &micros(organization.verified_at)),
            ("tier", &organization.tier),
            ("programmes", &to_json(&organization.programmes)),
        ],
    )
}

fn put_project(connection: &Connection, project: &Project) -> rusqlite::Result<()> {
    upsert(
        connection,
        &Table { name: "project", key: "organization, id" },
        &[
            ("organization", project.organization.as_bytes()),
            ("id", project.id.as_bytes()),
            ("created_at", &project.created_at.micros()),
        ],
        &[
            ("name", &project.name),
            ("environment", &project.environment.as_str()),
            ("data_class", &project.data_class.as_str()),
            ("after_grant", &project.after_grant.as_str()),
            ("models", &project.models.as_ref().map(to_json)),
            ("byok", &project.byok.as_str()),
            ("byok_fallback", &project.byok_fallback),
            ("archived_at", &micros(project.archived_at)),
        ],
    )
}

fn put_user(connection: &Connection, user: &User) -> rusqlite::Result<()> {
    upsert(
        connection,
        &Table { name: "user", key: "organization, id" },
        &[
            ("organization", user.organization.as_bytes()),
            ("id", user.id.as_bytes()),
            ("added_at", &user.added_at.micros()),
        ],
        &[
            ("email", &user.email),
            ("name", &user.name),
            ("role", &user.role.as_str()),
            ("removed_at", &micros(user.removed_at)),
        ],
    )
}

fn put_member(connection: &Connection, member: &Member) -> rusqlite::Result<()> {
    upsert(
        connection,
        &Table { name: "member", key: "organization, project, user" },
        &[
            ("organization", member.organization.as_bytes()),
            ("project", member.project.as_bytes()),
            ("user", member.user.as_bytes()),
            ("added_at", &member.added_at.micros()),
        ],
        &[("role", &member.role.as_str())],
    )
}

fn put_service_account(connection: &Connection, account: &ServiceAccount) -> rusqlite::Result<()> {
    upsert(
        connection,
        &Table { name: "service_account", key: "organization, project, id" },
        &[
            ("organization", account.organization.as_bytes()),
            ("project", account.project.as_bytes()),
            ("id", account.id.as_bytes()),
            ("created_at", &account.created_at.micros()),
        ],
        &[("name", &account.name), ("removed_at", &micros(account.removed_at))],
    )
}

fn put_consent(connection: &Connection, consent: &Consent) -> rusqlite::Result<()> {
    let revoked = consent.revoked.as_ref();
    upsert(
        connection,
        &Table { name: "consent", key: "organization, project, id" },
        &[
            ("organization", consent.organization.as_bytes()),
            ("project", consent.project.as_bytes()),
            ("id", consent.id.as_bytes()),
            ("user", consent.user.as_bytes()),
            ("app_origin", &consent.app.origin),
            ("app_name", &consent.app.name),
            ("spend_limit", &consent.limit.nano()),
            ("limit_reset", &consent.reset.as_str()),
            ("models", &consent.models.as_ref().map(to_json)),
            ("given_at", &consent.given_at.micros()),
            ("fetch_until", &consent.fetch_until.micros()),
            ("expires_at", &consent.expires_at.micros()),
        ],
        &[
            ("key", &consent.key.as_ref().map(KeyId::as_bytes)),
            ("revoked_at", &revoked.map(|revoked| revoked.at.micros())),
            ("revoked_by", &revoked.map(|revoked| to_json(&revoked.by))),
        ],
    )
}

fn put_key(connection: &Connection, key: &Key) -> rusqlite::Result<()> {
    let (user, account) = match &key.owner {
        KeyOwner::User(user) => (Some(user.as_bytes()), None),
        KeyOwner::ServiceAccount(account) => (None, Some(account.as_bytes())),
    };
    let previous = key.previous.as_ref();
    upsert(
        connection,
        &Table { name: "key", key: "organization, project, id" },
        &[
            ("organization", key.organization.as_bytes()),
            ("project", key.project.as_bytes()),
            ("id", key.id.as_bytes()),
            ("user", &user),
            ("service_account", &account),
            ("consent", &key.consent.as_ref().map(ConsentId::as_bytes)),
            ("created_at", &key.created_at.micros()),
        ],
        &[
            ("name", &key.name),
            ("hash", key.hash.as_bytes()),
            ("redacted", &key.redacted),
            ("previous_hash", &previous.map(|previous| previous.hash.as_bytes())),
            ("previous_redacted", &previous.map(|previous| &previous.redacted)),
            ("previous_until", &previous.map(|previous| previous.until.micros())),
            ("bounds", &to_json(&key.bounds)),
            ("expires_at", &micros(key.expires_at)),
            ("disabled_at", &micros(key.disabled_at)),
            ("revoked_at", &micros(key.revoked_at)),
        ],
    )
}

fn put_admin_key(connection: &Connection, key: &AdminKey) -> rusqlite::Result<()> {
    upsert(
        connection,
        &Table { name: "admin_key", key: "organization, id" },
        &[
            ("organization", key.organization.as_bytes()),
            ("id", key.id.as_bytes()),
            ("user", key.user.as_bytes()),
            ("hash", key.hash.as_bytes()),
            ("redacted", &key.redacted),
            ("created_at", &key.created_at.micros()),
        ],
        &[
            ("name", &key.name),
            ("expires_at", &micros(key.expires_at)),
            ("revoked_at", &micros(key.revoked_at)),
        ],
    )
}

fn put_invite(connection: &Connection, invite: &Invite) -> rusqlite::Result<()> {
    upsert(
        connection,
        &Table { name: "invite", key: "organization, id" },
        &[
            ("organization", invite.organization.as_bytes()),
            ("id", invite.id.as_bytes()),
            ("email", &invite.email),
            ("role", &invite.role.as_str()),
            ("projects", &to_json(&invite.projects)),
            ("invited_by", &invite.invited_by.as_ref().map(UserId::as_bytes)),
            ("token", invite.token.as_bytes()),
            ("created_at", &invite.created_at.micros()),
            ("expires_at", &invite.expires_at.micros()),
        ],
        &[("accepted_at", &micros(invite.accepted_at)), ("withdrawn_at", &micros(invite.withdrawn_at))],
    )
}

fn put_limit(connection: &Connection, limit: &RateLimit) -> rusqlite::Result<()> {
    let caps = &limit.caps;
    upsert(
        connection,
        &Table { name: "rate_limit", key: "organization, id" },
        &[
            ("organization", limit.organization.as_bytes()),
            ("id", limit.id.as_bytes()),
            ("subject", &to_json(&limit.subject)),
            ("model", &limit.model),
        ],
        &[
            ("requests_per_minute", &caps.requests_per_minute.map(count)),
            ("tokens_per_minute", &caps.tokens_per_minute.map(count)),
            ("input_tokens_per_minute", &caps.input_tokens_per_minute.map(count)),
            ("output_tokens_per_minute", &caps.output_tokens_per_minute.map(count)),
            ("images_per_minute", &caps.images_per_minute.map(count)),
            ("requests_per_day", &caps.requests_per_day.map(count)),
            ("tokens_per_day", &caps.tokens_per_day.map(count)),
            ("concurrent_requests", &caps.concurrent_requests.map(count)),
        ],
    )
}

fn put_provider_key(connection: &Connection, key: &ProviderKey) -> rusqlite::Result<()> {
    upsert(
        connection,
        &Table { name: "provider_key", key: "organization, id" },
        &[
            ("organization", key.organization.as_bytes()),
            ("id", key.id.as_bytes()),
            ("project", &key.project.as_ref().map(ProjectId::as_bytes)),
            ("provider", &key.provider),
            ("last_four", &key.last_four),
            ("fingerprint", key.fingerprint.as_bytes()),
            ("brought_by", &key.brought_by.as_ref().map(UserId::as_bytes)),
            ("created_at", &key.created_at.micros()),
        ],
        &[
            ("label", &key.label),
            ("sealed", &key.sealed.as_bytes()),
            ("disabled_at", &micros(key.disabled_at)),
            ("tested_at", &micros(key.tested_at)),
            ("test_failure", &key.test_failure),
        ],
    )
}
