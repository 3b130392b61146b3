//! A store between whose reads something happens: what a test wants to see in the middle of a look.

use std::sync::Mutex;

use payments::recharge::State;
use payments::{Alert, Credited, Limits, Notice, Recharge, Returned};

use super::*;

/// A read of one organization that a look makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    State,
    Settings,
}

/// What happens before a read. An error is the read's.
type Meddle = Box<dyn FnMut(Read, OrganizationId) -> Kept<()> + Send>;

pub(super) struct Meddling {
    inner: Arc<dyn PaymentStore>,
    before: Mutex<Meddle>,
}

impl Meddling {
    pub(super) fn between(
        inner: Arc<dyn PaymentStore>,
        before: impl FnMut(Read, OrganizationId) -> Kept<()> + Send + 'static,
    ) -> Arc<dyn PaymentStore> {
        Arc::new(Self { inner, before: Mutex::new(Box::new(before)) })
    }

    fn meddle(&self, read: Read, organization: OrganizationId) -> Kept<()> {
        (self.before.lock().unwrap())(read, organization)
    }
}

impl PaymentStore for Meddling {
    fn begin(&self, topup: &TopUp, name: Option<&CallName>) -> Kept<Begun> {
        self.inner.begin(topup, name)
    }
    fn begin_recharge(&self, topup: &TopUp, limits: &Limits, month: Timestamp) -> Kept<Begun> {
        self.inner.begin_recharge(topup, limits, month)
    }
    fn started(&self, topup: TopUpId, started: &Started, at: Timestamp) -> Kept<()> {
        self.inner.started(topup, started, at)
    }
    fn credit(&self, receipt: &Receipt) -> Kept<Credited> {
        self.inner.credit(receipt)
    }
    fn end(&self, ending: &Ending) -> Kept<bool> {
        self.inner.end(ending)
    }
    fn set_recharge(&self, organization: OrganizationId, settings: Option<&Settings>) -> Kept<()> {
        self.inner.set_recharge(organization, settings)
    }
    fn alert(&self, organization: OrganizationId, alert: &Alert, at: Timestamp) -> Kept<bool> {
        self.inner.alert(organization, alert, at)
    }
    fn notice(&self, notice: &Notice) -> Kept<bool> {
        self.inner.notice(notice)
    }
    fn returned(&self, returned: &Returned) -> Kept<bool> {
        self.inner.returned(returned)
    }
    fn forget_customer(
        &self,
        organization: OrganizationId,
        customer: &str,
        payment_method: Option<&str>,
        at: Timestamp,
    ) -> Kept<bool> {
        self.inner.forget_customer(organization, customer, payment_method, at)
    }
    fn topup(&self, id: TopUpId) -> Kept<Option<TopUp>> {
        self.inner.topup(id)
    }
    fn topup_of_payment(&self, provider: &str, payment: &str) -> Kept<Option<TopUp>> {
        self.inner.topup_of_payment(provider, payment)
    }
    fn topups(&self, organization: OrganizationId, before: Option<TopUpId>, limit: u32) -> Kept<Vec<TopUp>> {
        self.inner.topups(organization, before, limit)
    }
    fn recharge(&self, organization: OrganizationId) -> Kept<Option<Recharge>> {
        self.meddle(Read::Settings, organization)?;
        self.inner.recharge(organization)
    }
    fn recharge_state(&self, organization: OrganizationId, month: Timestamp) -> Kept<State> {
        self.meddle(Read::State, organization)?;
        self.inner.recharge_state(organization, month)
    }
    fn recharge_candidates(&self) -> Kept<Vec<OrganizationId>> {
        self.inner.recharge_candidates()
    }
    fn pending_recharges(&self) -> Kept<Vec<TopUp>> {
        self.inner.pending_recharges()
    }
}
