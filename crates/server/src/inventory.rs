//! Asks servers of the operator's own which models they have (2.9): at the start, and then again and again.
//!
//! It knows when to ask and what to tell the log. What follows for a call the gateway says; no call ever waits for this.

use std::sync::Arc;
use std::time::Duration;

use dialect::ModelList;
use domain::Timestamp;
use gateway::{Inventory, Shared};
use http::Request;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use providers::{Client, PartsBody, Provider};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::keyring::Clients;

/// How long a server may take to tell its list.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// The longest list: some thousand models.
const LIST_BYTES_MAX: usize = 1 << 20;
/// A server that did not answer is asked again this soon: it may come back with another model.
const RETRY: Duration = Duration::from_secs(1);

/// Why a server told no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Untold {
    /// It has none to tell.
    NoList,
    /// It could not be asked, for this reason.
    Unasked(String),
}

/// Asks a server for its list of models.
///
/// # Errors
/// When it tells none.
pub(crate) async fn ask(client: &Client, provider: &Provider, now: Timestamp) -> Result<ModelList, Untold> {
    let unasked = |why: String| Untold::Unasked(why);
    if provider.is_published() {
        return Err(unasked("its key is known to be published".to_owned()));
    }
    let mut request = Request::new(PartsBody::default());
    *request.uri_mut() = provider.uri("/models").map_err(|error| unasked(error.to_string()))?;
    let sent = client.send(provider, provider.kind.dialect(), request, now, Some(ANSWER_WAIT)).await;
    let answer = sent.map_err(|failure| unasked(failure.to_string()))?;
    match answer.status().as_u16() {
        200 => {}
        status @ 500.. if status != 501 => return Err(unasked(format!("status {status}"))),
        // It is there and tells none, whether it has none or shows it to nobody.
        _ => return Err(Untold::NoList),
    }
    let body = Limited::new(answer.into_body(), LIST_BYTES_MAX).collect();
    let body = tokio::time::timeout(ANSWER_WAIT, body).await;
    let body = body.map_err(|_| unasked("its list did not end in time".to_owned()))?;
    match body {
        Ok(body) => ModelList::read(&body.to_bytes()).ok_or(Untold::NoList),
        Err(error) if error.is::<LengthLimitError>() => Err(Untold::NoList),
        Err(error) => Err(unasked(format!("its list broke off: {error}"))),
    }
}

/// Asks all of them, each by itself, until the end.
pub(crate) async fn watch(
    shared: Arc<Shared>,
    clients: Clients,
    every: Duration,
    mut ending: watch::Receiver<bool>,
) {
    let mut asking = JoinSet::new();
    let client = clients();
    for inventory in shared.routes.inventories() {
        let inventory = Arc::clone(inventory);
        let (shared, client) = (Arc::clone(&shared), client.clone());
        asking.spawn(async move {
            let mut last = None;
            loop {
                let told = ask(&client, inventory.provider(), shared.clock.now()).await;
                let wait = if matches!(told, Err(Untold::Unasked(_))) { RETRY.min(every) } else { every };
                if last.as_ref() != Some(&told) {
                    take(&shared, &inventory, &told);
                    last = Some(told);
                }
                tokio::time::sleep(wait).await;
            }
        });
    }
    // Whether it is told or the sender is gone: this is the end.
    let _ = ending.changed().await;
}

/// Takes what a server has said otherwise than before. While it cannot be asked, what it said last counts.
fn take(shared: &Shared, inventory: &Inventory, told: &Result<ModelList, Untold>) {
    let provider = &*inventory.provider().name;
    match told {
        Ok(list) => {
            inventory.put(Some(list.clone()));
            tracing::info!(provider, models = list.named(), "a server of one's own told which models it has");
            let targets = shared.routes.iter().flat_map(|route| &route.targets);
            let missing = targets
                .filter(|target| target.is_listed() && *target.provider.name == *provider)
                .filter(|target| target.listed_in(list).is_none());
            for target in missing {
                let (target, models) = (&*target.label, list.named());
                tracing::warn!(target, models, "the server does not have this model: no call goes there");
            }
        }
        Err(Untold::NoList) => {
            inventory.put(None);
            tracing::info!(provider, "a server of one's own tells no list of its models");
        }
        Err(Untold::Unasked(error)) => {
            tracing::warn!(provider, error, "a server of one's own could not be asked which models it has");
        }
    }
}
