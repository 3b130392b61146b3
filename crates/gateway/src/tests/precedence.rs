//! Of several owners that would refuse a call the first does, and a refused call has used nothing: every pair of
//! reasons, whichever came first.

use dialect::Endpoint;
use domain::{Owner, RefusalCode};
use serde_json::Value;

use super::house::Got;
use super::scene::{Capped, Rated, Scene, Wrong};

const OWNERS: [Owner; 8] = [
    Owner::Key,
    Owner::Project,
    Owner::ModelAccess,
    Owner::Region,
    Owner::Route,
    Owner::UsageLimit,
    Owner::RateLimit,
    Owner::Billing,
];

/// Every reason in the order of precedence, with the code that stands for it.
fn reasons() -> Vec<(Wrong, RefusalCode)> {
    use RefusalCode as Code;
    let budget = [
        Code::OrganizationBudgetExceeded,
        Code::ProjectBudgetExceeded,
        Code::KeyBudgetExceeded,
        Code::UserBudgetExceeded,
        Code::TagBudgetExceeded,
        Code::RunBudgetExceeded,
    ];
    let rate = [
        Code::RequestsPerMinuteExceeded,
        Code::TokensPerMinuteExceeded,
        Code::InputTokensPerMinuteExceeded,
        Code::OutputTokensPerMinuteExceeded,
        Code::RequestsPerDayExceeded,
        Code::TokensPerDayExceeded,
        Code::ConcurrentRequestsExceeded,
    ];
    let mut reasons = vec![
        (Wrong::NoKey, Code::MissingKey),
        (Wrong::UnknownKey, Code::InvalidKey),
        (Wrong::Expired, Code::ExpiredKey),
        (Wrong::Disabled, Code::DisabledKey),
        (Wrong::Address, Code::AddressNotAllowed),
        (Wrong::Endpoint, Code::EndpointNotAllowed),
        (Wrong::NoPart, Code::PrincipalRemoved),
        (Wrong::Archived, Code::ProjectArchived),
        (Wrong::NoSuchModel, Code::ModelNotFound),
        (Wrong::NotForChat, Code::ModelNotFound),
        (Wrong::NotOfProject, Code::ModelNotAllowed),
        (Wrong::NotOfKey, Code::ModelNotAllowed),
        (Wrong::NotOfTier, Code::ModelNotInTier),
        (Wrong::Unverified, Code::VerificationRequired),
        (Wrong::Unpriced, Code::ModelUnpriced),
        (Wrong::Abroad, Code::CountryNotSupported),
        (Wrong::Unfit, Code::ContractUnfit),
        (Wrong::Stale, Code::ContractStale),
        (Wrong::NoProviderKey, Code::ProviderKeyMissing),
        (Wrong::Published, Code::ProviderKeyPublished),
        (Wrong::Ceiling, Code::OrganizationUsageLimitExceeded),
    ];
    reasons.extend(Capped::ALL.map(Wrong::Budget).into_iter().zip(budget));
    reasons.extend(Rated::ALL.map(Wrong::Rate).into_iter().zip(rate));
    reasons.extend([
        (Wrong::Frozen, Code::WalletFrozen),
        (Wrong::Owing, Code::WalletInDebt),
        (Wrong::NoGrant, Code::GrantsUsedUp),
        (Wrong::Poor, Code::CreditExhausted),
    ]);
    reasons
}

/// Which of two reasons is told: the earlier, with two exceptions.
fn first(one: (Wrong, RefusalCode), other: (Wrong, RefusalCode)) -> RefusalCode {
    let (earlier, later) = if one <= other { (one, other) } else { (other, one) };
    match (earlier.0, later.0) {
        // What a model is for its price says.
        (Wrong::NotForChat, Wrong::Unpriced) => later.1,
        // What the budgets have used stands in the same books, and frozen books are not looked into.
        (Wrong::Ceiling | Wrong::Budget(_), Wrong::Frozen) => later.1,
        _ => earlier.1,
    }
}

