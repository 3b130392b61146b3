//! Plays tables. Each line of a table is one command and all it brings about:
//!
//! `clock | command | answer | balance held debt, others that are not empty | lot:remaining/used/expired … | bookings; events | uses`
//!
//! Requests, lots, wallets, budgets and projects are numbers, amounts nano-units, times microseconds, or days with a
//! `d`. A lot's wallet follows it when it is not the organization's own (`5@2`), then what was withdrawn if anything
//! was, and a `!` when its owner was warned. A settlement lists what each attempt cost: `7` nano, `1001p=2` is an exact
//! cost of 1001 pico booked as 2 nano, `7t90` comes with 90 tokens. The last column is there while there are budgets:
//! `budget[value]@start:spent/held/tokens/tokens held/steps/told`; after it a column of pools while there are any:
//! `name@start:used/held`. A line that ends with the answer says that nothing else has happened.
//!
//! A cover is `name@start/cap:parts`, with a `!` after the cap of a strict pool and parts as `units*pico` with `+` between
//! them. A row's follows its cost (`7&tokens/100:5*1000`), and a settlement tells what pools paid for: `paid 1:2 tokens:5`.
//! `next 2` in an extension sends the call on: the draft joins the earlier rows as failed if that is one number above it.

use std::fmt::Write;

use domain::{Money, Timestamp, Usage};
use tollkeeper_ledger::conformance::{budget, lot_id, project_id, promo, purpose, request_id, wallet_id};
use tollkeeper_ledger::{
    Account, Act, AttemptStatus, Booking, Budget, BudgetBound, Caps, Command, CostRow, Cover, Denial, Draw,
    Entry, EntryKind, EventKind, Extension, Grant, HoldRequest, LotKind, NextAttempt, Note, Part, Period,
    PoolKey, PromoCode, Reply, Settled, Subject, Tag, issue,
};

use crate::harness::{Bench, payer};

/// Plays a table and compares every line.
pub(crate) fn check(name: &str, table: &str) {
    let mut bench = Bench::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        if cells.len() == 3 {
            cells.extend(state(&bench));
        }
        let found = play_line(&mut bench, &cells[0], &cells[1]);
        assert_eq!(cells, found, "{name}: {line}\nfound: {}", found.join(" | "));
    }
    bench.check_replay();
}

/// Plays one command and tells all it brought about.
pub(crate) fn play_line(bench: &mut Bench, clock: &str, command: &str) -> Vec<String> {
    let (booked, heard) = (bench.entries.len(), bench.events.len());
    let answer = play(bench, command, moment(clock));
    let booked: Vec<Entry> = bench.entries[booked..].to_vec();
    for entry in &booked {
        check_booking(bench, entry);
    }
    let events = bench.events[heard..].iter().map(|event| told_of(&event.kind));
    let news: Vec<String> = booked.iter().map(booking).chain(events).collect();
    let (clock, command) = (clock.to_owned(), command.to_owned());
    let mut found = vec![clock, command, answer];
    found.extend(state(bench));
    found[5] = news.join("; ");
    found
}

/// The cells that tell how things stand when nothing happens.
fn state(bench: &Bench) -> Vec<String> {
    let mut cells = vec![wallets(bench), lots(bench), String::new()];
    if !bench.books.budgets.is_empty() {
        cells.push(uses(bench));
    }
    if !bench.books.pools.is_empty() {
        cells.push(pools(bench));
    }
    cells
}

/// The words of a command: those it begins with, and pairs of a name and a value.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn option(&self, name: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|word| *word == name)?;
        self.0.get(place + 1).copied()
    }

    fn number(&self, name: &str) -> u64 {
        self.option(name).map_or(0, count)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    fn until(&self) -> Timestamp {
        self.option("until").map_or(Timestamp::MAX, moment)
    }

    fn cover(&self) -> Option<Box<Cover>> {
        self.option("cover").map(cover_of)
    }

    fn parts(&self, name: &str) -> Vec<Part> {
        self.option(name).map_or(Vec::new(), parts_of)
    }

    fn models(&self) -> Vec<&'a str> {
        self.option("models").map_or(Vec::new(), |models| models.split(',').collect())
    }
}

