//! `wallets`, `credits` and `promo`: money that comes, moves and goes.

use serde_json::{Value, json};

use super::operator::{Operator, object, once, query};
use crate::args::{
    CreditsAdjustArgs, CreditsBalanceArgs, CreditsCommand, CreditsGrantArgs, CreditsLedgerArgs,
    CreditsPayoutArgs, CreditsRedeemArgs, CreditsRefundArgs, CreditsTransferArgs, PromoCommand,
    PromoCreateArgs, WalletName, WalletsCommand, WalletsCreateArgs, WalletsListArgs,
};
use crate::client::Call;
use crate::failure::Failure;
use crate::views;

impl Operator<'_> {
    /// `wallets …`
    pub(crate) fn wallets(&mut self, command: WalletsCommand) -> Result<(), Failure> {
        match command {
            WalletsCommand::Create(args) => self.create_wallet(args),
            WalletsCommand::List(WalletsListArgs { org, gateway }) => {
                let call = Call::get(format!("/admin/v1/wallets?organization={org}"));
                self.call::<views::Wallets>(&gateway, call)
            }
        }
    }

    fn create_wallet(&mut self, args: WalletsCreateArgs) -> Result<(), Failure> {
        let body = object([
            ("organization", Some(json!(args.org))),
            ("name", Some(Value::from(args.name))),
            ("project", args.project.map(|project| json!(project))),
            ("models", (!args.model.is_empty()).then(|| json!(args.model))),
            ("overflow", args.overflow.then_some(Value::Bool(true))),
        ]);
        let call = Call::post("/admin/v1/wallets", body).once(once(args.once.idempotency_key));
        self.call::<views::Wallet>(&args.gateway, call)
    }

    /// `credits …`
    pub(crate) fn credits(&mut self, command: CreditsCommand) -> Result<(), Failure> {
        match command {
            CreditsCommand::Balance(CreditsBalanceArgs { org, gateway }) => {
                let call = Call::get(format!("/admin/v1/organizations/{org}/balance"));
                self.call::<views::Balance>(&gateway, call)
            }
            CreditsCommand::Grant(args) => self.grant(args),
            CreditsCommand::Transfer(args) => self.transfer(args),
            CreditsCommand::Refund(args) => self.refund(args),
            CreditsCommand::Payout(args) => self.pay_out(args),
            CreditsCommand::Adjust(args) => self.adjust(args),
            CreditsCommand::Redeem(args) => self.redeem(args),
            CreditsCommand::Statement(args) => self.statement(args),
            CreditsCommand::Topup(args) => self.top_up(args),
            CreditsCommand::Confirm(args) => self.confirm_topup(args),
            CreditsCommand::Topups(args) => self.topups(args),
            CreditsCommand::Recharge(command) => self.recharge(command),
            CreditsCommand::Ledger(CreditsLedgerArgs { org, page, gateway }) => {
                let call = Call::get(format!("/admin/v1/organizations/{org}/ledger?{}", query(&page)));
                self.call::<views::Ledger>(&gateway, call)
            }
        }
    }

    fn grant(&mut self, args: CreditsGrantArgs) -> Result<(), Failure> {
        let body = object([
            ("organization", Some(json!(args.org))),
            ("wallet", beside_own(args.wallet)),
            ("amount", Some(json!(args.amount))),
            ("kind", Some(Value::from(args.kind))),
            ("expires_at", args.expires.map(|at| json!(at))),
            ("reason", args.reason.map(Value::from)),
        ]);
        let call = Call::post("/admin/v1/credits/grants", body).once(once(args.once.idempotency_key));
        self.call::<views::Lot>(&args.gateway, call)
    }

    fn transfer(&mut self, args: CreditsTransferArgs) -> Result<(), Failure> {
        let body = object([
            ("organization", Some(json!(args.org))),
            ("from", Some(json!(args.from.to_string()))),
            ("to", Some(json!(args.to.to_string()))),
            ("amount", Some(json!(args.amount))),
            ("reason", args.reason.map(Value::from)),
        ]);
        let call = Call::post("/admin/v1/credits/transfers", body).once(once(args.once.idempotency_key));
        self.call::<views::Transfer>(&args.gateway, call)
    }

    fn refund(&mut self, args: CreditsRefundArgs) -> Result<(), Failure> {
        let body = object([
            ("request", Some(json!(args.request_id))),
            ("amount", args.amount.map(|amount| json!(amount))),
            ("expires_at", args.expires.map(|at| json!(at))),
            ("reason", Some(Value::from(args.reason))),
        ]);
        let call = Call::post("/admin/v1/credits/refunds", body).once(once(args.once.idempotency_key));
        self.call::<views::Lot>(&args.gateway, call)
    }

    fn pay_out(&mut self, args: CreditsPayoutArgs) -> Result<(), Failure> {
        let question = format!("This takes {} of paid credit from {} for good.", args.amount, args.org);
        self.confirm(args.confirm.yes, &question)?;
        let body = object([
            ("organization", Some(json!(args.org))),
            ("wallet", beside_own(args.wallet)),
            ("amount", Some(json!(args.amount))),
            ("reason", Some(Value::from(args.reason))),
        ]);
        let call = Call::post("/admin/v1/credits/payouts", body).once(once(args.once.idempotency_key));
        self.call::<views::Withdrawal>(&args.gateway, call)
    }

    fn adjust(&mut self, args: CreditsAdjustArgs) -> Result<(), Failure> {
        let takes = args.amount.is_negative();
        if takes {
            let question = format!("This changes the credit of {} by {} for good.", args.org, args.amount);
            self.confirm(args.confirm.yes, &question)?;
        }
        let body = object([
            ("organization", Some(json!(args.org))),
            ("wallet", beside_own(args.wallet)),
            ("amount", Some(json!(args.amount))),
            ("expires_at", args.expires.map(|at| json!(at))),
            ("reason", Some(Value::from(args.reason))),
        ]);
        let call = Call::post("/admin/v1/credits/adjustments", body).once(once(args.once.idempotency_key));
        if takes {
            self.call::<views::Withdrawal>(&args.gateway, call)
        } else {
            self.call::<views::Lot>(&args.gateway, call)
        }
    }

    fn redeem(&mut self, args: CreditsRedeemArgs) -> Result<(), Failure> {
        let body = json!({ "organization": args.org, "code": args.code });
        let call = Call::post("/admin/v1/credits/redeem", body).once(once(args.once.idempotency_key));
        self.call::<views::Lot>(&args.gateway, call)
    }

    /// `promo …`
    pub(crate) fn promo(&mut self, command: PromoCommand) -> Result<(), Failure> {
        match command {
            PromoCommand::Create(args) => self.create_promo_code(args),
            PromoCommand::List(args) => {
                let call = Call::get("/admin/v1/promo-codes".to_owned());
                self.call::<views::PromoCodes>(&args.gateway, call)
            }
        }
    }

    fn create_promo_code(&mut self, args: PromoCreateArgs) -> Result<(), Failure> {
        let body = object([
            ("code", Some(Value::from(args.code))),
            ("amount", Some(json!(args.amount))),
            ("uses", Some(json!(args.uses))),
            ("expires_at", args.expires.map(|at| json!(at))),
            ("credit_days", args.credit_days.map(|days| json!(days))),
            ("models", (!args.model.is_empty()).then(|| json!(args.model))),
        ]);
        self.call::<views::PromoCode>(&args.gateway, Call::post("/admin/v1/promo-codes", body))
    }
}

/// A wallet to be named; the own one is what is meant when none is.
fn beside_own(wallet: WalletName) -> Option<Value> {
    match wallet {
        WalletName::Own => None,
        WalletName::Id(id) => Some(json!(id)),
    }
}
