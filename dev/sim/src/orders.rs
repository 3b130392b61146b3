//! Whether the order in which calls end matters. For a few holds every order of their settlements is tried, on the
//! ledger's books and on the model, from the same beginning: the end must be the same.

use domain::{BudgetId, KeyId, LotId, Money, OrganizationId, ProjectId, RequestId, Timestamp, WalletId};
use ledger::{
    Act, AttemptStatus, Attribution, Booking, Books, Budget, Caps, Changes, Command, CostRow, Grant,
    HoldRequest, LotKind, Note, Past, Period, Purpose, Reply, Subject, Wallet,
};

use crate::Random;
use crate::chaos::id;
use crate::model::Model;

/// What is laid out before calls end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Several wallets; charges stay within their holds.
    ChainWithinHolds,
    /// One wallet; charges are whatever they are.
    OneWallet,
}

/// What all orders of a scene must agree on: wallets with lots and debts, and what budgets counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    wallets: Vec<Wallet>,
    uses: Vec<(ledger::UseKey, ledger::Use)>,
}

/// Lays a seed's scene out and ends its calls in every order. Answers how many orders there were.
///
/// # Errors
/// Two orders with different ends, or a model that disagrees.
pub fn try_all_orders(seed: u64, scene: Scene) -> Result<usize, String> {
    let stage = Stage::new(seed, scene)?;
    let mut first: Option<End> = None;
    let mut count = 0;
    let mut order: Vec<usize> = (0..stage.ends.len()).collect();
    let mut failure = None;
    permute(&mut order, 0, &mut |order| {
        count += 1;
        if failure.is_some() {
            return;
        }
        match (stage.play(order), &first) {
            (Err(what), _) => failure = Some(format!("order {order:?}: {what}")),
            (Ok(end), None) => first = Some(end),
            (Ok(end), Some(known)) if end != *known => {
                failure = Some(format!("order {order:?} ends with {end:#?}, another one with {known:#?}"));
            }
            (Ok(_), Some(_)) => {}
        }
    });
    failure.map_or(Ok(count), Err)
}

/// Visits every order of the items.
fn permute(items: &mut [usize], fixed: usize, visit: &mut impl FnMut(&[usize])) {
    if fixed >= items.len() {
        visit(items);
        return;
    }
    for position in fixed..items.len() {
        items.swap(fixed, position);
        permute(items, fixed + 1, visit);
        items.swap(fixed, position);
    }
}

const OWNER: OrganizationId = OrganizationId::from_bytes([1; 16]);
const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

/// Books with live holds, and how each of them will end.
struct Stage {
    books: Books,
    model: Model,
    ends: Vec<Command>,
}

impl Stage {
    fn new(seed: u64, scene: Scene) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let wallet = WalletId::from_bytes(id(4, 0));
        let mut stage = Self { books: Books::new(OWNER, wallet), model: Model::default(), ends: Vec::new() };
        stage.model.run(&Command::Open { organization: OWNER, wallet }, NOW);
        let mut wallets = vec![wallet];
        if scene == Scene::ChainWithinHolds {
            wallets.extend(stage.open_wallets(&mut random)?);
        }
        stage.set_budgets()?;
        for number in 0..=random.below(5) {
            let wallet = random.pick(&wallets).copied();
            stage.book(grant(&mut random, wallet, u32::try_from(number).unwrap_or(0)))?;
        }
        let calls = 2 + u32::try_from(random.below(5)).unwrap_or(0);
        for number in 0..calls {
            stage.hold(&mut random, scene, number)?;
        }
        Ok(stage)
    }

    fn open_wallets(&mut self, random: &mut Random) -> Result<Vec<WalletId>, String> {
        let project = Some(ProjectId::from_bytes(id(2, 1)));
        let purposes = [(project, vec![]), (None, vec!["small*".into()]), (project, vec!["small".into()])];
        let mut opened = Vec::new();
        for (number, (project, models)) in purposes.into_iter().enumerate() {
            if random.chance(700) {
                let wallet = WalletId::from_bytes(id(4, u32::try_from(number + 1).unwrap_or(0)));
                let overflow = models.is_empty() && random.chance(700);
                let purpose = Purpose { name: "aside".into(), project, models, overflow };
                self.book(Act::OpenWallet { wallet, purpose })?;
                opened.push(wallet);
            }
        }
        Ok(opened)
    }

    fn set_budgets(&mut self) -> Result<(), String> {
        for (number, period) in [Period::Daily, Period::Total].into_iter().enumerate() {
            self.book(Act::SetBudget(Budget {
                id: BudgetId::from_bytes(id(7, u32::try_from(number).unwrap_or(0))),
                subject: Subject::Organization,
                period,
                zone: domain::Zone::default(),
                caps: Caps { cost: Some(Money::from_nano(200)), tokens: Some(1_000), steps: None },
                hard: false,
                thresholds: vec![10, 50, 80],
            }))?;
        }
        Ok(())
    }

    fn book(&mut self, act: Act) -> Result<Reply, String> {
        let note = Note { actor: "operator".into(), reason: Some("as agreed".into()) };
        self.command(Command::Book(Box::new(Booking { organization: OWNER, idempotency: None, note, act })))
    }

    /// Gives a command to both; an answer that differs is a violation.
    fn command(&mut self, command: Command) -> Result<Reply, String> {
        let expected = self.model.run(&command, NOW).reply;
        let reply = ledger::apply(&mut self.books, command, Past::default(), NOW, &mut Changes::default());
        if reply != expected {
            return Err(format!("the ledger answers {reply:?}, the model {expected:?}"));
        }
        reply.map_err(|denial| denial.to_string())
    }

    /// Holds for a call if there is anything to hold, and decides what it will cost.
    fn hold(&mut self, random: &mut Random, scene: Scene, number: u32) -> Result<(), String> {
        let request = RequestId::from_bytes(id(6, number));
        let row = row(random, request);
        let hold = HoldRequest {
            organization: OWNER,
            request,
            amount: Money::from_nano(random.within(0, 20)),
            least: Money::ZERO,
            tokens: random.below(20),
            ceiling: Vec::new(),
            grants_only: false,
            draft: Box::new(row.clone()),
        };
        let Reply::Held(held) = self.command(Command::Hold(hold))? else {
            return Err("a hold is not answered as one".to_owned());
        };
        let most = if scene == Scene::OneWallet { held.nano() + 30 } else { held.nano() };
        let rows = vec![charged(row, random.within(0, most))];
        self.ends.push(Command::Settle { organization: OWNER, request, rows });
        Ok(())
    }

    /// Ends the calls in one order, and says how everything is then.
    fn play(&self, order: &[usize]) -> Result<End, String> {
        let mut stage = Self { books: self.books.clone(), model: self.model.clone(), ends: Vec::new() };
        for position in order {
            if let Some(end) = self.ends.get(*position) {
                stage.command(end.clone())?;
            }
        }
        let mut uses: Vec<_> = stage.books.uses.into_iter().collect();
        uses.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(End { wallets: stage.books.wallets, uses })
    }
}