fn play(bench: &mut Bench, text: &str, now: Timestamp) -> String {
    let words = Words(text.split_whitespace().collect());
    let command: Command = match words.0[..] {
        ["freeze" | "thaw"] => {
            bench.books.frozen = text == "freeze";
            return "-".to_owned();
        }
        ["issue", code, nano, "uses", uses, ..] => {
            return issued(
                bench,
                PromoCode {
                    expires_at: words.until(),
                    credit_seconds: words.option("seconds").map(amount),
                    models: words.models().into_iter().map(Box::from).collect(),
                    ..promo(code, amount(nano), count(uses))
                },
            );
        }
        ["hold", request, nano, ..] => hold(&words, count(request), amount(nano)).into(),
        ["extend", request, nano, ..] => extend(bench, &words, count(request), amount(nano)).into(),
        ["settle", request, ref costs @ ..] => {
            let request = count(request);
            let mut rows: Vec<_> =
                (1..).zip(costs).map(|(attempt, cost)| row(request, attempt, cost, now)).collect();
            // They tell of themselves what the draft does.
            if let Some(hold) = bench.books.holds.get(&request_id(request)) {
                for row in &mut rows {
                    (row.project, row.attribution) = (hold.draft.project, hold.draft.attribution.clone());
                }
            }
            let answer = bench.apply(payer().settle(request, rows), now);
            return told(bench, answer) + &covered(bench, request);
        }
        ["sweep", warn, stale] => payer().sweep(amount(warn), moment(stale)),
        _ => {
            let booking = booked(&words);
            let answer = book(bench, booking, now);
            return told(bench, answer);
        }
    };
    let answer = bench.apply(command, now);
    told(bench, answer)
}

fn booked(words: &Words<'_>) -> Booking {
    match words.0[..] {
        ["grant", lot, kind, nano, ..] => payer().booking(Act::Grant(grant(words, lot, kind, nano))),
        ["topup", lot, nano, payment, ..] => {
            let grant = grant(words, lot, "prepaid", nano);
            payer().booking(Act::TopUp { grant, payment: payment.into() })
        }
        ["redeem", code, lot, wallet] => payer().redeem(code, count(lot), count(wallet)),
        ["wallet", wallet, ..] => {
            let project = words.option("project").map(count);
            payer().open_wallet(count(wallet), purpose(project, &words.models(), words.has("overflow")))
        }
        ["transfer", from, to, nano, lot] => {
            payer().transfer(count(from), count(to), amount(nano), count(lot))
        }
        ["refund", request, nano, lot, ..] => {
            let (request, lot) = (request_id(count(request)), lot_id(count(lot)));
            let (amount, expires_at) = (Money::from_nano(amount(nano)), words.until());
            payer().booking(Act::Refund { request, amount, lot, expires_at })
        }
        ["payout", wallet, nano, payout] => payer().pay_out(count(wallet), amount(nano), count(payout)),
        ["adjust", wallet, nano, lot, ..] => {
            let (wallet, lot) = (wallet_id(count(wallet)), lot_id(count(lot)));
            let (amount, expires_at) = (Money::from_nano(amount(nano)), words.until());
            payer().booking(Act::Adjust { wallet, amount, lot, expires_at })
        }
        ["budget", number, of, period, ..] => payer().set_budget(budget_of(words, count(number), of, period)),
        ["unbudget", number] => payer().remove_budget(count(number)),
        _ => panic!("no command of these tables: {:?}", words.0),
    }
}

/// Books it, and checks that the first entry that is not about old credit says who did it.
fn book(bench: &mut Bench, booking: Booking, now: Timestamp) -> Result<Reply, Denial> {
    let booked = bench.entries.len();
    let mut note = booking.note.clone();
    if let Act::Redeem { code, .. } = &booking.act {
        note = Note { reason: Some(code.clone()), ..note };
    }
    let answer = bench.apply(booking, now);
    let own = |entry: &&Entry| !matches!(entry.kind, EntryKind::Expire | EntryKind::PayDebt);
    let (own, others): (Vec<&Entry>, Vec<&Entry>) = bench.entries[booked..].iter().partition(own);
    assert!(own.iter().all(|entry| entry.note.as_ref() == Some(&note)), "{own:?}");
    assert!(others.iter().all(|entry| entry.note.is_none()), "{others:?}");
    answer
}

fn grant(words: &Words<'_>, lot: &str, kind: &str, nano: &str) -> Grant {
    let wallet = words.option("in").map(|wallet| wallet_id(count(wallet)));
    let (amount, expires_at) = (Money::from_nano(amount(nano)), words.until());
    Grant { wallet, lot: lot_id(count(lot)), kind: kind_of(kind), amount, expires_at }
}

