//! Rows as records: everything a directory holds.

use std::str::FromStr;

use directory::{
    AdminKey, App, Caps, Consent, Contents, Invite, Key, KeyHash, KeyOwner, Member, Organization, Previous,
    Project, ProviderKey, RateLimit, Revocation, Sealed, ServiceAccount, User,
};
use domain::{
    AdminKeyId, ConsentId, InviteId, KeyId, LimitId, Money, OrganizationId, ProjectId, ProviderKeyId,
    ServiceAccountId, Timestamp, UserId, WalletId,
};
use rusqlite::{Connection, Row};

use crate::StoreError;
use crate::columns::from_json;

/// Everything stored.
pub(crate) fn load(connection: &Connection) -> Result<Contents, StoreError> {
    Ok(Contents {
        organizations: collect(
            connection,
            "SELECT id, name, wallet, time_zone, in_flight, country, verified_at, tier, created_at, programmes
             FROM organization",
            organization,
        )?,
        projects: collect(
            connection,
            "SELECT organization, id, name, environment, data_class, models, created_at, archived_at, after_grant, byok,
               byok_fallback
             FROM project",
            project,
        )?,
        users: collect(
            connection,
            "SELECT organization, id, email, name, role, added_at, removed_at FROM user",
            user,
        )?,
        members: collect(connection, "SELECT organization, project, user, role, added_at FROM member", member)?,
        service_accounts: collect(
            connection,
            "SELECT organization, project, id, name, created_at, removed_at FROM service_account",
            service_account,
        )?,
        consents: collect(
            connection,
            "SELECT organization, project, id, user, app_origin, app_name, spend_limit, limit_reset, models, given_at,
                    fetch_until, expires_at, key, revoked_at, revoked_by FROM consent",
            consent,
        )?,
        keys: collect(
            connection,
            "SELECT organization, project, id, user, service_account, name, hash, redacted, previous_hash,
                    previous_redacted, previous_until, bounds, created_at, expires_at, disabled_at, revoked_at,
                    consent FROM key",
            key,
        )?,
        admin_keys: collect(
            connection,
            "SELECT organization, id, user, name, hash, redacted, created_at, expires_at, revoked_at FROM admin_key",
            admin_key,
        )?,
        invites: collect(
            connection,
            "SELECT organization, id, email, role, projects, token, created_at, expires_at, accepted_at, withdrawn_at,
                    invited_by FROM invite",
            invite,
        )?,
        limits: collect(
            connection,
            "SELECT organization, id, subject, model, requests_per_minute, tokens_per_minute, input_tokens_per_minute,
                    output_tokens_per_minute, images_per_minute, requests_per_day, tokens_per_day, concurrent_requests
               FROM rate_limit",
            limit,
        )?,
        provider_keys: provider_keys(connection)?,
        uses: collect(connection, "SELECT id, at FROM key_use", |row| {
            Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?)))
        })?,
    })
}

/// The provider keys that organizations brought.
pub(crate) fn provider_keys(connection: &Connection) -> Result<Vec<ProviderKey>, StoreError> {
    collect(
        connection,
        "SELECT organization, id, project, provider, label, last_four, fingerprint, sealed, brought_by, created_at,
                disabled_at, tested_at, test_failure FROM provider_key",
        provider_key,
    )
}

fn organization(row: &Row<'_>) -> Result<Organization, StoreError> {
    let country = row.get::<_, Option<String>>(5)?.map(|text| text.parse());
    Ok(Organization {
        id: OrganizationId::from_bytes(row.get(0)?),
        name: row.get(1)?,
        wallet: WalletId::from_bytes(row.get(2)?),
        time_zone: word(row, 3, "organization.time_zone")?,
        in_flight: word(row, 4, "organization.in_flight")?,
        country: country.transpose().map_err(|_| StoreError::Unreadable("organization.country"))?,
        verified_at: moment(row, 6)?,
        tier: row.get(7)?,
        created_at: Timestamp::from_micros(row.get(8)?),
        programmes: from_json(&row.get::<_, String>(9)?, "organization.programmes")?,
    })
}

