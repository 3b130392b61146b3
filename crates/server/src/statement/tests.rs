//! Months, tables and pages of statements.

use ledger::Note;
use store::StatementLine;

use super::*;

/// An organization whose every text means harm to whoever opens its files.
fn hostile() -> Sheet {
    let zone: Zone = "Europe/Berlin".parse().unwrap();
    let month: Month = "2026-11".parse().unwrap();
    let entry = |sequence, at: &str, kind, amount| StatementLine {
        item: StatementItem::Booking(BookingLine {
            sequence,
            at: at.parse().unwrap(),
            kind,
            promotional: kind == EntryKind::Redeem,
            reference: "lot_00000000000000000000000000000001".to_owned(),
            payment: (kind == EntryKind::TopUp).then(|| "@SUM(1)".to_owned()),
            wallet: "\"a, b\"".to_owned(),
            moved: (kind == EntryKind::Transfer).then(|| (Money::from_nano(5), "-x".to_owned())),
            note: Some(Note { actor: "+1".into(), reason: Some("=cmd|' /C calc'!A0\n<script>".into()) }),
        }),
        amount: Money::from_nano(amount),
    };
    let usage = StatementLine {
        item: StatementItem::Usage(UsageLine {
            project: ProjectId::from_bytes([1; 16]),
            project_name: Some("</title><script>alert(1)</script>".to_owned()),
            model: "<img src=x onerror=y>&amp;".to_owned(),
            calls: 1_234_567,
            input_tokens: 1_000,
            cached_tokens: 100,
            output_tokens: 999,
            listed: Money::from_nano(1_234_568_000_000_001),
            unlisted: 2,
        }),
        amount: Money::from_nano(-1_234_567_000_000_001),
    };
    let statement = Statement {
        organization: OrganizationId::from_bytes([2; 16]),
        name: "R&D <b>\"Ltd\"</b>".to_owned(),
        currency: "USD".to_owned(),
        span: month.span(&zone),
        opening: Money::from_nano(7),
        closing: Money::from_nano(2_000_000_007 - 1_234_567_000_000_001),
        lines: vec![
            // Still October in UTC.
            entry(1, "2026-10-31T23:30:00Z", EntryKind::TopUp, 1_500_000_000),
            entry(2, "2026-11-02T10:00:00Z", EntryKind::Redeem, 500_000_000),
            entry(3, "2026-11-03T10:00:00Z", EntryKind::Transfer, 0),
            usage,
        ],
        payers: vec![
            (Payer::Organization, Money::from_nano(1_234_567_000_000_001)),
            (Payer::Provider, Money::from_nano(1_000_000_000)),
        ],
    };
    Sheet::new(statement, month, &zone, "2026-12-24T17:00:00Z".parse().unwrap())
}