fn grant(random: &mut Random, wallet: Option<WalletId>, number: u32) -> Act {
    let later = NOW.plus_seconds(random.within(1, 3) * 3_600);
    Act::Grant(Grant {
        wallet,
        lot: LotId::from_bytes(id(5, number)),
        kind: if random.chance(400) { LotKind::Promo } else { LotKind::Prepaid },
        amount: Money::from_nano(random.within(1, 40)),
        expires_at: if random.chance(300) { Timestamp::MAX } else { later },
    })
}

fn row(random: &mut Random, request: RequestId) -> CostRow {
    let models = ["small", "small-fast", "large"];
    CostRow {
        organization: OWNER,
        request,
        attempt: 1,
        at: NOW,
        project: ProjectId::from_bytes(id(2, 1 + u32::try_from(random.below(2)).unwrap_or(0))),
        key: KeyId::from_bytes(id(3, 1)),
        environment: "dev".into(),
        model: (*random.pick(&models).unwrap_or(&"small")).into(),
        target: "p/s-1".into(),
        provider: "p".into(),
        model_answered: None,
        price_version: "v0".into(),
        service_tier: domain::ServiceTier::Standard,
        usage: domain::Usage { output: random.below(30), ..domain::Usage::default() },
        class: domain::AccessClass::Direct,
        list_pico: None,
        cover: None,
        cost_pico: 0,
        cost: Money::ZERO,
        reported_pico: None,
        status: AttemptStatus::Succeeded,
        reason: "stop".into(),
        estimated: false,
        http_status: 200,
        streamed: false,
        duration_us: 1,
        held: Money::ZERO,
        attribution: Attribution::default(),
    }
}

fn charged(row: CostRow, nano: i64) -> CostRow {
    CostRow { cost_pico: nano * 1000, cost: Money::from_nano(nano), ..row }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_which_calls_end_does_not_matter() {
        for scene in [Scene::ChainWithinHolds, Scene::OneWallet] {
            let mut orders = 0;
            for seed in 0..60 {
                orders +=
                    try_all_orders(seed, scene).unwrap_or_else(|what| panic!("{scene:?} {seed}: {what}"));
            }
            assert!(orders > 2_000, "{scene:?}: {orders}");
        }
    }

    /// The one exception: what is left of a lot that fell due while calls needed it pays for those that end first.
    #[test]
    fn grace_goes_to_those_that_end_first() {
        let ends = [[0, 1], [1, 0]].map(|order| {
            let wallet = WalletId::from_bytes(id(4, 0));
            let mut books = Books::new(OWNER, wallet);
            let mut model = Model::default();
            model.run(&Command::Open { organization: OWNER, wallet }, NOW);
            let mut both = |command: Command, now| {
                let expected = model.run(&command, now).reply;
                let changes = &mut Changes::default();
                assert_eq!(ledger::apply(&mut books, command, Past::default(), now, changes), expected);
            };
            let due = NOW.plus_seconds(60);
            for (number, expires_at) in [(0, due), (1, Timestamp::MAX)] {
                let lot = LotId::from_bytes(id(5, number));
                let amount = Money::from_nano(10);
                let grant = Grant { wallet: None, lot, kind: LotKind::Prepaid, amount, expires_at };
                let note = Note { actor: "operator".into(), reason: None };
                let act = Act::Grant(grant);
                both(
                    Command::Book(Box::new(Booking { organization: OWNER, idempotency: None, note, act })),
                    NOW,
                );
            }
            let requests = [0, 1].map(|number| RequestId::from_bytes(id(6, number)));
            for request in requests {
                let amount = Money::from_nano(10);
                let draft = Box::new(row(&mut Random::new(1), request));
                let (least, tokens) = (amount, 0);
                both(
                    Command::Hold(HoldRequest {
                        organization: OWNER,
                        request,
                        amount,
                        least,
                        tokens,
                        ceiling: Vec::new(),
                        grants_only: false,
                        draft,
                    }),
                    NOW,
                );
            }
            for position in order {
                let (request, cost) = (requests[position], [4, 10][position]);
                let rows = vec![charged(row(&mut Random::new(1), request), cost)];
                both(Command::Settle { organization: OWNER, request, rows }, due);
            }
            books.wallets[0].balance.nano()
        });
        assert_eq!(ends, [0, 6]);
    }
}
