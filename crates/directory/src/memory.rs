//! The directory's store in memory: the oracle of the conformance suite, and a store for tests of other crates.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Timestamp;

use crate::port::{Change, Commit, Contents, DirectoryStore, Record, RecordKind, StoreError};
use crate::record::{AdminKey, AuditEntry, Consent, Invite, KeyOwner, ProviderKey, RateLimit, User};

/// Keeps a directory as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryDirectory(Mutex<Kept>);

#[derive(Clone, Debug, Default)]
struct Kept {
    contents: Contents,
    audit: Vec<AuditEntry>,
}

impl MemoryDirectory {
    /// A store that holds these contents from the start, consistent or not.
    pub fn with(contents: Contents) -> Self {
        Self(Mutex::new(Kept { contents, audit: Vec::new() }))
    }

    /// The audit log, oldest line first.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.kept().audit.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DirectoryStore for MemoryDirectory {
    fn load(&self) -> Result<Contents, StoreError> {
        Ok(self.kept().contents.clone())
    }

    fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let Kept { contents: mut next, mut audit } = kept.clone();
        for change in commit.changes {
            apply(&mut next, change)?;
        }
        for entry in commit.audit {
            if audit
                .iter()
                .any(|other: &AuditEntry| (other.organization, other.id) == (entry.organization, entry.id))
            {
                return Err(StoreError::Duplicate(RecordKind::Audit));
            }
            audit.push(entry);
        }
        *kept = Kept { contents: next, audit };
        Ok(())
    }

    fn save_uses(&self, uses: Vec<([u8; 16], Timestamp)>) -> Result<(), StoreError> {
        let mut kept = self.kept();
        for (id, at) in uses {
            kept.contents.uses.retain(|(other, _)| *other != id);
            kept.contents.uses.push((id, at));
        }
        Ok(())
    }
}

fn apply(contents: &mut Contents, change: Change) -> Result<(), StoreError> {
    match change {
        Change::Put(record) => put(contents, *record),
        Change::RemoveMember(_, project, user) => {
            contents.members.retain(|member| (member.project, member.user) != (project, user));
            Ok(())
        }
        Change::RemoveLimit(_, limit) => {
            contents.limits.retain(|other| other.id != limit);
            Ok(())
        }
        Change::RemoveProviderKey(_, key) => {
            contents.provider_keys.retain(|other| other.id != key);
            Ok(())
        }
    }
}

/// Whether what a record belongs to is there.
fn has_parent(contents: &Contents, record: &Record) -> bool {
    let organization = |id| contents.organizations.iter().any(|organization| organization.id == id);
    let project =
        |id, of| contents.projects.iter().any(|project| (project.id, project.organization) == (id, of));
    let user = |id, of| contents.users.iter().any(|user| (user.id, user.organization) == (id, of));
    match record {
        Record::Organization(_) => true,
        Record::Project(project) => organization(project.organization),
        Record::User(user) => organization(user.organization),
        Record::Member(member) => {
            project(member.project, member.organization) && user(member.user, member.organization)
        }
        Record::ServiceAccount(account) => project(account.project, account.organization),
        Record::Consent(consent) => {
            project(consent.project, consent.organization) && user(consent.user, consent.organization)
        }
        Record::Key(key) => {
            let consented = key.consent.is_none_or(|id| {
                contents.consents.iter().any(|consent| {
                    (consent.id, consent.project, consent.organization) == (id, key.project, key.organization)
                })
            });
            let owner = match key.owner {
                KeyOwner::User(id) => user(id, key.organization),
                KeyOwner::ServiceAccount(id) => contents.service_accounts.iter().any(|account| {
                    (account.id, account.project, account.organization) == (id, key.project, key.organization)
                }),
            };
            owner && consented && project(key.project, key.organization)
        }
        Record::AdminKey(key) => user(key.user, key.organization),
        Record::Invite(invite) => organization(invite.organization),
        Record::Limit(limit) => organization(limit.organization),
        Record::ProviderKey(key) => {
            organization(key.organization) && key.project.is_none_or(|id| project(id, key.organization))
        }
    }
}