#[test]
fn months() {
    for text in ["2026-11", "1970-01", "9998-12"] {
        assert_eq!(text.parse::<Month>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "2026",
        "2026-1",
        "2026-00",
        "2026-13",
        "26-11",
        "2026-11-01",
        "2026/11",
        "+026-11",
        "1969-12",
        "9999-01",
        "november",
    ] {
        let error = text.parse::<Month>().unwrap_err().to_string();
        assert_eq!(error, format!("`{text}` is not a month; write it like 2026-11"));
    }
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let november: Month = "2026-11".parse().unwrap();
    let span = november.span(&berlin);
    assert_eq!(span.start.to_string(), "2026-10-31T23:00:00.000000Z");
    assert_eq!(span.end.to_string(), "2026-11-30T23:00:00.000000Z");
    assert_eq!(Month::around(span.start, &berlin), Some(november));
    assert_eq!(Month::around(span.end, &berlin).unwrap().to_string(), "2026-12");
    assert_eq!(Month::around(Timestamp::MAX, &berlin), None);
    assert_eq!(november.name(), "November 2026");
}

#[test]
fn the_json_form_reads_back() {
    let sheet = hostile();
    let text = serde_json::to_string(&sheet).unwrap();
    assert_eq!(serde_json::from_str::<Sheet>(&text).unwrap(), sheet);
    let sums = r#""list_price":"1234568.000000001","paid":"1234567.000000001","payers":[{"payer":"organization","amount":"1234567.000000001"},{"payer":"provider","amount":"1.00"}]"#;
    assert!(text.contains(sums), "{text}");
    assert!(text.contains(r#""object":"statement""#) && text.contains(r#""month":"2026-11""#), "{text}");
}

#[test]
fn a_spreadsheet_shows_what_was_written_and_runs_nothing() {
    let text = hostile().csv();
    let org = "org_02020202020202020202020202020202,2026-11";
    let lot = "lot_00000000000000000000000000000001";
    let note = "'+1,\"'=cmd|' /C calc'!A0\n<script>\"";
    let expected = [
        "organization,month,type,sequence,date,project,project_name,model,calls,input_tokens,cached_tokens,output_tokens,list_price,payer,borne,wallet,reference,payment,actor,reason,moved,currency,amount,balance".to_owned(),
        format!("{org},opening_balance,,,,,,,,,,,,,,,,,,,USD,,0.000000007"),
        format!("{org},top_up,1,2026-11-01 00:30,,,,,,,,,,,\"\"\"a, b\"\"\",{lot},'@SUM(1),{note},,USD,1.50,"),
        format!("{org},promo_code,2,2026-11-02 11:00,,,,,,,,,,,\"\"\"a, b\"\"\",{lot},,{note},,USD,0.50,"),
        format!("{org},transfer,3,2026-11-03 11:00,,,,,,,,,,,\"\"\"a, b\"\"\",{lot},,{note},0.000000005,USD,0.00,"),
        format!("{org},usage,,,proj_01010101010101010101010101010101,</title><script>alert(1)</script>,<img src=x onerror=y>&amp;,1234567,1000,100,999,1234568.000000001,,,,,,,,,USD,-1234567.000000001,"),
        format!("{org},payer,,,,,,,,,,,organization,1234567.000000001,,,,,,,USD,,"),
        format!("{org},payer,,,,,,,,,,,provider,1.00,,,,,,,USD,,"),
        format!("{org},closing_balance,,,,,,,,,,,,,,,,,,,USD,,-1234564.999999994"),
        String::new(),
    ];
    let rows: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_page_shows_what_was_written_and_obeys_none_of_it() {
    let page = hostile().html();
    for shown in [
        "<title>Statement 2026-11 \u{2013} R&amp;D &lt;b&gt;&quot;Ltd&quot;&lt;/b&gt;</title>",
        "<h1>November 2026</h1>",
        "&lt;img src=x onerror=y&gt;&amp;amp;",
        "0.000000005 USD from wallet <bdi>-x</bdi> to wallet <bdi>&quot;a, b&quot;</bdi>",
        "<td class=n>1,234,567</td>",
        // The decimal points stand below each other: what an amount lacks of the most exact one is filled in, unseen.
        "<span class=a>\u{2212}1,234,567.00<i data-fill=\"\">0000001</i></span>",
        "<span class=a>1.50<i data-fill=\"0000000\"></i></span>",
        "2026-11-01 00:30",
        "<th class=n>List price</th>",
        "<td class=wide>The providers, who gave it away (list price)</td><td class=n><span class=a>1.00",
    ] {
        assert!(page.contains(shown), "{shown} is missing in\n{page}");
    }
    for harm in ["<script", "<img", "http", "src=", "url(", "@import", "not over"] {
        // The one image is the text that was escaped.
        assert!(
            !page.replace("&lt;script", "").replace("img src=x", "").contains(harm),
            "{harm} is in the page"
        );
    }
    // Where the organization bore everything, nobody needs to be told.
    let alone = Sheet { payers: hostile().payers.into_iter().take(1).collect(), ..hostile() };
    assert!(!alone.html().contains("Who bore it"));
    let running = Sheet { complete: false, lines: Vec::new(), ..hostile() }.html();
    assert!(running.contains("The month is not over") && running.contains("Balance now"));
    assert!(running.contains("No calls were charged"));
}
