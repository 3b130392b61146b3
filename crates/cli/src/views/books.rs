//! Wallets, credit and the ledger as a person reads them.

use domain::{LotId, Money, OrganizationId, ProjectId, Timestamp, WalletId};
use serde::Deserialize;

use super::{below, expiry, second};
use crate::output::View;
use crate::table::{Column, fields, rows};

/// Credit just given: a grant, a refund, a redeemed code, an adjustment upward.
#[derive(Debug, Deserialize)]
pub(crate) struct Lot {
    id: LotId,
    organization: OrganizationId,
    wallet: WalletId,
    kind: String,
    amount: Money,
    expires_at: Option<Timestamp>,
}

impl View for Lot {
    fn human(&self) -> String {
        fields(&[
            ("id", self.id.to_string()),
            ("organization", self.organization.to_string()),
            ("wallet", self.wallet.to_string()),
            ("kind", self.kind.clone()),
            ("amount", self.amount.to_string()),
            ("expires", expiry(self.expires_at)),
        ])
    }

    fn note(&self) -> Option<String> {
        Some(format!("next: tollkeeper credits balance --org {}", self.organization))
    }
}

/// Credit just moved between two wallets.
#[derive(Debug, Deserialize)]
pub(crate) struct Transfer {
    organization: OrganizationId,
    from: WalletId,
    to: WalletId,
    amount: Money,
    lots: Vec<Lot>,
}

impl View for Transfer {
    fn human(&self) -> String {
        fields(&[
            ("organization", self.organization.to_string()),
            ("from", self.from.to_string()),
            ("to", self.to.to_string()),
            ("amount", self.amount.to_string()),
            ("as lots", self.lots.len().to_string()),
        ])
    }

    fn note(&self) -> Option<String> {
        Some(format!("next: tollkeeper credits balance --org {}", self.organization))
    }
}

/// Credit just taken out: a payout, an adjustment downward.
#[derive(Debug, Deserialize)]
pub(crate) struct Withdrawal {
    id: LotId,
    organization: OrganizationId,
    wallet: WalletId,
    amount: Money,
    draws: Vec<Draw>,
}

#[derive(Debug, Deserialize)]
struct Draw {
    lot: LotId,
    amount: Money,
}

impl View for Withdrawal {
    fn human(&self) -> String {
        let head = fields(&[
            ("id", self.id.to_string()),
            ("organization", self.organization.to_string()),
            ("wallet", self.wallet.to_string()),
            ("amount", self.amount.to_string()),
        ]);
        const COLUMNS: &[Column] = &[Column::Text("TAKEN FROM"), Column::Number("AMOUNT")];
        let draws = self.draws.iter().map(|draw| vec![draw.lot.to_string(), draw.amount.to_string()]);
        below(head, rows(COLUMNS, draws))
    }
}

/// A wallet and what is in it.
#[derive(Debug, Deserialize)]
pub(crate) struct Wallet {
    id: WalletId,
    organization: OrganizationId,
    own: bool,
    name: String,
    project: Option<ProjectId>,
    models: Vec<String>,
    overflow: bool,
    posted: Money,
    held: Money,
    available: Money,
    debt: Money,
    lots: Vec<WalletLot>,
}

#[derive(Debug, Deserialize)]
struct WalletLot {
    id: LotId,
    kind: String,
    granted: Money,
    remaining: Money,
    expires_at: Option<Timestamp>,
}

impl Wallet {
    const COLUMNS: &[Column] = &[
        Column::Text("WALLET"),
        Column::Text("NAME"),
        Column::Number("AVAILABLE"),
        Column::Number("HELD"),
        Column::Number("POSTED"),
        Column::Number("DEBT"),
        Column::Text("PAYS FOR"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.available.to_string(),
            self.held.to_string(),
            self.posted.to_string(),
            self.debt.to_string(),
            self.pays_for(),
        ]
    }

    fn pays_for(&self) -> String {
        let project = self.project.map(|project| project.to_string());
        let models = (!self.models.is_empty()).then(|| self.models.join(", "));
        let mut words = match (project, models) {
            (None, None) => "all calls".to_owned(),
            (Some(project), None) => project,
            (None, Some(models)) => models,
            (Some(project), Some(models)) => format!("{models} of {project}"),
        };
        if self.overflow {
            words.push_str(", then own");
        }
        words
    }
}

impl View for Wallet {
    fn human(&self) -> String {
        fields(&[
            ("id", self.id.to_string()),
            ("name", self.name.clone()),
            ("organization", self.organization.to_string()),
            ("pays for", self.pays_for()),
            ("available", self.available.to_string()),
        ])
    }

    fn note(&self) -> Option<String> {
        let put_in = "tollkeeper credits transfer --from own --amount AMOUNT";
        (!self.own).then(|| format!("next: {put_in} --org {} --to {}", self.organization, self.id))
    }
}

/// All wallets of an organization.
#[derive(Debug, Deserialize)]
pub(crate) struct Wallets {
    data: Vec<Wallet>,
}

impl View for Wallets {
    fn human(&self) -> String {
        rows(Wallet::COLUMNS, self.data.iter().map(Wallet::cells))
    }
}

/// What an organization has, holds and owes.
#[derive(Debug, Deserialize)]
pub(crate) struct Balance {
    organization: OrganizationId,
    currency: String,
    posted: Money,
    held: Money,
    available: Money,
    debt: Money,
    frozen: bool,
    wallets: Vec<Wallet>,
}