fn project(row: &Row<'_>) -> Result<Project, StoreError> {
    let models: Option<String> = row.get(5)?;
    Ok(Project {
        organization: OrganizationId::from_bytes(row.get(0)?),
        id: ProjectId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        environment: word(row, 3, "project.environment")?,
        data_class: word(row, 4, "project.data_class")?,
        models: models.map(|text| from_json(&text, "project.models")).transpose()?,
        created_at: Timestamp::from_micros(row.get(6)?),
        archived_at: moment(row, 7)?,
        after_grant: word(row, 8, "project.after_grant")?,
        byok: word(row, 9, "project.byok")?,
        byok_fallback: row.get(10)?,
    })
}

fn user(row: &Row<'_>) -> Result<User, StoreError> {
    Ok(User {
        organization: OrganizationId::from_bytes(row.get(0)?),
        id: UserId::from_bytes(row.get(1)?),
        email: row.get(2)?,
        name: row.get(3)?,
        role: word(row, 4, "user.role")?,
        added_at: Timestamp::from_micros(row.get(5)?),
        removed_at: moment(row, 6)?,
    })
}

fn member(row: &Row<'_>) -> Result<Member, StoreError> {
    Ok(Member {
        organization: OrganizationId::from_bytes(row.get(0)?),
        project: ProjectId::from_bytes(row.get(1)?),
        user: UserId::from_bytes(row.get(2)?),
        role: word(row, 3, "member.role")?,
        added_at: Timestamp::from_micros(row.get(4)?),
    })
}

fn service_account(row: &Row<'_>) -> Result<ServiceAccount, StoreError> {
    Ok(ServiceAccount {
        organization: OrganizationId::from_bytes(row.get(0)?),
        project: ProjectId::from_bytes(row.get(1)?),
        id: ServiceAccountId::from_bytes(row.get(2)?),
        name: row.get(3)?,
        created_at: Timestamp::from_micros(row.get(4)?),
        removed_at: moment(row, 5)?,
    })
}

fn consent(row: &Row<'_>) -> Result<Consent, StoreError> {
    let models: Option<String> = row.get(8)?;
    let revoked = match (moment(row, 13)?, row.get::<_, Option<String>>(14)?) {
        (Some(at), Some(by)) => Some(Revocation { at, by: from_json(&by, "consent.revoked_by")? }),
        (_, None) | (None, _) => None,
    };
    Ok(Consent {
        organization: OrganizationId::from_bytes(row.get(0)?),
        project: ProjectId::from_bytes(row.get(1)?),
        id: ConsentId::from_bytes(row.get(2)?),
        user: UserId::from_bytes(row.get(3)?),
        app: App { origin: row.get(4)?, name: row.get(5)? },
        limit: Money::from_nano(row.get(6)?),
        reset: word(row, 7, "consent.limit_reset")?,
        models: models.map(|text| from_json(&text, "consent.models")).transpose()?,
        given_at: Timestamp::from_micros(row.get(9)?),
        fetch_until: Timestamp::from_micros(row.get(10)?),
        expires_at: Timestamp::from_micros(row.get(11)?),
        key: row.get::<_, Option<_>>(12)?.map(KeyId::from_bytes),
        revoked,
    })
}

fn key(row: &Row<'_>) -> Result<Key, StoreError> {
    let owner = match (row.get::<_, Option<_>>(3)?, row.get::<_, Option<_>>(4)?) {
        (Some(user), None) => KeyOwner::User(UserId::from_bytes(user)),
        (None, Some(account)) => KeyOwner::ServiceAccount(ServiceAccountId::from_bytes(account)),
        (Some(_), Some(_)) | (None, None) => return Err(StoreError::Unreadable("key.user")),
    };
    let previous = match row.get::<_, Option<_>>(8)? {
        Some(hash) => Some(Previous {
            hash: KeyHash::from_bytes(hash),
            redacted: row.get(9)?,
            until: Timestamp::from_micros(row.get(10)?),
        }),
        None => None,
    };
    Ok(Key {
        organization: OrganizationId::from_bytes(row.get(0)?),
        project: ProjectId::from_bytes(row.get(1)?),
        id: KeyId::from_bytes(row.get(2)?),
        owner,
        name: row.get(5)?,
        hash: KeyHash::from_bytes(row.get(6)?),
        redacted: row.get(7)?,
        previous,
        bounds: from_json(&row.get::<_, String>(11)?, "key.bounds")?,
        created_at: Timestamp::from_micros(row.get(12)?),
        expires_at: moment(row, 13)?,
        disabled_at: moment(row, 14)?,
        revoked_at: moment(row, 15)?,
        consent: row.get::<_, Option<_>>(16)?.map(ConsentId::from_bytes),
    })
}

