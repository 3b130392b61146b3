//! What payment methods do.

/// What becomes of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeds,
    /// It takes its time.
    Processing,
    /// Refused, with Stripe's `code` and the bank's `decline_code`.
    Declined {
        code: &'static str,
        decline_code: &'static str,
        message: &'static str,
    },
}

const DECLINED: &str = "Your card was declined.";

/// What a payment method does; `None` for one that does not exist.
pub(crate) fn outcome(payment_method: &str, off_session: bool) -> Option<Outcome> {
    let declined = |decline_code, message| Outcome::Declined { code: "card_declined", decline_code, message };
    let only_on_page = |outcome| if off_session { outcome } else { Outcome::Succeeds };
    Some(match payment_method {
        "pm_card_visa" => Outcome::Succeeds,
        "pm_card_chargeDeclined" => declined("generic_decline", DECLINED),
        "pm_card_chargeDeclinedInsufficientFunds" => {
            declined("insufficient_funds", "Your card has insufficient funds.")
        }
        "pm_card_chargeCustomerFail" => only_on_page(declined("generic_decline", DECLINED)),
        "pm_card_authenticationRequired" => only_on_page(Outcome::Declined {
            code: "authentication_required",
            decline_code: "authentication_required",
            message: "Your card was declined. This transaction requires authentication.",
        }),
        "pm_usBankAccount_processing" => Outcome::Processing,
        _ => return None,
    })
}
