//! A statement as a page: one HTML file without scripts or outside parts, made to be read and to be printed.

use std::fmt::Write;

use domain::{Money, Payer};
use ledger::EntryKind;

use super::{Booking, Sheet, Usage};

/// The page's look. On paper it loses its background and breaks between rows, not in them.
const STYLE: &str = include_str!("page.css");

pub(super) fn html(sheet: &Sheet) -> String {
    let amounts = Amounts::of(sheet);
    let mut page = String::new();
    head(&mut page, sheet);
    summary(&mut page, sheet, &amounts);
    bookings(&mut page, sheet, &amounts);
    usage(&mut page, sheet, &amounts);
    foot(&mut page, sheet);
    page
}

/// The one word for a kind of booking, in files.
pub(super) const fn word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Grant => "grant",
        EntryKind::Settle => "usage",
        EntryKind::Expire => "expiry",
        EntryKind::PayDebt => "debt_paid",
        EntryKind::TopUp => "top_up",
        EntryKind::Redeem => "promo_code",
        EntryKind::Transfer => "transfer",
        EntryKind::Refund => "refund",
        EntryKind::PayOut => "payout",
        EntryKind::Adjust => "adjustment",
    }
}

/// How amounts are written so that their decimal points stand below each other.
struct Amounts {
    /// Decimals of the most exact amount on the page.
    decimals: usize,
}

impl Amounts {
    fn of(sheet: &Sheet) -> Self {
        let edges = [sheet.opening_balance, sheet.closing_balance, sheet.list_price];
        let listed =
            sheet.usage().map(|line| line.list_price).chain(sheet.payers.iter().map(|borne| borne.amount));
        let all = sheet.lines.iter().map(|line| line.amount()).chain(edges).chain(listed);
        let all = all.chain(totals(sheet).sums());
        let decimals = |amount: Money| amount.to_string().split_once('.').map_or(0, |(_, rest)| rest.len());
        Self { decimals: all.map(decimals).max().unwrap_or(2) }
    }

    /// An amount with its sign, thousands set apart, and what is below a hundredth in the background.
    fn html(&self, amount: Money) -> String {
        let text = amount.to_string();
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("\u{2212}", rest));
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, "00"));
        let (cents, small) = rest.split_at_checked(2).unwrap_or((rest, ""));
        let missing = "0".repeat(self.decimals.saturating_sub(rest.len()));
        let whole = grouped(whole);
        format!("<span class=a>{sign}{whole}.{cents}<i data-fill=\"{missing}\">{small}</i></span>")
    }
}

/// What the lines come to, by what a reader asks for.
#[derive(Default)]
struct Totals {
    added: Money,
    used: Money,
    other: Money,
}

impl Totals {
    const fn sums(&self) -> [Money; 3] {
        [self.added, self.used, self.other]
    }
}

fn totals(sheet: &Sheet) -> Totals {
    let sum = |amounts: &mut dyn Iterator<Item = Money>| Money::sum(amounts).unwrap_or_default();
    let is_credit = |line: &&Booking| {
        matches!(line.kind, EntryKind::Grant | EntryKind::TopUp | EntryKind::Redeem | EntryKind::Refund)
    };
    Totals {
        added: sum(&mut sheet.bookings().filter(is_credit).map(|line| line.amount)),
        used: sum(&mut sheet.usage().map(|line| line.amount)),
        other: sum(&mut sheet.bookings().filter(|line| !is_credit(line)).map(|line| line.amount)),
    }
}

fn head(page: &mut String, sheet: &Sheet) {
    let (name, month) = (escaped(&sheet.name), sheet.month.name());
    put(
        page,
        format_args!(
            "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <title>Statement {} \u{2013} {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
            sheet.month,
        ),
    );
    let state = if sheet.complete {
        ""
    } else {
        "<p class=open>The month is not over: this is what was booked so far.</p>\n"
    };
    put(
        page,
        format_args!(
            "<header>\n<div><p class=kind>Statement of account</p>\n<h1>{month}</h1>\n{state}</div>\n\
         <dl>\n<dt>Account</dt><dd><b><bdi>{name}</bdi></b></dd>\n<dt>Number</dt><dd class=id>{}</dd>\n\
         <dt>Currency</dt><dd>{}</dd>\n<dt>Time zone</dt><dd>{}</dd>\n<dt>Made</dt><dd>{}</dd>\n</dl>\n</header>\n",
            sheet.organization,
            escaped(&sheet.currency),
            escaped(&sheet.time_zone.to_string()),
            escaped(&sheet.created),
        ),
    );
}

