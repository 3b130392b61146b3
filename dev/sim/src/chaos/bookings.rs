//! Bookings of every kind, right and wrong ones.

use domain::{BudgetId, Money, Timestamp, WalletId};
use ledger::{
    Act, Booking, Budget, Caps, Grant, Idempotency, LotKind, Note, Period, PromoCode, Purpose, Subject, Tag,
};

use super::{Chaos, SECOND, Scale, id};
use crate::model::{Model, Owner};

impl Chaos {
    /// A booking of the kind with this number among the weights.
    pub(super) fn booking(&mut self, kind: usize, owner: &Owner, model: &Model) -> Booking {
        let act = self.act(kind, owner, model);
        let idempotency = self.random.chance(400).then(|| {
            let number = self.number();
            Idempotency {
                key: format!("key-{number}"),
                digest: [u8::try_from(number % 256).unwrap_or(0); 32],
            }
        });
        let reason = self.random.chance(950).then(|| Box::from("as agreed"));
        Booking { organization: owner.id, idempotency, note: Note { actor: "operator".into(), reason }, act }
    }

    fn act(&mut self, kind: usize, owner: &Owner, model: &Model) -> Act {
        match kind {
            4 => Act::Grant(self.grant(owner, model)),
            5 => {
                let mut grant = self.grant(owner, model);
                grant.kind = if self.random.chance(30) { LotKind::Promo } else { LotKind::Prepaid };
                Act::TopUp { grant, payment: self.payment() }
            }
            6 => self.redeem(model),
            7 if owner.purses.len() <= self.universe.wallets_most || self.random.chance(200) => {
                self.open_wallet(owner)
            }
            7 | 8 => Act::Transfer {
                from: self.wallet(owner),
                to: self.wallet(owner),
                amount: self.amount_near(owner),
                lot: self.lot_id(model),
            },
            9 => self.refund(owner, model),
            10 => Act::PayOut {
                wallet: self.wallet(owner),
                amount: self.amount_near(owner),
                payout: self.lot_id(model),
            },
            11 => {
                let amount = self.amount_near(owner);
                let up = self.random.chance(400);
                Act::Adjust {
                    wallet: self.wallet(owner),
                    amount: if up { amount } else { amount.checked_neg().unwrap_or(amount) },
                    lot: self.lot_id(model),
                    expires_at: self.expiry(),
                }
            }
            12 => Act::SetBudget(self.budget(owner, model)),
            _ => Act::RemoveBudget(self.budget_id(owner, model)),
        }
    }

    fn grant(&mut self, owner: &Owner, model: &Model) -> Grant {
        let kind = match self.random.below(20) {
            0 => LotKind::Refund,
            1..=9 => LotKind::Promo,
            _ => LotKind::Prepaid,
        };
        Grant {
            wallet: if self.random.chance(400) { None } else { Some(self.wallet(owner)) },
            lot: self.lot_id(model),
            kind,
            amount: self.amount(),
            expires_at: self.expiry(),
        }
    }

    /// A wallet of the organization, now and then one of nobody.
    fn wallet(&mut self, owner: &Owner) -> WalletId {
        if self.random.chance(20) {
            return WalletId::from_bytes(id(4, 99));
        }
        self.random.pick(&owner.purses).map_or(WalletId::from_bytes(id(4, 99)), |purse| purse.id)
    }

    /// An amount, often what some wallet just has, or a bit more or less.
    fn amount_near(&mut self, owner: &Owner) -> Money {
        if self.random.chance(600) {
            return self.amount();
        }
        let position = self.random.position(owner.purses.len());
        let available = i64::try_from(owner.available(position)).unwrap_or(i64::MAX);
        Money::from_nano(available.saturating_add(self.random.within(-1, 1)))
    }

    /// A moment at which credit ends: soon, later, never, or before it began.
    fn expiry(&mut self) -> Timestamp {
        let quantum = self.universe.quantum;
        let soon = self.now.div_euclid(quantum).saturating_mul(quantum);
        match self.random.below(20) {
            0 => Timestamp::from_micros(self.now.saturating_sub(self.random.within(0, 1))),
            1 => Timestamp::from_micros(self.now + 1),
            2..=7 => Timestamp::MAX,
            _ => {
                Timestamp::from_micros(soon.saturating_add(quantum.saturating_mul(self.random.within(1, 6))))
            }
        }
    }

    fn payment(&mut self) -> Box<str> {
        if self.random.chance(250)
            && let Some(payment) = self.random.pick(&self.payments)
        {
            return payment.clone();
        }
        let payment: Box<str> = format!("stripe:pi_{}", self.number()).into();
        self.payments.push(payment.clone());
        payment
    }

    fn redeem(&mut self, model: &Model) -> Act {
        let known = self.random.pick(&self.codes).map(|code| code.code.clone());
        let code = if self.random.chance(50) { None } else { known };
        Act::Redeem {
            code: code.unwrap_or_else(|| "NO-SUCH-CODE".into()),
            lot: self.lot_id(model),
            wallet: self.wallet_id(model),
        }
    }

    fn wallet_id(&mut self, model: &Model) -> WalletId {
        let used = model.wallet_ids.first().copied();
        match used {
            Some(used) if self.random.chance(20) => used,
            _ => WalletId::from_bytes(id(4, self.number())),
        }
    }

    fn models(&mut self) -> Vec<Box<str>> {
        let count = self.random.below(3);
        (0..count).filter_map(|_| self.random.pick(&self.universe.patterns).cloned()).collect()
    }