fn issued(bench: &mut Bench, code: PromoCode) -> String {
    match issue(code.clone(), bench.promos.get(&code.code)) {
        Ok(known) => {
            let text = format!("issued, used {}", known.uses);
            bench.promos.insert(known.code.clone(), known);
            text
        }
        Err(denial) => denial.to_string(),
    }
}

fn hold(words: &Words<'_>, request: u64, nano: i64) -> HoldRequest {
    let hold = payer().hold(request, nano);
    let mut draft = hold.draft;
    if let Some(project) = words.option("project") {
        draft.project = project_id(count(project));
    }
    if let Some(model) = words.option("model") {
        draft.model = model.into();
    }
    draft.attribution.user = words.option("user").map(Box::from);
    draft.attribution.run = words.option("run").map(Box::from);
    draft.cost_pico = words.option("draft").map_or(0, amount) * 1_000;
    draft.cost = Money::from_nano(draft.cost_pico / 1_000);
    let least = words.option("least").map_or(hold.amount, |least| Money::from_nano(amount(least)));
    draft.cover = words.cover();
    let (ceiling, grants_only) = (words.parts("ceiling"), words.has("grants"));
    HoldRequest { draft, least, tokens: words.number("tokens"), ceiling, grants_only, ..hold }
}

fn extend(bench: &Bench, words: &Words<'_>, request: u64, nano: i64) -> Extension {
    let next = words.option("next").map(|attempt| {
        let attempt = count(attempt).try_into().expect("a small number");
        let model = words.option("model").unwrap_or("small");
        let mut next = NextAttempt { cover: words.cover(), ..payer().next(attempt, model, "other/model") };
        if let Some(hold) = bench.books.holds.get(&request_id(request)) {
            let before = hold.rows().filter(|row| row.attempt < attempt).cloned();
            next.earlier = before.map(|row| CostRow { status: AttemptStatus::Failed, ..row }).collect();
        }
        Box::new(next)
    });
    let extension = payer().extend(request, nano);
    let least = words.option("least").map_or(extension.least, |least| Money::from_nano(amount(least)));
    Extension {
        least,
        tokens: words.number("tokens"),
        usage: Usage { output: words.number("usage"), ..Usage::default() },
        cost_pico: words.option("pico").map_or(0, amount),
        consumed: words.parts("consumed"),
        ceiling: words.parts("ceiling"),
        grants_only: words.has("grants"),
        next,
        ..extension
    }
}

/// `name@start/cap:parts`, the start, the parts and a `!` behind the cap being there or not.
fn cover_of(word: &str) -> Box<Cover> {
    let (pool, parts) = word.split_once(':').unwrap_or((word, ""));
    let (pool, cap) = pool.split_once('/').expect("a pool and its cap");
    let (pool, start) = pool.split_once('@').unwrap_or((pool, "0"));
    let key = PoolKey { pool: pool.into(), start: moment(start) };
    let (strict, cap) = (cap.ends_with('!'), count(cap.trim_end_matches('!')));
    Box::new(Cover { key, cap, strict, parts: parts_of(parts), units: 0 })
}

fn parts_of(word: &str) -> Vec<Part> {
    let parts = word.split('+').filter_map(|part| part.split_once('*'));
    parts.map(|(units, pico)| Part { units: count(units), unit_pico: amount(pico) }).collect()
}

fn row(request: u64, attempt: u32, cost: &str, at: Timestamp) -> CostRow {
    let (cost, cover) =
        cost.split_once('&').map_or((cost, None), |(cost, word)| (cost, Some(cover_of(word))));
    let (cost, tokens) = cost.split_once('t').unwrap_or((cost, "0"));
    let row = match cost.split_once("p=") {
        Some((pico, nano)) => {
            let cost = Money::from_nano(amount(nano));
            CostRow { cost, ..payer().row(request, attempt, amount(pico)) }
        }
        None => payer().row(request, attempt, amount(cost) * 1_000),
    };
    // Reasoning is part of output, so it must not count again.
    let usage = Usage { output: count(tokens), reasoning: count(tokens), ..Usage::default() };
    CostRow { usage, at, cover, ..row }
}