fn summary(page: &mut String, sheet: &Sheet, amounts: &Amounts) {
    let totals = totals(sheet);
    let closing = if sheet.complete { "Closing balance" } else { "Balance now" };
    put(page, format_args!("<section class=sums>\n"));
    for (label, amount, class) in [
        ("Opening balance", sheet.opening_balance, ""),
        ("Credit added", totals.added, ""),
        ("Usage", totals.used, ""),
        ("Other", totals.other, ""),
        (closing, sheet.closing_balance, " class=last"),
    ] {
        if label == "Other" && amount.is_zero() {
            continue;
        }
        let amount = amounts.html(amount);
        put(page, format_args!("<div{class}><h2>{label}</h2><p>{amount}</p></div>\n"));
    }
    put(page, format_args!("</section>\n"));
}

fn bookings(page: &mut String, sheet: &Sheet, amounts: &Amounts) {
    if sheet.bookings().next().is_none() {
        return;
    }
    put(
        page,
        format_args!(
            "<section>\n<h2>Credit and bookings</h2>\n<table>\n<thead><tr><th>Date</th><th>Booking</th>\
         <th class=wide>Details</th><th class=n>Amount</th></tr></thead>\n<tbody>\n"
        ),
    );
    for line in sheet.bookings() {
        put(
            page,
            format_args!(
                "<tr><td class=date>{}</td><td class=what>{}</td><td class=wide>{}<span class=id>{}</span></td><td class=n>{}</td></tr>\n",
                escaped(&line.date),
                title(line),
                details(line, &sheet.currency),
                escaped(&line.reference),
                amounts.html(line.amount),
            ),
        );
    }
    let sum = Money::sum(sheet.bookings().map(|line| line.amount)).unwrap_or_default();
    put(
        page,
        format_args!(
            "</tbody>\n<tfoot><tr><td colspan=3>Sum of bookings</td><td class=n>{}</td></tr></tfoot>\n</table>\n</section>\n",
            amounts.html(sum),
        ),
    );
}

pub(super) const fn title(line: &Booking) -> &'static str {
    match (line.kind, line.promotional) {
        (EntryKind::Grant, true) => "Promotional credit",
        (EntryKind::Grant, false) => "Credit",
        (EntryKind::TopUp, _) => "Top-up",
        (EntryKind::Redeem, _) => "Promo code",
        (EntryKind::Expire, _) => "Credit expired",
        (EntryKind::Refund, _) => "Refund",
        (EntryKind::PayOut, _) => "Payout",
        (EntryKind::Adjust, _) => "Adjustment",
        (EntryKind::Transfer, _) => "Transfer",
        (EntryKind::PayDebt, _) => "Debt paid",
        (EntryKind::Settle, _) => "Usage",
    }
}

/// What a person wants to know of a booking, as one phrase.
fn details(line: &Booking, currency: &str) -> String {
    let wallet = |name: &str| match name {
        "" => "the main wallet".to_owned(),
        name => format!("wallet <bdi>{}</bdi>", escaped(name)),
    };
    let mut parts = Vec::new();
    if let (Some(moved), Some(giver)) = (line.moved, &line.moved_from) {
        let (giver, receiver) = (wallet(giver), wallet(&line.wallet));
        parts.push(format!("{moved} {} from {giver} to {receiver}", escaped(currency)));
    } else if !line.wallet.is_empty() {
        parts.push(format!("in {}", wallet(&line.wallet)));
    }
    if let Some(payment) = &line.payment {
        parts.push(format!("payment <bdi>{}</bdi>", escaped(payment)));
    }
    if let Some(reason) = &line.reason {
        let before = if line.kind == EntryKind::Redeem { "code " } else { "" };
        parts.push(format!("{before}<bdi>{}</bdi>", escaped(reason)));
    }
    if let Some(actor) = &line.actor {
        parts.push(format!("by <bdi>{}</bdi>", escaped(actor)));
    }
    parts.join(" \u{b7} ")
}

