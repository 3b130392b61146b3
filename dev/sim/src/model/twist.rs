//! Rules turned wrong on purpose, one at a time. A test runs each against the ledger: the comparison must notice.

/// One rule of the model, turned wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// Prepaid credit burns before promotional.
    PrepaidFirst,
    /// The latest expiry burns first.
    LatestFirst,
    /// Of lots with the same expiry the greater id burns first.
    GreaterIdFirst,
    /// A lot is due only after its expiry.
    DueLater,
    /// Due lots expire whole, although holds need them.
    NoGrace,
    /// The organization's wallet pays before the project's.
    OrganizationFirst,
    /// A project's wallet always overflows.
    AlwaysOverflow,
    /// A wallet in debt takes holds.
    HoldInDebt,
    /// A hold is never shrunk.
    NoShrink,
    /// A budget's room does not shrink a hold.
    NoBudgetShrink,
    /// A charge above its hold becomes debt at once.
    DebtAtOnce,
    /// The first of the chain owes, not the last.
    FirstOwes,
    /// What comes in does not pay debt.
    DebtStays,
    /// A settlement leaves debt as it is.
    DebtStaysAfterSettlement,
    /// Promotional credit can be transferred.
    TransferPromo,
    /// Any lot can be paid out.
    PayOutAny,
    /// A call may be refunded more than it was charged.
    RefundTooMuch,
    /// A soft budget refuses, too.
    SoftRefuses,
    /// Budgets forget what running calls reserve.
    NoReservation,
    /// Thresholds are told of when they are passed, not when they are reached.
    ThresholdPassed,
    /// A threshold is told of again and again.
    ToldAgain,
    /// Weeks begin on Sunday.
    SundayFirst,
    /// A call counts in the period in which it ends.
    CountAtEnd,
    /// Named budgets refuse before those with a count for each.
    NamedFirst,
    /// A promo code may be redeemed again by the same organization.
    RedeemAgain,
    /// A lot is warned of again.
    WarnAgain,
    /// An idempotency key is good for any body.
    AnyBody,
    /// The same payment can be booked again.
    PayAgain,
    /// A new budget does not know what was consumed before it.
    NewBudgetIsEmpty,
    /// A removed budget can be made anew.
    BudgetReturns,
    /// The wallets of a call's first attempt pay for those at other models, too.
    ChainStays,
    /// A wallet must be for every attempt, also for those that failed at no cost.
    EveryAttempt,
    /// What was told of an earlier attempt can not be told anew.
    RowsStay,
    /// A pool pays for the last part first.
    LastPartFirst,
    /// Units that a hold counts on are not let go before its pool pays.
    CountedOnStays,
    /// A pool pays for what was counted on, not for what is left.
    PaysWhatWasCountedOn,
    /// A strict pool gets back what a failed attempt took.
    FailedGivesBack,
    /// What was used of a pool in one period is used in all.
    AnyPeriod,
    /// What a pool will pay for is needed in money as well.
    NeedNotReduced,
    /// Who needs no money may not owe any either.
    DebtAlwaysAsked,
    /// What is held may be promotional credit that is there for others.
    GrantsIgnoreHeld,
    /// What a pool will pay for is rounded up, also when money must pay for the rest.
    RoundUpPart,
    /// An extension asks for all of it beside what is held.
    HeldCountsForNothing,
    /// The units that a hold counts on are not free for its own extension.
    OwnUnitsNotFree,
}

impl Twist {
    /// All of them.
    pub const ALL: [Self; 44] = [
        Self::PrepaidFirst,
        Self::LatestFirst,
        Self::GreaterIdFirst,
        Self::DueLater,
        Self::NoGrace,
        Self::OrganizationFirst,
        Self::AlwaysOverflow,
        Self::HoldInDebt,
        Self::NoShrink,
        Self::NoBudgetShrink,
        Self::DebtAtOnce,
        Self::FirstOwes,
        Self::DebtStays,
        Self::DebtStaysAfterSettlement,
        Self::TransferPromo,
        Self::PayOutAny,
        Self::RefundTooMuch,
        Self::SoftRefuses,
        Self::NoReservation,
        Self::ThresholdPassed,
        Self::ToldAgain,
        Self::SundayFirst,
        Self::CountAtEnd,
        Self::NamedFirst,
        Self::RedeemAgain,
        Self::WarnAgain,
        Self::AnyBody,
        Self::PayAgain,
        Self::NewBudgetIsEmpty,
        Self::BudgetReturns,
        Self::ChainStays,
        Self::EveryAttempt,
        Self::RowsStay,
        Self::LastPartFirst,
        Self::CountedOnStays,
        Self::PaysWhatWasCountedOn,
        Self::FailedGivesBack,
        Self::AnyPeriod,
        Self::NeedNotReduced,
        Self::DebtAlwaysAsked,
        Self::GrantsIgnoreHeld,
        Self::RoundUpPart,
        Self::HeldCountsForNothing,
        Self::OwnUnitsNotFree,
    ];
}
