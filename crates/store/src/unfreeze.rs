//! Letting frozen books go on, once nothing is broken in them any more.

use std::path::Path;

use domain::OrganizationId;

use crate::{Durability, StoreError, books, database_path, folder, schema, verify};

/// Why books stay frozen.
#[derive(Debug, thiserror::Error)]
pub enum UnfreezeError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder has no books of this organization.
    #[error("there are no books of {0} in this folder")]
    Unknown(OrganizationId),
    /// Something is broken still.
    #[error("{0} rules of the ledger are broken; the first: {1}")]
    Broken(usize, String),
}

/// Lets an organization's frozen books go on; answers whether they were frozen. The gateway must be stopped, and every
/// rule of the ledger must hold in the whole folder: this mends nothing.
///
/// # Errors
/// When a gateway runs on the folder, a rule is broken, or there are no such books.
pub fn unfreeze(data: &Path, organization: OrganizationId) -> Result<bool, UnfreezeError> {
    let path = database_path(data);
    if !path.is_file() {
        return Err(StoreError::NoDatabase(data.to_owned()).into());
    }
    let _lock = folder::lock(data)?;
    let report = verify(data)?;
    let frozen = report.frozen.contains(&organization);
    // That they are frozen is among what a verification finds.
    let broken: Vec<&String> =
        report.breaches.iter().filter(|breach| !breach.ends_with("are frozen")).collect();
    if let Some(first) = broken.first() {
        return Err(UnfreezeError::Broken(broken.len(), (*first).clone()));
    }
    let connection = schema::open_for_writing(&path, Durability::Power)?;
    let known = books::set_frozen(&connection, organization, false)?;
    if known { Ok(frozen) } else { Err(UnfreezeError::Unknown(organization)) }
}