fn admin_key(row: &Row<'_>) -> Result<AdminKey, StoreError> {
    Ok(AdminKey {
        organization: OrganizationId::from_bytes(row.get(0)?),
        id: AdminKeyId::from_bytes(row.get(1)?),
        user: UserId::from_bytes(row.get(2)?),
        name: row.get(3)?,
        hash: KeyHash::from_bytes(row.get(4)?),
        redacted: row.get(5)?,
        created_at: Timestamp::from_micros(row.get(6)?),
        expires_at: moment(row, 7)?,
        revoked_at: moment(row, 8)?,
    })
}

fn invite(row: &Row<'_>) -> Result<Invite, StoreError> {
    Ok(Invite {
        organization: OrganizationId::from_bytes(row.get(0)?),
        id: InviteId::from_bytes(row.get(1)?),
        email: row.get(2)?,
        role: word(row, 3, "invite.role")?,
        projects: from_json(&row.get::<_, String>(4)?, "invite.projects")?,
        token: KeyHash::from_bytes(row.get(5)?),
        created_at: Timestamp::from_micros(row.get(6)?),
        expires_at: Timestamp::from_micros(row.get(7)?),
        accepted_at: moment(row, 8)?,
        withdrawn_at: moment(row, 9)?,
        invited_by: row.get::<_, Option<_>>(10)?.map(UserId::from_bytes),
    })
}

fn limit(row: &Row<'_>) -> Result<RateLimit, StoreError> {
    let cap = |index| row.get::<_, Option<i64>>(index).map(|cap| cap.map(i64::unsigned_abs));
    Ok(RateLimit {
        organization: OrganizationId::from_bytes(row.get(0)?),
        id: LimitId::from_bytes(row.get(1)?),
        subject: from_json(&row.get::<_, String>(2)?, "rate_limit.subject")?,
        model: row.get(3)?,
        caps: Caps {
            requests_per_minute: cap(4)?,
            tokens_per_minute: cap(5)?,
            input_tokens_per_minute: cap(6)?,
            output_tokens_per_minute: cap(7)?,
            images_per_minute: cap(8)?,
            requests_per_day: cap(9)?,
            tokens_per_day: cap(10)?,
            concurrent_requests: cap(11)?,
        },
    })
}

fn provider_key(row: &Row<'_>) -> Result<ProviderKey, StoreError> {
    Ok(ProviderKey {
        organization: OrganizationId::from_bytes(row.get(0)?),
        id: ProviderKeyId::from_bytes(row.get(1)?),
        project: row.get::<_, Option<_>>(2)?.map(ProjectId::from_bytes),
        provider: row.get(3)?,
        label: row.get(4)?,
        last_four: row.get(5)?,
        fingerprint: KeyHash::from_bytes(row.get(6)?),
        sealed: Sealed::from_bytes(row.get(7)?),
        brought_by: row.get::<_, Option<_>>(8)?.map(UserId::from_bytes),
        created_at: Timestamp::from_micros(row.get(9)?),
        disabled_at: moment(row, 10)?,
        tested_at: moment(row, 11)?,
        test_failure: row.get(12)?,
    })
}

fn collect<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(read(row)?);
    }
    Ok(records)
}

fn moment(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp::from_micros))
}

fn word<T: FromStr>(row: &Row<'_>, index: usize, column: &'static str) -> Result<T, StoreError> {
    row.get::<_, String>(index)?.parse().map_err(|_| StoreError::Unreadable(column))
}