fn budget_of(words: &Words<'_>, number: u64, of: &str, period: &str) -> Budget {
    let (of, which) = of.split_once('=').map_or((of, None), |(of, which)| (of, Some(Box::from(which))));
    let subject = match of {
        "organization" => Subject::Organization,
        "project" => Subject::Project(which),
        "key" => Subject::Key(which),
        "user" => Subject::User(which),
        "feature" => Subject::Tag(Tag::Feature, which),
        "environment" => Subject::Tag(Tag::Environment, which),
        _ => Subject::Run(which),
    };
    let period = match period {
        "daily" => Period::Daily,
        "weekly" => Period::Weekly,
        "monthly" => Period::Monthly,
        _ => Period::Total,
    };
    let caps = Caps {
        cost: words.option("cost").map(|nano| Money::from_nano(amount(nano))),
        tokens: words.option("tokens").map(count),
        steps: words.option("steps").map(count),
    };
    let thresholds = words.option("at").map_or(Vec::new(), |at| at.split(',').map(small).collect());
    Budget { thresholds, hard: !words.has("soft"), ..budget(number, subject, period, caps) }
}

fn told(bench: &Bench, answer: Result<Reply, Denial>) -> String {
    match answer {
        Ok(Reply::Granted(lots)) => {
            for lot in lots {
                if lot.created_at < bench.books.last_at {
                    return "granted before".to_owned();
                }
                // As it was booked, before anything was drawn.
                let known = &bench.lots[&lot.id];
                let booked = tollkeeper_ledger::Lot {
                    remaining: known.granted,
                    used: Money::ZERO,
                    expired: Money::ZERO,
                    withdrawn: Money::ZERO,
                    created_at: lot.created_at,
                    ..known.clone()
                };
                assert_eq!(lot, booked);
                assert_eq!((lot.created_at, known.created_at), (bench.books.last_at, lot.created_at));
            }
            "granted".to_owned()
        }
        Ok(Reply::Held(held)) => format!("held {}", held.nano()),
        Ok(Reply::Extended(held)) => format!("extended {}", held.nano()),
        Ok(Reply::Settled(Settled { draws, debt })) => {
            let mut text = "paid".to_owned();
            write_draws(&mut text, draws.into_iter(), debt);
            text
        }
        Ok(Reply::Swept(ended)) => format!("swept {ended}"),
        Ok(Reply::Withdrawn(draws)) => {
            let mut text = "took".to_owned();
            write_draws(&mut text, draws.into_iter(), Money::ZERO);
            text
        }
        Ok(Reply::Opened) => "opened".to_owned(),
        Ok(Reply::BudgetSet(budget)) => {
            assert!(bench.books.budgets.contains(&budget));
            "set".to_owned()
        }
        Ok(Reply::BudgetRemoved) => "removed".to_owned(),
        Err(Denial::InsufficientCredit { available, needed }) => {
            format!("short {} of {}", available.nano(), needed.nano())
        }
        Err(Denial::InDebt { wallet, debt }) => format!("in debt {}{}", debt.nano(), at_wallet(wallet)),
        Err(Denial::PoolUsedUp { key, cap, used }) => format!("{} used up: {used} of {cap}", key.pool),
        Err(Denial::BudgetExceeded(bound)) => exceeded(&bound),
        Err(Denial::RefundTooLarge { charged, refunded }) => {
            format!("too large: {} of {} refunded", refunded.nano(), charged.nano())
        }
        other => other.map_or_else(|denial| denial.to_string(), |reply| format!("{reply:?}")),
    }
}

/// What pools paid for in a call that has ended.
fn covered(bench: &Bench, request: u64) -> String {
    let attempts = (request_id(request), 0)..=(request_id(request), u32::MAX);
    let rows = bench.rows.range(attempts).filter_map(|(_, row)| row.cover.as_ref());
    rows.map(|cover| format!(" {}:{}", cover.key.pool, cover.units)).collect()
}

/// `budget 1[value] cost 90+11>100 until 1d`.
fn exceeded(bound: &BudgetBound) -> String {
    let figure = |text: &str| match text.split_once('.') {
        Some(_) => text.parse::<Money>().expect("an amount").nano().to_string(),
        None => text.to_owned(),
    };
    let [used, needed, cap] = [&bound.used, &bound.needed, &bound.cap].map(|text| figure(text));
    let measure = format!("{:?}", bound.measure).to_lowercase();
    let until = bound.resets_at.map_or(String::new(), |end| format!(" until {}", clock(end)));
    let budget = number(bound.budget.as_bytes());
    format!("budget {budget}{} {measure} {used}+{needed}>{cap}{until}", value_of(&bound.value))
}

fn value_of(value: &str) -> String {
    // A project's id is as long as a line; its number is enough.
    let value = value.strip_prefix("proj_").map_or(value, |digits| digits.trim_start_matches('0'));
    if value.is_empty() { String::new() } else { format!("[{value}]") }
}

