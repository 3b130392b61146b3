//! `[payments]`: who takes the money for top-ups, and within which bounds.

use std::sync::Arc;

use domain::Money;
use payments::recharge::Bounds;
use payments::stripe::{SecretKey, Stripe, StripeOptions, TOLERANCE_SECONDS, Webhook};
use payments::{Cents, Manual};
use secrecy::SecretString;

use super::Environment;
use super::read::{Least, Mistakes, Section};
use crate::payments::PaymentSettings;

#[derive(Clone, Copy)]
enum Provider {
    Manual,
    Stripe,
}

/// Reads the section. What is only for one provider is checked when that one is chosen.
pub(super) fn read_payments(
    mut section: Section,
    environment: &Environment,
    mistakes: &mut Mistakes,
) -> Option<PaymentSettings> {
    let words = [("manual", Provider::Manual), ("stripe", Provider::Stripe)];
    let provider = section.word("provider", &words, mistakes);
    let payee = section.text("payee", mistakes);
    let bounds = read_bounds(&mut section, mistakes);
    let look_every = section.millis("recharge_look_ms", mistakes);
    let written = StripeWritten::read(&mut section, mistakes);
    let settings = match provider? {
        Provider::Manual => Some((Arc::new(Manual::new(payee)) as Arc<dyn payments::PaymentProvider>, None)),
        Provider::Stripe => written
            .check(&section, environment, mistakes)
            .map(|(stripe, webhook)| (Arc::new(stripe) as Arc<dyn payments::PaymentProvider>, Some(webhook))),
    };
    section.finish(mistakes);
    let (provider, webhook) = settings?;
    Some(PaymentSettings { provider, webhook, bounds: bounds?, look_every: look_every? })
}

fn read_bounds(section: &mut Section, mistakes: &mut Mistakes) -> Option<Bounds> {
    let amount_min = payable(section, "amount_min", mistakes);
    let amount_max = payable(section, "amount_max", mistakes);
    let (amount_min, amount_max) = (amount_min?, amount_max?);
    if amount_max < amount_min {
        mistakes.add(
            &section.field("amount_max"),
            format_args!("{amount_max} is below amount_min, {amount_min}"),
        );
    }
    Some(Bounds { amount_min, amount_max })
}

/// An amount that can be paid at once.
fn payable(section: &mut Section, name: &'static str, mistakes: &mut Mistakes) -> Option<Money> {
    let amount = section.amount(name, Least::AboveZero, mistakes)?;
    let field = section.field(name);
    Cents::try_from(amount).map(Cents::money).map_err(|error| mistakes.add(&field, error)).ok()
}

/// What is for Stripe, as written.
struct StripeWritten {
    secret_key: Option<String>,
    webhook_secrets: Option<Vec<String>>,
    base_url: Option<String>,
    success_url: Option<String>,
    cancel_url: Option<String>,
}

impl StripeWritten {
    fn read(section: &mut Section, mistakes: &mut Mistakes) -> Self {
        Self {
            secret_key: section.text("secret_key", mistakes),
            webhook_secrets: section.texts("webhook_secrets", mistakes),
            base_url: section.text("base_url", mistakes),
            success_url: section.text("success_url", mistakes),
            cancel_url: section.text("cancel_url", mistakes),
        }
    }

