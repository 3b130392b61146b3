//! What a contract covers, who refuses first, and that a refused call leaves no trace.

use std::sync::Arc;

use directory::{DataClass, Environment, InFlight};
use domain::{Country, Money, OrganizationId, RefusalCode, Timestamp};
use serde_json::Value;

use super::house::{Got, House, answer, price};
use crate::contract::Traffic;
use crate::{Contract, Countries, Terms, Verified};
use domain::AccessClass;

/// The house's clock stands still here.
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const DAYS_MAX: u32 = 180;

/// A contract that covers whatever is asked of it.
pub(crate) fn contract() -> Arc<Contract> {
    Arc::new(covering(DataClass::Sensitive, false, Verified::Always))
}

pub(super) fn covering(data: DataClass, training: bool, verified: Verified) -> Contract {
    let text = |text: &str| text.to_owned();
    Contract {
        class: AccessClass::Direct,
        programme: None,
        owner: text("Acme"),
        payer: text("Acme"),
        limits: text("tier 4"),
        support: text("help@provider.example"),
        terms: Terms { training, retention_days: 30, region: text("EU"), text: None },
        verified,
        countries: Countries::All,
        data,
        environments: Environment::ALL.to_vec(),
    }
}

/// Checked so many days ago.
pub(super) fn checked(days: i64) -> Verified {
    Verified::On { day: NOW.plus_seconds(-days * 24 * 60 * 60), days_max: DAYS_MAX }
}

fn traffic(environment: Environment, data_class: DataClass, country: Option<Country>) -> Traffic<'static> {
    Traffic {
        organization: OrganizationId::from_bytes([1; 16]),
        organization_name: "Acme",
        country,
        project: "chat",
        environment,
        data_class,
    }
}

/// The outcome as a letter: `.` served, `u` unfit, `s` stale, `c` the country.
fn letter(contract: &Contract, traffic: &Traffic<'_>) -> char {
    match contract.check("p/m", traffic, NOW).map_err(|refusal| refusal.code) {
        Ok(()) => '.',
        Err(RefusalCode::ContractUnfit) => 'u',
        Err(RefusalCode::ContractStale) => 's',
        Err(RefusalCode::CountryNotSupported) => 'c',
        Err(other) => panic!("{other:?} is not a contract's to say"),
    }
}

