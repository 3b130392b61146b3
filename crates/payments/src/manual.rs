//! Payment by transfer: the person pays outside, and the operator confirms.

use std::future::ready;

use domain::Timestamp;

use crate::{Answer, Charge, ChargeRequest, CheckoutRequest, CheckoutStarted, PaymentError, PaymentProvider};

/// The provider that needs no provider. It asks nobody and stores nothing.
#[derive(Clone, Debug, Default)]
pub struct Manual {
    payee: Option<String>,
}

impl Manual {
    /// With a line that tells where to pay, such as an account number; the operator writes it in the configuration.
    pub fn new(payee: Option<String>) -> Self {
        Self { payee: payee.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()) }
    }
}

impl PaymentProvider for Manual {
    fn name(&self) -> &'static str {
        "manual"
    }

    fn can_recharge(&self) -> bool {
        false
    }

    fn begin_checkout<'a>(&'a self, request: &'a CheckoutRequest) -> Answer<'a, CheckoutStarted> {
        let CheckoutRequest { topup, amount, .. } = request;
        let payee = self.payee.as_ref().map_or_else(String::new, |payee| format!(" to {payee}"));
        let instructions = format!(
            "pay {amount} USD by transfer{payee}, quoting {topup}; \
             the operator confirms with `tollkeeper credits confirm {topup}`"
        );
        let started = CheckoutStarted { provider_ref: topup.to_string(), url: None, instructions };
        Box::pin(ready(Ok(started)))
    }

    fn charge_off_session<'a>(&'a self, _: &'a ChargeRequest) -> Answer<'a, Charge> {
        Box::pin(ready(Err(PaymentError::Impossible(
            "transfers cannot be collected, so auto-recharge needs another provider; \
             set payments.provider = \"stripe\", or switch auto-recharge off",
        ))))
    }

    fn find_charge<'a>(&'a self, _: &'a ChargeRequest, _: Timestamp) -> Answer<'a, Option<Charge>> {
        Box::pin(ready(Ok(None)))
    }
}

#[cfg(test)]
mod tests {
    use domain::{Money, OrganizationId, TopUpId};

    use super::*;
    use crate::Cents;

    #[tokio::test(flavor = "current_thread")]
    async fn a_transfer_is_told_and_a_charge_is_impossible() {
        let topup = TopUpId::from_bytes([7; 16]);
        let organization = OrganizationId::from_bytes([1; 16]);
        let amount = Cents::try_from("25".parse::<Money>().unwrap()).unwrap();
        for (payee, expected) in [
            (Some(" IBAN XX00 1234 "), "by transfer to IBAN XX00 1234, quoting"),
            (Some("  "), "by transfer, quoting"),
            (None, "by transfer, quoting"),
        ] {
            let manual = Manual::new(payee.map(str::to_owned));
            let request = CheckoutRequest { topup, organization, amount, customer: None, save_method: false };
            let started = manual.begin_checkout(&request).await.unwrap();
            assert_eq!((started.provider_ref, started.url), (topup.to_string(), None));
            assert!(started.instructions.contains(expected), "{}", started.instructions);
            assert!(started.instructions.contains("pay 25.00 USD"), "{}", started.instructions);
            assert!(started.instructions.contains(&format!("credits confirm {topup}`")));
        }
        let request = ChargeRequest {
            topup,
            organization,
            amount,
            customer: "cus_1".to_owned(),
            payment_method: "pm_1".to_owned(),
        };
        let error = Manual::default().charge_off_session(&request).await.unwrap_err();
        assert!(!error.retryable() && !error.may_have_charged());
        assert!(!Manual::default().can_recharge());
    }
}