/// Asserts that a call was refused with this code, is recorded so, and was sent nowhere.
fn check_refused(scene: &Scene, got: &Got, wrong: &[Wrong], code: RefusalCode, what: &str) {
    let error: Value = serde_json::from_str(&got.body).unwrap();
    let error = &error["error"];
    let owner = code.owner();
    assert_eq!(told_owner(error), owner.as_str(), "{what}: {error}");
    let mut decisions = scene.house.decisions();
    let decision = decisions.pop().unwrap();
    assert!(decisions.is_empty() && decision.refused, "{what}");
    let decided: Value = serde_json::from_str(&decision.body).unwrap();
    let stopped = &decided["stopped"];
    assert_eq!((&stopped["owner"], &stopped["code"]), (told_owner(error), &code.as_str().into()), "{what}");
    assert_eq!(stopped["message"], error["message"], "{what}");
    let passed: Vec<&str> =
        decided["layers"].as_array().unwrap().iter().map(|layer| layer["owner"].as_str().unwrap()).collect();
    // Frozen books say neither what the budgets have left nor whether there is credit; and who is told of them was told
    // before anybody looked at rates.
    let until = if code == RefusalCode::WalletFrozen { Owner::UsageLimit } else { owner };
    let unseen = wrong.contains(&Wrong::Frozen).then_some(Owner::UsageLimit);
    let before = OWNERS.into_iter().filter(|passed| *passed < until && Some(*passed) != unseen);
    let before: Vec<&str> = before.map(Owner::as_str).collect();
    assert_eq!(passed, before, "{what}: all layers before it let the call pass");
    assert_eq!(scene.house.bodies().len(), 0, "{what}: nothing was sent");
    assert!(scene.house.books().holds.is_empty(), "{what}: nothing is held");
}

/// The owner that an error names: Google's shape has it in the metadata of a detail.
fn told_owner(error: &Value) -> &Value {
    error.get("owner").unwrap_or(&error["details"][0]["metadata"]["owner"])
}

/// Asserts that refused calls have used nothing: what allows one call allows this one, and no second.
async fn check_one_is_left(scene: &mut Scene, what: &str) {
    scene.arrange(&[]).await;
    let got = scene.call().await;
    assert_eq!(got.status, 200, "{what}: {}", got.body);
    scene.house.decisions();
    let got = scene.call().await;
    let error: Value = serde_json::from_str(&got.body).unwrap();
    // Each dialect has its status for what no waiting cures.
    let is_openais = error["error"]["type"] == "insufficient_quota";
    let status = if is_openais { 429 } else { 402 };
    assert_eq!((got.status.as_u16(), told_owner(&error["error"])), (status, &"usage_limit".into()), "{what}");
    assert_eq!(scene.house.bodies().len(), 1, "{what}");
}

#[test]
fn of_two_owners_the_first_refuses_a_chat_and_nothing_is_used() {
    check_pairs(Endpoint::Chat);
}

#[test]
fn of_two_owners_the_first_refuses_messages_and_nothing_is_used() {
    check_pairs(Endpoint::Messages);
}

#[test]
fn of_two_owners_the_first_refuses_content_and_nothing_is_used() {
    check_pairs(Endpoint::GenerateContent);
}

fn check_pairs(endpoint: Endpoint) {
    for one in reasons() {
        // Each provider listens until its runtime ends, so they have one for each row of the table.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for other in reasons() {
                let what = format!("{:?}, then {:?}", one.0, other.0);
                let mut scene = Scene::new(endpoint).await;
                scene.arrange(&[one.0]).await;
                check_refused(&scene, &scene.call().await, &[one.0], one.1, &what);
                scene.arrange(&[one.0, other.0]).await;
                check_refused(&scene, &scene.call().await, &[one.0, other.0], first(one, other), &what);
                check_one_is_left(&mut scene, &what).await;
            }
        });
    }
}

#[test]
fn every_code_that_can_be_brought_about_stands_in_the_table() {
    let told: Vec<RefusalCode> = reasons().into_iter().map(|(_, code)| code).collect();
    assert!(told.is_sorted(), "the table is in the order of the specification");
    let missing: Vec<_> = RefusalCode::ALL.iter().filter(|code| !told.contains(code)).collect();
    // The scene has neither images nor programmes nor free models; `paying.rs` has those.
    let elsewhere = [
        RefusalCode::ProgrammeNotJoined,
        RefusalCode::ProgrammeOver,
        // Nor servers of one's own: `inventory.rs`.
        RefusalCode::ModelNotServed,
        RefusalCode::ImagesPerMinuteExceeded,
        RefusalCode::FreeRequestsUsedUp,
        // Nor caps of the provider's: `caps/tests.rs`.
        RefusalCode::ProviderCapReached,
    ];
    assert_eq!(missing, elsewhere.iter().collect::<Vec<_>>());
}