    fn check(
        self,
        section: &Section,
        environment: &Environment,
        mistakes: &mut Mistakes,
    ) -> Option<(Stripe, Webhook)> {
        let mut need = |name: &str, value: Option<String>| {
            if value.is_none() {
                mistakes.add(&section.field(name), "is missing; payments.provider = \"stripe\" needs it");
            }
            value
        };
        let success_url = need("success_url", self.success_url);
        let cancel_url = need("cancel_url", self.cancel_url);
        let secret_key = need("secret_key", self.secret_key);
        let mut secret = |name: &str, reference: &str| {
            let found = environment.secret(reference);
            found.map_err(|error| mistakes.add(&section.field(name), error)).ok()
        };
        let key = secret_key.and_then(|reference| secret("secret_key", &reference));
        let references = self.webhook_secrets.unwrap_or_default();
        let secrets: Vec<Option<SecretString>> =
            references.iter().map(|reference| secret("webhook_secrets", reference)).collect();
        let mut tell = |error: &dyn std::fmt::Display| mistakes.add("payments", error);
        let key = key.and_then(|key| SecretKey::new(key).map_err(|error| tell(&error)).ok());
        // Each is checked as far as it is known, so that one mistake does not hide another.
        let mode = key.as_ref().map_or(payments::stripe::Mode::Test, SecretKey::mode);
        let known: Vec<SecretString> = secrets.iter().flatten().cloned().collect();
        let webhook = if known.is_empty() && !references.is_empty() {
            None
        } else {
            Webhook::new(&known, mode, TOLERANCE_SECONDS).map_err(|error| tell(&error)).ok()
        };
        let mut options = StripeOptions::new(key?, success_url?, cancel_url?);
        options.base_url = self.base_url.unwrap_or(options.base_url);
        let stripe = Stripe::new(options).map_err(|error| tell(&error)).ok();
        (secrets.iter().all(Option::is_some)).then_some((stripe?, webhook?))
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::super::{Config, DEFAULT, Environment};

    fn environment() -> Environment {
        Environment::from([
            ("STRIPE_SECRET_KEY", "sk_test_abcdefgh12345678"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_abcdefgh12345678"),
            ("WRONG", "pk_test_abcdefgh12345678"),
        ])
    }

    #[test]
    fn top_ups_are_manual_unless_told_otherwise() {
        let settings = Config::load(None, &Environment::default()).unwrap().payments;
        assert_eq!(settings.provider.name(), "manual");
        assert!(settings.webhook.is_none());
        assert_eq!(settings.bounds, payments::recharge::Bounds::default());
        assert_eq!(settings.look_every.as_millis(), 1_000);
    }

    #[test]
    fn the_sample_shows_a_whole_stripe() {
        let section = DEFAULT.split_once("[payments]").unwrap().1;
        let shown = section.lines().take_while(|line| !line.starts_with("# [") && !line.starts_with('['));
        let shown = shown.filter_map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ")));
        let text = format!("[payments]\nprovider = \"stripe\"\n{}\n", shown.collect::<Vec<_>>().join("\n"));
        let config = Config::parse(&text, &environment(), Timestamp::from_micros(0))
            .unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        assert_eq!(config.payments.provider.name(), "stripe");
        assert!(config.payments.webhook.is_some());
        assert!(!format!("{config:?}").contains("abcdefgh"), "secrets are never shown");
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        for (text, expected) in [
            ("provider = \"paypal\"", &["payments.provider: must be \"manual\" or \"stripe\""][..]),
            ("amount_min = 5", &["payments.amount_min: expected a text in quotes"]),
            ("amount_min = \"1.001\"", &["payments.amount_min: amount 1.001 is not in whole cents"]),
            ("amount_max = \"4.99\"", &["payments.amount_max: 4.99 is below amount_min, 5.00"]),
            ("recharge_look_ms = 0", &["payments.recharge_look_ms: must be between"]),
            ("secret_kay = \"x\"", &["payments.secret_kay: unknown name; did you mean `secret_key`?"]),
            (
                "webhook_secrets = \"env:X\"",
                &["payments.webhook_secrets: expected a list of texts in quotes, found string"],
            ),
            (
                "provider = \"stripe\"",
                &[
                    "payments.success_url: is missing",
                    "payments.cancel_url: is missing",
                    "payments.secret_key: is missing",
                    "payments: stripe webhook_secrets is empty",
                ],
            ),
            (
                "provider = \"stripe\"\nsuccess_url = \"https://a\"\ncancel_url = \"https://a\"\n\
                 secret_key = \"sk_test_abcdefgh12345678\"\nwebhook_secrets = [\"env:MISSING\", \"env:WRONG\"]",
                &[
                    "payments.secret_key: must be a reference",
                    "payments.webhook_secrets: the environment variable MISSING is not set",
                    "payments: stripe webhook_secrets: number 1 is not a signing secret",
                ],
            ),
            (
                "provider = \"stripe\"\nsuccess_url = \"here\"\ncancel_url = \"https://a\"\n\
                 secret_key = \"env:WRONG\"\nwebhook_secrets = [\"env:STRIPE_WEBHOOK_SECRET\"]",
                &["payments: stripe secret_key is not a secret key"],
            ),
            (
                "provider = \"stripe\"\nsuccess_url = \"here\"\ncancel_url = \"https://a\"\n\
                 secret_key = \"env:STRIPE_SECRET_KEY\"\nwebhook_secrets = [\"env:STRIPE_WEBHOOK_SECRET\"]",
                &["payments: stripe success_url `here` must be a whole address"],
            ),
        ] {
            let errors =
                Config::parse(&format!("[payments]\n{text}"), &environment(), Timestamp::from_micros(0))
                    .unwrap_err()
                    .0;
            assert_eq!(errors.len(), expected.len(), "{text}: {errors:#?}");
            for (error, expected) in errors.iter().zip(expected) {
                assert!(error.starts_with(expected), "{error:?} does not begin with {expected:?}");
            }
            assert!(!errors.concat().contains("abcdefgh"), "{errors:?}");
        }
    }
}