/// Every environment with every data class: dev, staging and prod, each with public, internal and sensitive.
fn grid(contract: &Contract) -> String {
    let row = |environment: &Environment| -> String {
        DataClass::ALL.iter().map(|data| letter(contract, &traffic(*environment, *data, None))).collect()
    };
    Environment::ALL.iter().map(row).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_environment_with_every_data_class() {
    use DataClass::{Internal, Public, Sensitive};
    let (fresh, stale) = (checked(DAYS_MAX.into()), checked(i64::from(DAYS_MAX) + 1));
    // When it was checked, whether the provider trains, what the contract covers: what dev, staging and prod get, each
    // with public, internal and sensitive data.
    for (verified, training, data, expected) in [
        (fresh, false, Public, ".uu .uu .uu"),
        (fresh, false, Internal, "..u ..u ..u"),
        (fresh, false, Sensitive, "... ... ..."),
        (fresh, true, Public, ".uu .uu .uu"),
        (fresh, true, Internal, ".uu .uu .uu"),
        (fresh, true, Sensitive, ".uu .uu .uu"),
        (stale, false, Public, ".uu .uu suu"),
        (stale, false, Internal, ".su .su ssu"),
        (stale, false, Sensitive, ".ss .ss sss"),
        (stale, true, Public, ".uu .uu suu"),
        (stale, true, Internal, ".uu .uu suu"),
        (stale, true, Sensitive, ".uu .uu suu"),
        (Verified::Always, false, Public, ".uu .uu .uu"),
        (Verified::Always, false, Internal, "..u ..u ..u"),
        (Verified::Always, false, Sensitive, "... ... ..."),
        (Verified::Always, true, Public, ".uu .uu .uu"),
        (Verified::Always, true, Internal, ".uu .uu .uu"),
        (Verified::Always, true, Sensitive, ".uu .uu .uu"),
    ] {
        let contract = covering(data, training, verified);
        assert_eq!(grid(&contract), expected, "{contract:?}");
        // An environment that is not listed gets nothing, whatever the data; the others get what they got.
        for (index, missing) in Environment::ALL.iter().enumerate() {
            let environments = Environment::ALL.iter().filter(|listed| *listed != missing).copied().collect();
            let mut expected: Vec<&str> = expected.split(' ').collect();
            expected[index] = "uuu";
            let contract = Contract { environments, ..contract.clone() };
            assert_eq!(grid(&contract), expected.join(" "), "{contract:?}");
        }
    }
}

#[test]
fn the_country_is_asked_before_anything_else_of_the_contract() {
    let country = |code: &str| code.parse::<Country>().unwrap();
    let (de, fr) = (country("DE"), country("FR"));
    let only = Countries::Only(vec![de]);
    let except = Countries::Except(vec![fr]);
    for (countries, stated, served) in [
        (&Countries::All, None, true),
        (&Countries::All, Some(fr), true),
        (&only, Some(de), true),
        (&only, Some(fr), false),
        (&only, None, false),
        (&except, Some(de), true),
        (&except, Some(fr), false),
        (&except, None, false),
    ] {
        // Fit and fresh, unfit, stale, and both: the country comes first.
        for (data, verified, otherwise) in [
            (DataClass::Sensitive, checked(0), '.'),
            (DataClass::Public, checked(0), 'u'),
            (DataClass::Sensitive, checked(1_000), 's'),
            (DataClass::Public, checked(1_000), 'u'),
        ] {
            let contract = Contract { countries: countries.clone(), ..covering(data, false, verified) };
            let traffic = traffic(Environment::Prod, DataClass::Internal, stated);
            let expected = if served { otherwise } else { 'c' };
            assert_eq!(letter(&contract, &traffic), expected, "{countries:?} {stated:?} {data} {verified:?}");
        }
    }
}

#[test]
fn refusals_name_the_value_the_limit_and_the_step() {
    let de = "DE".parse::<Country>().unwrap();
    let abroad = |countries| Contract { countries, ..covering(DataClass::Sensitive, false, checked(0)) };
    let dev = Contract { environments: vec![Environment::Dev], ..abroad(Countries::All) };
    let fr = Some("FR".parse::<Country>().unwrap());
    for (contract, country, limit, used, message, next_step) in [
        (abroad(Countries::Only(vec![de])), fr, "DE", "FR", "`Acme` is in FR", "whose route serves FR"),
        (
            abroad(Countries::Except(vec![de])),
            None,
            "DE",
            "not stated",
            "has not stated its country",
            "The operator states the organization's country",
        ),
        (
            covering(DataClass::Public, true, checked(0)),
            None,
            "public",
            "internal",
            "may train",
            "rules training out",
        ),
        (
            covering(DataClass::Public, false, checked(0)),
            None,
            "public",
            "internal",
            "data up to public",
            "`data`",
        ),
        (dev, None, "dev", "prod", "`chat` is for prod", "covers prod"),
        (
            covering(DataClass::Internal, false, checked(181)),
            None,
            "180 days",
            "181 days",
            "was verified on 2026-07-18, 181 days ago; it counts for 180 days",
            "sets `verified_on`",
        ),
    ] {
        let traffic = traffic(Environment::Prod, DataClass::Internal, country);
        let refusal = contract.check("p/m", &traffic, NOW).unwrap_err();
        let figures = (refusal.limit.as_deref(), refusal.used.as_deref());
        assert_eq!(figures, (Some(limit), Some(used)), "{refusal:?}");
        assert!(refusal.message.contains(message) && refusal.message.contains("`p/m`"), "{refusal:?}");
        assert!(refusal.next_step.contains(next_step), "{refusal:?}");
        assert!(!refusal.next_step.to_lowercase().contains("key"), "{refusal:?}");
    }
}

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const CREDIT: i64 = 1_000_000_000;

fn code(got: &Got) -> String {
    let body: Value = serde_json::from_str(&got.body).unwrap();
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_first_owner_refuses_and_a_refused_call_leaves_no_trace() {
    let fit = covering(DataClass::Sensitive, false, checked(0));
    let abroad = Contract { countries: Countries::Only(vec!["DE".parse().unwrap()]), ..fit.clone() };
    let unfit = covering(DataClass::Public, false, checked(0));
    let stale = covering(DataClass::Sensitive, false, checked(1_000));
    let unfit_abroad =
        Contract { countries: abroad.countries.clone(), ..covering(DataClass::Public, true, checked(1_000)) };
    // The targets' contracts, each with whether it has a price, the credit, and who says no.
    for (targets, credit, expected) in [
        (vec![(&unfit_abroad, false)], 0, "model_not_priced"),
        (vec![(&unfit_abroad, true)], 0, "unsupported_country_region_territory"),
        (vec![(&unfit, true)], 0, "route_contract_unfit"),
        (vec![(&stale, true)], 0, "route_contract_stale"),
        (vec![(&unfit, true)], CREDIT, "route_contract_unfit"),
        (vec![(&fit, true)], 0, "insufficient_quota"),
        // A layer is passed when one of the targets passes it: the one that came farthest says what is missing.
        (vec![(&abroad, true), (&stale, true), (&fit, false)], CREDIT, "route_contract_stale"),
        (vec![(&fit, false), (&abroad, true)], CREDIT, "unsupported_country_region_territory"),
    ] {
        let targets =
            targets.into_iter().map(|(contract, priced)| (Arc::new(contract.clone()), priced.then(price)));
        let house =
            House::with_targets(targets, DataClass::Internal, InFlight::Completes, credit, answer(5)).await;
        let got = house.call(1, BODY).await;
        assert_eq!(code(&got), expected, "{}", got.body);
        assert_eq!((house.rows().len(), house.bodies().len()), (0, 0), "no row and nothing sent: {expected}");
        let books = house.books();
        assert!(books.holds.is_empty() && books.wallets[0].held == Money::ZERO, "nothing held: {expected}");
        assert_eq!(books.wallets[0].balance, Money::from_nano(credit), "nothing booked: {expected}");
    }
}

#[tokio::test]
async fn a_target_that_may_not_have_the_call_is_passed_over() {
    let unfit = Arc::new(covering(DataClass::Public, true, checked(0)));
    let targets = [(unfit, Some(price())), (contract(), None), (contract(), Some(price()))];
    let house =
        House::with_targets(targets, DataClass::Sensitive, InFlight::Completes, CREDIT, answer(5)).await;
    assert_eq!(house.call(1, BODY).await.status, 200);
    assert_eq!((house.rows().len(), house.bodies().len()), (1, 1));
}