impl View for Balance {
    fn human(&self) -> String {
        let head = fields(&[
            ("organization", self.organization.to_string()),
            ("currency", self.currency.clone()),
            ("available", self.available.to_string()),
            ("held", self.held.to_string()),
            ("posted", self.posted.to_string()),
            ("debt", self.debt.to_string()),
        ]);
        const COLUMNS: &[Column] = &[
            Column::Text("LOT"),
            Column::Text("KIND"),
            Column::Number("GRANTED"),
            Column::Number("REMAINING"),
            Column::Text("EXPIRES"),
            Column::Text("WALLET"),
        ];
        let lots = self.wallets.iter().flat_map(|wallet| wallet.lots.iter().map(move |lot| (wallet, lot)));
        let lots = lots.map(|(wallet, lot)| {
            vec![
                lot.id.to_string(),
                lot.kind.clone(),
                lot.granted.to_string(),
                lot.remaining.to_string(),
                expiry(lot.expires_at),
                wallet.name.clone(),
            ]
        });
        let lots = rows(COLUMNS, lots);
        // A table of one wallet says what stands above it.
        let beside = if self.wallets.len() > 1 { self.wallets.as_slice() } else { &[] };
        below(below(head, rows(Wallet::COLUMNS, beside.iter().map(Wallet::cells))), lots)
    }

    fn note(&self) -> Option<String> {
        if self.frozen {
            return Some("the books are frozen: run `tollkeeper verify` on the gateway's folder".to_owned());
        }
        if !self.debt.is_zero() {
            return Some("new calls are refused until a grant covers the debt".to_owned());
        }
        self.wallets.iter().all(|wallet| wallet.lots.is_empty()).then(|| {
            format!("next: tollkeeper credits grant --org {} --amount 5.00 --kind promo", self.organization)
        })
    }
}

/// What was booked, newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    data: Vec<Entry>,
    has_more: bool,
}

#[derive(Debug, Deserialize)]
struct Entry {
    sequence: u64,
    at: Timestamp,
    kind: String,
    about: About,
    amount: Option<Money>,
    moved: Option<Money>,
    balance: Money,
    wallet_name: Option<String>,
    actor: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct About {
    id: String,
}

impl Entry {
    const COLUMNS: &[Column] = &[
        Column::Number("SEQ"),
        Column::Text("AT"),
        Column::Text("ENTRY"),
        Column::Number("AMOUNT"),
        Column::Number("BALANCE"),
        Column::Text("WALLET"),
        Column::Text("ABOUT"),
        Column::Text("BY"),
    ];

    fn cells(&self) -> Vec<String> {
        let amount = self.amount.unwrap_or_default();
        let amount = self.moved.map_or_else(|| amount.to_string(), |moved| format!("({moved})"));
        let reason = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let by = self.actor.as_deref().map(|actor| format!("{actor}{reason}"));
        vec![
            self.sequence.to_string(),
            second(self.at),
            self.kind.replace('_', " "),
            amount,
            self.balance.to_string(),
            self.wallet_name.clone().unwrap_or_default(),
            self.about.id.clone(),
            by.unwrap_or_default(),
        ]
    }
}

impl View for Ledger {
    fn human(&self) -> String {
        rows(Entry::COLUMNS, self.data.iter().map(Entry::cells))
    }

    fn note(&self) -> Option<String> {
        let mut notes = Vec::new();
        if self.data.is_empty() {
            notes.push("nothing was booked yet".to_owned());
        }
        if self.data.iter().any(|entry| entry.moved.is_some()) {
            notes.push("in brackets: moved from wallet to wallet, so the balance stays".to_owned());
        }
        if let Some(last) = self.data.last().filter(|_| self.has_more) {
            notes.push(format!("older entries exist: --before {}", last.sequence));
        }
        (!notes.is_empty()).then(|| notes.join("\n"))
    }
}

/// A promo code.
#[derive(Debug, Deserialize)]
pub(crate) struct PromoCode {
    code: String,
    amount: Money,
    uses: u64,
    used: u64,
    expires_at: Option<Timestamp>,
    credit_days: Option<u64>,
    models: Vec<String>,
}

impl PromoCode {
    fn lasts(&self) -> String {
        self.credit_days.map_or_else(|| "for ever".to_owned(), |days| format!("{days} days"))
    }

    fn pays_for(&self) -> String {
        if self.models.is_empty() { "all models".to_owned() } else { self.models.join(", ") }
    }
}

impl View for PromoCode {
    fn human(&self) -> String {
        fields(&[
            ("code", self.code.clone()),
            ("amount", self.amount.to_string()),
            ("redeemed", format!("{} of {}", self.used, self.uses)),
            ("expires", expiry(self.expires_at)),
            ("credit lasts", self.lasts()),
            ("pays for", self.pays_for()),
        ])
    }

    fn note(&self) -> Option<String> {
        Some(format!("next: tollkeeper credits redeem {} --org ID", self.code))
    }
}

/// All promo codes.
#[derive(Debug, Deserialize)]
pub(crate) struct PromoCodes {
    data: Vec<PromoCode>,
}

impl View for PromoCodes {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("CODE"),
            Column::Number("AMOUNT"),
            Column::Number("REDEEMED"),
            Column::Text("EXPIRES"),
            Column::Text("CREDIT LASTS"),
            Column::Text("PAYS FOR"),
        ];
        let cells = self.data.iter().map(|code| {
            vec![
                code.code.clone(),
                code.amount.to_string(),
                format!("{} of {}", code.used, code.uses),
                expiry(code.expires_at),
                code.lasts(),
                code.pays_for(),
            ]
        });
        rows(COLUMNS, cells)
    }

    fn note(&self) -> Option<String> {
        let next = "next: tollkeeper promo create CODE --amount 5.00 --uses 100";
        self.data.is_empty().then(|| next.to_owned())
    }
}