fn wallets(bench: &Bench) -> String {
    let text = bench.books.wallets.iter().map(|wallet| {
        let sums = [wallet.balance, wallet.held, wallet.debt].map(|sum| sum.nano().to_string()).join(" ");
        let own = wallet.id == payer().wallet;
        let text = if own { sums } else { format!("{}: {sums}", number(wallet.id.as_bytes())) };
        (own || !text.ends_with(": 0 0 0")).then_some(text)
    });
    text.flatten().collect::<Vec<_>>().join(", ")
}

fn at_wallet(wallet: domain::WalletId) -> String {
    if wallet == payer().wallet { String::new() } else { format!("@{}", number(wallet.as_bytes())) }
}

fn lots(bench: &Bench) -> String {
    let text = bench.lots.values().map(|lot| {
        let mut parts = vec![lot.remaining, lot.used, lot.expired];
        parts.extend((!lot.withdrawn.is_zero()).then_some(lot.withdrawn));
        let parts: Vec<String> = parts.iter().map(|part| part.nano().to_string()).collect();
        let warned = if lot.warned { "!" } else { "" };
        format!("{}{}:{}{warned}", number(lot.id.as_bytes()), at_wallet(lot.wallet), parts.join("/"))
    });
    text.collect::<Vec<_>>().join(" ")
}

fn uses(bench: &Bench) -> String {
    let mut uses: Vec<_> = bench.books.uses.iter().collect();
    uses.sort_by_key(|(key, _)| *key);
    let text = uses.into_iter().map(|(key, used)| {
        let start =
            if key.start.micros() == i64::MIN { String::new() } else { format!("@{}", clock(key.start)) };
        let (spent, held) = (used.spent.nano(), used.held.nano());
        let figures =
            format!("{spent}/{held}/{}/{}/{}/{}", used.tokens, used.tokens_held, used.steps, used.told);
        format!("{}{}{start}:{figures}", number(key.budget.as_bytes()), value_of(&key.value))
    });
    text.collect::<Vec<_>>().join(" ")
}

fn pools(bench: &Bench) -> String {
    let mut pools: Vec<_> = bench.books.pools.iter().collect();
    pools.sort_by_key(|(key, _)| *key);
    let text = pools.into_iter().map(|(key, pool)| {
        let start = if key.start.micros() == 0 { String::new() } else { format!("@{}", clock(key.start)) };
        format!("{}{start}:{}/{}", key.pool, pool.used, pool.held)
    });
    text.collect::<Vec<_>>().join(" ")
}

fn booking(entry: &Entry) -> String {
    let reference = number(&entry.reference);
    let mut text = match entry.kind {
        EntryKind::Grant => format!("grant {reference}"),
        EntryKind::Settle => format!("settle {reference}"),
        EntryKind::Expire => "expire".to_owned(),
        EntryKind::PayDebt => "pay".to_owned(),
        EntryKind::TopUp => format!("top up {reference}"),
        EntryKind::Redeem => format!("redeem {reference}"),
        EntryKind::Transfer => format!("transfer {reference}"),
        EntryKind::Refund => format!("refund {reference}"),
        EntryKind::PayOut => format!("pay out {reference}"),
        EntryKind::Adjust => format!("adjust {reference}"),
    };
    text += &at_wallet(entry.wallet);
    let owed = entry.amount_on(Account::Receivable).filter(|owed| !owed.is_negative());
    write_draws(&mut text, entry.draws(), owed.unwrap_or_default());
    for leg in entry.legs.iter().filter(|leg| leg.amount.is_negative()) {
        if let Account::Lot(lot) = leg.account {
            write!(text, " to {}:{}", number(lot.as_bytes()), -leg.amount.nano()).expect("a text takes all");
        }
    }
    text
}