fn usage(page: &mut String, sheet: &Sheet, amounts: &Amounts) {
    if sheet.usage().next().is_none() {
        put(
            page,
            format_args!(
                "<section>\n<h2>Usage</h2>\n<p class=none>No calls were charged in this month.</p>\n</section>\n"
            ),
        );
        return;
    }
    put(
        page,
        format_args!(
            "<section>\n<h2>Usage</h2>\n<table>\n<thead><tr><th>Project</th><th class=wide>Model</th><th class=n>Calls</th>\
         <th class=n>Input tokens</th><th class=n>Cached</th><th class=n>Output tokens</th>\
         <th class=n>List price</th><th class=n>Amount</th></tr></thead>\n<tbody>\n"
        ),
    );
    let mut before = None;
    for line in sheet.usage() {
        let project = if before == Some(line.project) { String::new() } else { project(line) };
        before = Some(line.project);
        put(
            page,
            format_args!(
                "<tr><td>{project}</td><td class=wide><bdi>{}</bdi></td>{}<td class=n>{}</td><td class=n>{}</td></tr>\n",
                escaped(&line.model),
                counts([line.calls, line.input_tokens, line.cached_tokens, line.output_tokens]),
                amounts.html(line.list_price),
                amounts.html(line.amount),
            ),
        );
    }
    let sum = |count: fn(&Usage) -> u64| sheet.usage().map(count).fold(0, u64::saturating_add);
    put(
        page,
        format_args!(
            "</tbody>\n<tfoot><tr><td colspan=2>Sum of usage</td>{}<td class=n>{}</td><td class=n>{}</td></tr></tfoot>\n</table>\n</section>\n",
            counts([
                sum(|line| line.calls),
                sum(|line| line.input_tokens),
                sum(|line| line.cached_tokens),
                sum(|line| line.output_tokens),
            ]),
            amounts.html(sheet.list_price),
            amounts.html(totals(sheet).used),
        ),
    );
    payers(page, sheet, amounts);
}

/// Who bore what of the usage; one payer of everything needs no table.
fn payers(page: &mut String, sheet: &Sheet, amounts: &Amounts) {
    if sheet.payers.iter().all(|borne| borne.payer == Payer::Organization) {
        return;
    }
    let head = "<section>\n<h2>Who bore it</h2>\n<table>\n<thead><tr><th class=wide>Payer</th><th class=n>Amount</th></tr></thead>\n<tbody>\n";
    put(page, format_args!("{head}"));
    for borne in &sheet.payers {
        let amount = amounts.html(borne.amount);
        put(
            page,
            format_args!("<tr><td class=wide>{}</td><td class=n>{amount}</td></tr>\n", bearer(borne.payer)),
        );
    }
    put(page, format_args!("</tbody>\n</table>\n</section>\n"));
}

/// A payer in the words of a page, with what the amount is.
const fn bearer(payer: Payer) -> &'static str {
    match payer {
        Payer::Organization => "This account, from its credit",
        Payer::Provider => "The providers, who gave it away (list price)",
        Payer::Caller => "This account\u{2019}s own accounts at providers (list price)",
        Payer::EndUser => "End users (list price)",
        Payer::Operator => "Whoever runs the gateway (list price)",
    }
}

fn project(line: &Usage) -> String {
    match &line.project_name {
        Some(name) => format!("<bdi>{}</bdi>", escaped(name)),
        None => format!("<span class=id>{}</span>", line.project),
    }
}

fn counts(counts: [u64; 4]) -> String {
    counts.map(|count| format!("<td class=n>{}</td>", grouped(&count.to_string()))).concat()
}

fn foot(page: &mut String, sheet: &Sheet) {
    put(
        page,
        format_args!(
            "<footer>\n<p>The lines of this statement sum exactly to the closing balance less the opening balance. Amounts \
         are exact to a billionth of one {}. A call counts in the month in which it was charged. Balances are what \
         remains in all wallets less what they owe.</p>\n</footer>\n</main>\n</body>\n</html>\n",
            escaped(&sheet.currency),
        ),
    );
}

/// Writing to a text cannot fail.
fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = page.write_fmt(text);
}

/// Digits with thousands set apart by commas.
fn grouped(digits: &str) -> String {
    let first = digits.len() % 3;
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Somebody's text so that a browser shows it and does not obey it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}