    fn open_wallet(&mut self, owner: &Owner) -> Act {
        let project =
            if self.random.chance(700) { self.random.pick(&self.universe.projects).copied() } else { None };
        let models = if self.random.chance(500) { self.models() } else { Vec::new() };
        let plain = project.is_some() && models.is_empty();
        let overflow = self.random.chance(500) && (plain || self.random.chance(100));
        let wallet = match owner.purses.last() {
            Some(purse) if self.random.chance(30) => purse.id,
            _ => WalletId::from_bytes(id(4, self.number())),
        };
        Act::OpenWallet { wallet, purpose: Purpose { name: "aside".into(), project, models, overflow } }
    }

    fn refund(&mut self, owner: &Owner, model: &Model) -> Act {
        let ended = owner.ended.len().min(30);
        let found = owner.ended.iter().nth_back(self.random.position(ended));
        let left =
            found.map_or(1, |(_, ended)| i64::try_from(ended.charged - ended.refunded).unwrap_or(i64::MAX));
        let request = match found {
            Some((request, _)) if !self.random.chance(50) => *request,
            _ => domain::RequestId::from_bytes(id(6, self.issued)),
        };
        let nano = match self.random.below(4) {
            0 => left.saturating_add(1),
            1 => left,
            _ => self.random.within(1, left.max(1)),
        };
        let expires_at = self.expiry();
        Act::Refund { request, amount: Money::from_nano(nano), lot: self.lot_id(model), expires_at }
    }

    pub(super) fn issue(&mut self) -> PromoCode {
        if self.random.chance(250)
            && let Some(mut code) = self.random.pick(&self.codes).cloned()
        {
            if self.random.chance(500) {
                code.uses_max += 1;
            }
            return code;
        }
        let code = PromoCode {
            code: format!("CODE-{}", self.number()).into(),
            amount: self.amount(),
            expires_at: self.expiry(),
            credit_seconds: self.random.chance(600).then(|| 1 + self.universe.quantum / SECOND),
            uses_max: 1 + self.random.below(2),
            uses: 0,
            models: self.models(),
            created_at: Timestamp::from_micros(self.now),
        };
        self.codes.push(code.clone());
        code
    }

    fn budget_id(&mut self, owner: &Owner, model: &Model) -> BudgetId {
        if self.random.chance(50)
            && let Some((id, _)) = model.budget_ids.first_key_value()
        {
            return *id;
        }
        self.random.pick(&owner.budgets).map_or(BudgetId::from_bytes(id(7, 0)), |budget| budget.id)
    }

    fn budget(&mut self, owner: &Owner, model: &Model) -> Budget {
        let full = owner.budgets.len() >= self.universe.budgets_most;
        if (full || self.random.chance(200))
            && let Some(known) = self.random.pick(&owner.budgets).cloned()
        {
            return self.changed(known);
        }
        let id = match model.budget_ids.first_key_value() {
            Some((id, _)) if self.random.chance(60) => *id,
            _ => BudgetId::from_bytes(id(7, self.number())),
        };
        Budget {
            id,
            subject: self.subject(),
            period: *self
                .random
                .pick(&[Period::Daily, Period::Weekly, Period::Monthly, Period::Total])
                .unwrap_or(&Period::Total),
            zone: self.random.pick(&self.universe.zones).cloned().unwrap_or_default(),
            caps: self.caps(),
            hard: self.random.chance(600),
            thresholds: self.thresholds(),
        }
    }

    /// A known budget with other caps; now and then with what must not change changed.
    fn changed(&mut self, known: Budget) -> Budget {
        let mut budget = Budget { caps: self.caps(), thresholds: self.thresholds(), ..known };
        match self.random.below(12) {
            0 => budget.subject = self.subject(),
            1 => budget.period = Period::Total,
            2 => budget.hard = !budget.hard,
            _ => {}
        }
        budget
    }

    fn subject(&mut self) -> Subject {
        let universe = &self.universe;
        let random = &mut self.random;
        let named = random.chance(400);
        let name = |random: &mut crate::Random, names: &[Box<str>]| {
            if named { random.pick(names).cloned() } else { None }
        };
        let projects: Vec<Box<str>> = universe.projects.iter().map(|id| id.to_string().into()).collect();
        let keys: Vec<Box<str>> = universe.keys.iter().map(|id| id.to_string().into()).collect();
        match random.below(9) {
            0 | 1 => Subject::Organization,
            2 => Subject::Project(name(random, &projects)),
            3 => Subject::Key(name(random, &keys)),
            4 => Subject::User(name(random, &universe.users)),
            5 => Subject::Tag(Tag::Feature, name(random, &universe.features)),
            6 => Subject::Tag(Tag::Environment, named.then(|| "dev".into())),
            _ => Subject::Run(name(random, &universe.runs)),
        }
    }

    fn caps(&mut self) -> Caps {
        let unit = self.universe.unit;
        let cost = match self.universe.scale {
            Scale::Huge => self.random.within(0, i64::MAX - 1),
            Scale::Tiny | Scale::Usual => self.random.within(0, unit.saturating_mul(3)),
        };
        Caps {
            cost: self.random.chance(600).then(|| Money::from_nano(cost)),
            tokens: self.random.chance(300).then(|| self.random.below(1_000)),
            steps: self.random.chance(300).then(|| self.random.below(30)),
        }
    }

    fn thresholds(&mut self) -> Vec<u8> {
        let lists: [&[u8]; 6] = [&[], &[50, 80], &[50, 80, 100], &[1], &[100], &[10, 20, 30, 90]];
        self.random.pick(&lists).copied().unwrap_or_default().to_vec()
    }
}