/// What each kind of booking stands against, and what it is about where the text does not say it.
fn check_booking(bench: &Bench, entry: &Entry) {
    let others =
        entry.legs.iter().map(|leg| leg.account).filter(|account| !matches!(account, Account::Lot(_)));
    let others: Vec<Account> = others.collect();
    let first_draw = entry.draws().next().map(|draw| *draw.lot.as_bytes());
    let made = entry.legs.iter().find_map(|leg| match leg.account {
        Account::Lot(lot) if leg.amount.is_negative() => Some(lot),
        _ => None,
    });
    if let Some(lot) = made {
        assert_eq!(bench.lots[&lot].wallet, entry.wallet, "{entry:?}");
    }
    let expected: &[Account] = match entry.kind {
        EntryKind::Grant if made.is_some_and(|lot| bench.lots[&lot].kind == LotKind::Promo) => {
            &[Account::PromoExpense]
        }
        EntryKind::Grant | EntryKind::TopUp | EntryKind::PayOut => &[Account::Cash],
        EntryKind::Redeem => &[Account::PromoExpense],
        EntryKind::Refund => &[Account::Revenue],
        EntryKind::Adjust => &[Account::Correction],
        EntryKind::Transfer => &[],
        EntryKind::Expire => &[Account::Breakage],
        EntryKind::PayDebt => &[Account::Receivable],
        EntryKind::Settle => {
            let usual = |account: &Account| matches!(account, Account::Receivable | Account::Revenue);
            assert!(others.iter().all(usual), "{entry:?}");
            return assert_eq!(entry.note, None);
        }
    };
    assert_eq!(others, expected, "{entry:?}");
    let reference = Some(entry.reference);
    match entry.kind {
        EntryKind::Expire | EntryKind::PayDebt => assert_eq!(first_draw, reference, "{entry:?}"),
        EntryKind::Grant | EntryKind::TopUp | EntryKind::Redeem | EntryKind::Transfer => {
            assert_eq!(made.map(|lot| *lot.as_bytes()), reference, "{entry:?}");
        }
        EntryKind::Settle | EntryKind::Refund | EntryKind::PayOut | EntryKind::Adjust => {}
    }
}

fn told_of(event: &EventKind) -> String {
    match event {
        EventKind::BudgetThreshold { budget, value, period_start, percent, spent, cap, .. } => {
            let start = if period_start.micros() == i64::MIN {
                String::new()
            } else {
                format!("@{}", clock(*period_start))
            };
            let cap = cap.map_or(String::new(), |cap| format!(" of {}", cap.nano()));
            let spent = spent.nano();
            format!("told {}{}{start} {percent}%: {spent}{cap}", number(budget.as_bytes()), value_of(value))
        }
        EventKind::CreditExpiring { wallet, lot, remaining, expires_at } => {
            let lot = number(lot.as_bytes());
            format!("told {lot}{}:{} until {}", at_wallet(*wallet), remaining.nano(), clock(*expires_at))
        }
        EventKind::WentIntoDebt { wallet, request, owed } => {
            format!("told {}{} owes {}", number(request.as_bytes()), at_wallet(*wallet), owed.nano())
        }
        EventKind::HoldTimedOut { request, charged } => {
            format!("told {} timed out {}", number(request.as_bytes()), charged.nano())
        }
        EventKind::TierReached { .. } => "told of a tier".to_owned(),
        EventKind::Payment { .. } => "told of a payment".to_owned(),
    }
}

fn write_draws(text: &mut String, draws: impl Iterator<Item = Draw>, debt: Money) {
    for draw in draws {
        write!(text, " {}:{}", number(draw.lot.as_bytes()), draw.amount.nano()).expect("a text takes all");
    }
    if !debt.is_zero() {
        write!(text, " owes {}", debt.nano()).expect("a text takes all");
    }
}

pub(crate) fn number(id: &[u8; 16]) -> u128 {
    // The time that begins a request's id is no part of its number.
    u128::from_be_bytes(*id) & u128::from(u64::MAX)
}

fn count(word: &str) -> u64 {
    if word == "max" { u64::MAX } else { word.parse().expect("a number") }
}

fn small(word: &str) -> u8 {
    word.parse().expect("a small number")
}

fn amount(word: &str) -> i64 {
    if word == "max" { i64::MAX } else { word.parse().expect("an amount") }
}

const DAY: i64 = 86_400_000_000;

pub(crate) fn moment(word: &str) -> Timestamp {
    let micros = match word.strip_suffix('d') {
        Some(days) => amount(days) * DAY,
        None => return if word == "never" { Timestamp::MAX } else { Timestamp::from_micros(amount(word)) },
    };
    Timestamp::from_micros(micros)
}

fn clock(at: Timestamp) -> String {
    match at.micros() {
        i64::MAX => "never".to_owned(),
        micros if micros % DAY == 0 && micros != 0 => format!("{}d", micros / DAY),
        micros => micros.to_string(),
    }
}

fn kind_of(word: &str) -> LotKind {
    match word {
        "promo" => LotKind::Promo,
        "prepaid" => LotKind::Prepaid,
        "refund" => LotKind::Refund,
        _ => LotKind::Adjustment,
    }
}