/// Whether something that only one record may have is another's.
fn is_taken(contents: &Contents, record: &Record) -> bool {
    match record {
        Record::Organization(new) => {
            contents.organizations.iter().any(|other| other.id != new.id && other.wallet == new.wallet)
        }
        Record::Project(new) => {
            contents.projects.iter().any(|other| other.id == new.id && other.organization != new.organization)
        }
        Record::User(new) => {
            let same_mail = |other: &User| {
                let here = other.organization == new.organization && other.id != new.id;
                here && other.removed_at.is_none() && other.email.eq_ignore_ascii_case(&new.email)
            };
            let moved = |other: &User| other.id == new.id && other.organization != new.organization;
            contents.users.iter().any(|other| moved(other) || (new.removed_at.is_none() && same_mail(other)))
        }
        Record::Key(new) => contents.keys.iter().any(|other| {
            let moved = (other.project, other.organization) != (new.project, new.organization);
            if other.id == new.id { moved } else { other.hash == new.hash }
        }),
        Record::Consent(new) => contents.consents.iter().any(|other| {
            other.id == new.id && (other.organization, other.project) != (new.organization, new.project)
        }),
        Record::AdminKey(new) => contents.admin_keys.iter().any(|other| {
            let moved = other.organization != new.organization;
            if other.id == new.id { moved } else { other.hash == new.hash }
        }),
        Record::ServiceAccount(new) => contents.service_accounts.iter().any(|other| {
            other.id == new.id && (other.organization, other.project) != (new.organization, new.project)
        }),
        Record::Invite(new) => contents.invites.iter().any(|other| {
            let moved = other.organization != new.organization;
            if other.id == new.id { moved } else { other.token == new.token }
        }),
        Record::Limit(new) => contents.limits.iter().any(|other| {
            let moved = other.organization != new.organization;
            let same_place = (other.organization, &other.subject, &other.model)
                == (new.organization, &new.subject, &new.model);
            if other.id == new.id { moved } else { same_place }
        }),
        Record::ProviderKey(new) => contents.provider_keys.iter().any(|other| {
            let moved = other.organization != new.organization;
            if other.id == new.id { moved } else { other.fingerprint == new.fingerprint }
        }),
        Record::Member(_) => false,
    }
}

fn put(contents: &mut Contents, record: Record) -> Result<(), StoreError> {
    if !has_parent(contents, &record) {
        return Err(StoreError::Orphan(record.kind()));
    }
    if is_taken(contents, &record) {
        return Err(StoreError::Duplicate(record.kind()));
    }
    match record {
        Record::Organization(new) => set(
            &mut contents.organizations,
            new,
            |o| o.id,
            |new, old| {
                (new.wallet, new.created_at) = (old.wallet, old.created_at);
            },
        ),
        Record::Project(new) => {
            set(&mut contents.projects, new, |p| p.id, |new, old| new.created_at = old.created_at);
        }
        Record::User(new) => {
            set(&mut contents.users, new, |u| u.id, |new, old| new.added_at = old.added_at);
        }
        Record::Member(new) => {
            set(&mut contents.members, new, |m| (m.project, m.user), |new, old| new.added_at = old.added_at);
        }
        Record::ServiceAccount(new) => {
            set(&mut contents.service_accounts, new, |a| a.id, |new, old| new.created_at = old.created_at);
        }
        Record::Key(new) => set(
            &mut contents.keys,
            new,
            |k| k.id,
            |new, old| {
                (new.owner, new.consent, new.created_at) = (old.owner, old.consent, old.created_at);
            },
        ),
        Record::Consent(new) => set(&mut contents.consents, new, |c| c.id, keep_agreed),
        Record::AdminKey(new) => set(
            &mut contents.admin_keys,
            new,
            |k| k.id,
            |new, old| {
                *new = AdminKey {
                    name: new.name.clone(),
                    expires_at: new.expires_at,
                    revoked_at: new.revoked_at,
                    ..old.clone()
                }
            },
        ),
        Record::Invite(new) => set(
            &mut contents.invites,
            new,
            |i| i.id,
            |new, old| {
                let (accepted_at, withdrawn_at) = (new.accepted_at, new.withdrawn_at);
                *new = Invite { accepted_at, withdrawn_at, ..old.clone() };
            },
        ),
        Record::Limit(new) => set(
            &mut contents.limits,
            new,
            |l| l.id,
            |new, old| *new = RateLimit { caps: new.caps, ..old.clone() },
        ),
        Record::ProviderKey(new) => put_provider_key(contents, new),
    }
    Ok(())
}

/// What was agreed to stays.
fn keep_agreed(new: &mut Consent, old: &Consent) {
    *new = Consent { key: new.key, revoked: new.revoked.take(), ..old.clone() };
}

fn put_provider_key(contents: &mut Contents, new: ProviderKey) {
    let keep = |new: &mut ProviderKey, old: &ProviderKey| {
        *new = ProviderKey {
            label: new.label.clone(),
            sealed: new.sealed.clone(),
            disabled_at: new.disabled_at,
            tested_at: new.tested_at,
            test_failure: new.test_failure.clone(),
            ..old.clone()
        };
    };
    set(&mut contents.provider_keys, new, |key| key.id, keep);
}

/// Puts a record in the place of the one with its id, which keeps what never changes.
fn set<T, K: PartialEq>(
    records: &mut Vec<T>,
    mut new: T,
    id: impl Fn(&T) -> K,
    keep: impl FnOnce(&mut T, &T),
) {
    match records.iter_mut().find(|old| id(old) == id(&new)) {
        Some(old) => {
            keep(&mut new, old);
            *old = new;
        }
        None => records.push(new),
    }
}
