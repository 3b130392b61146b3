//! Changes that are made elsewhere and belong into the audit log all the same.

use domain::{OrganizationId, ProjectId};

use super::{ChangeError, DirectoryService, Draft, Mandate, told};

/// A change of something of an organization's that is not in the directory, such as of a budget in the ledger.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// The organization.
    pub organization: OrganizationId,
    /// The project, if it is about one.
    pub project: Option<ProjectId>,
    /// What happened.
    pub action: &'static str,
    /// The id of what was changed.
    pub subject: String,
    /// What it was before, as JSON; `None` for what is new.
    pub before: Option<String>,
    /// What it is now, as JSON; `None` for what is gone.
    pub after: Option<String>,
}

impl DirectoryService {
    /// Tells the audit log of a change that was made. Unlike the directory's own changes, the two are not one: a crash
    /// between them loses the line.
    pub fn tell(&self, change: Elsewhere, mandate: &Mandate<'_>) -> Result<(), ChangeError> {
        let Elsewhere { organization, project, action, subject, before, after } = change;
        let _guard = self.one_at_a_time();
        self.tenant("organization", organization)?;
        let mut draft = Draft::new(mandate, organization);
        draft.tell(told(action, project, subject), before, after);
        self.finish(draft)
    }
}
