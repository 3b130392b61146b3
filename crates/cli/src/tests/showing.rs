//! What is printed, letter by letter, as a person and as a script get it.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::commands::{doctor, verify};
use crate::failure::{Exit, Failure};
use crate::output::{Form, Output, View};
use crate::views;

/// A writer whose text can be read afterwards.
#[derive(Clone, Default)]
struct Page(Rc<RefCell<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

/// Standard output and standard error of what `show` does.
fn printed(form: Form, color: bool, show: impl FnOnce(&mut Output)) -> (String, String) {
    let (data, words) = (Page::default(), Page::default());
    show(&mut Output::new(Box::new(data.clone()), Box::new(words.clone()), form, color));
    (data.text(), words.text())
}

/// Asserts both forms of an answer; the JSON is the answer itself.
pub(super) fn check<T: View + DeserializeOwned>(answer: &str, human: &str, note: &str) {
    let answer = answer.trim();
    let raw: &RawValue = serde_json::from_str(answer).unwrap();
    let (data, words) = printed(Form::Human, false, |output| output.answer::<T>(raw).unwrap());
    assert_eq!(data, human.trim_start_matches('\n'), "\n{data}");
    assert_eq!(words, note.trim_start_matches('\n'), "\n{words}");
    let (data, words) = printed(Form::Json, false, |output| output.answer::<T>(raw).unwrap());
    assert_eq!((data, words), (format!("{}\n", answer.replace('\n', "")), String::new()));
}

#[test]
fn what_is_made_says_what_comes_next() {
    check::<views::NewOrganization>(
        r#"{"id":"org_01920000000070008000000000000001","object":"organization","name":"Acme","time_zone":"Europe/Berlin","in_flight":"completes","created_at":"2026-11-21T06:55:50.123456Z"}"#,
        "
id             org_01920000000070008000000000000001
name           Acme
time zone      Europe/Berlin
running calls  completes
created        2026-11-21T06:55:50Z
",
        "
next: tollkeeper project create NAME --org org_01920000000070008000000000000001
",
    );
    check::<views::NewProject>(
        r#"
{"id":"proj_01920000000070008000000000000002","object":"project","name":"chat",
"organization":"org_01920000000070008000000000000001","environment":"prod","data_class":"sensitive","after_grant":"stop","created_at":"2026-11-21T06:55:50Z"}
"#,
        "
id            proj_01920000000070008000000000000002
name          chat
organization  org_01920000000070008000000000000001
environment   prod
data class    sensitive
after grants  stop
created       2026-11-21T06:55:50Z
",
        "
next: tollkeeper keys create --project proj_01920000000070008000000000000002
",
    );
    check::<views::NewKey>(
        r#"{"id":"key_01920000000070008000000000000004","object":"key","name":"laptop","project":"proj_01920000000070008000000000000002","organization":"org_01920000000070008000000000000001","secret":"tk-0123","redacted":"tk-012…","created_at":"2026-11-21T06:55:50.000000Z","a_later_field":{"x":[1]}}"#,
        "
id            key_01920000000070008000000000000004
name          laptop
project       proj_01920000000070008000000000000002
organization  org_01920000000070008000000000000001
created       2026-11-21T06:55:50Z
secret        tk-0123
",
        "
the secret is shown this once: put it where the client reads its key, usually OPENAI_API_KEY
",
    );
    check::<views::Lot>(
        r#"{"id":"lot_01920000000070008000000000000005","object":"lot","organization":"org_01920000000070008000000000000001","wallet":"wal_01920000000070008000000000000006","kind":"promo","amount":"5.00","expires_at":null,"created_at":"2026-11-21T06:55:50.000000Z"}"#,
        "
id            lot_01920000000070008000000000000005
organization  org_01920000000070008000000000000001
wallet        wal_01920000000070008000000000000006
kind          promo
amount        5.00
expires       never
",
        "
next: tollkeeper credits balance --org org_01920000000070008000000000000001
",
    );
}

/// Whose wallets the answers below show.
const ORG: &str = r#""organization":"org_01920000000070008000000000000001""#;

/// A wallet, as the operator API writes it.
fn wallet(id: u8, name: &str, purpose: &str, sums: [&str; 4], lots: &str) -> String {
    let [posted, held, available, debt] = sums;
    let own = name == "own";
    format!(
        r#"{{"id":"wal_0192000000007000800000000000000{id}","object":"wallet",{ORG},"own":{own},"name":"{name}",{purpose},"posted":"{posted}","held":"{held}","available":"{available}","debt":"{debt}","lots":[{lots}]}}"#
    )
}

fn balance(sums: [&str; 4], frozen: bool, wallets: &[String]) -> String {
    let [posted, held, available, debt] = sums;
    let wallets = wallets.join(",");
    format!(
        r#"{{"object":"balance",{ORG},"currency":"USD","posted":"{posted}","held":"{held}","available":"{available}","debt":"{debt}","net":"0.00","frozen":{frozen},"wallets":[{wallets}]}}"#
    )
}

const ALL: &str = r#""project":null,"models":[],"overflow":false"#;
const LOTS: &str = r#"
{"id":"lot_01920000000070008000000000000005","kind":"promo","granted":"5.00","remaining":"4.50","expires_at":"2027-01-31T00:00:00.000000Z"},
{"id":"lot_01920000000070008000000000000006","kind":"prepaid","granted":"10.00","remaining":"10.00","expires_at":null}"#;

#[test]
fn a_balance_shows_what_is_available_and_the_lots() {
    let sums = ["14.50", "0.25", "14.25", "0.00"];
    check::<views::Balance>(
        &balance(sums, false, &[wallet(6, "own", ALL, sums, LOTS)]),
        "
organization  org_01920000000070008000000000000001
currency      USD
available     14.25
held          0.25
posted        14.50
debt          0.00

LOT                                   KIND     GRANTED  REMAINING  EXPIRES               WALLET
lot_01920000000070008000000000000005  promo       5.00       4.50  2027-01-31T00:00:00Z  own
lot_01920000000070008000000000000006  prepaid    10.00      10.00  never                 own
",
        "",
    );
    let project = r#""project":"proj_01920000000070008000000000000002","models":[],"overflow":true"#;
    let models =
        r#""project":"proj_01920000000070008000000000000002","models":["sim-*","a/b"],"overflow":false"#;
    let nothing = ["0.00", "0.00", "0.00", "0.00"];
    let debt = ["0.00", "0.00", "0.00", "0.01"];
    check::<views::Balance>(
        &balance(
            debt,
            false,
            &[
                wallet(6, "own", ALL, debt, ""),
                wallet(7, "chat", project, nothing, ""),
                wallet(8, "small", models, nothing, ""),
            ],
        ),
        "
organization  org_01920000000070008000000000000001
currency      USD
available     0.00
held          0.00
posted        0.00
debt          0.01

WALLET                                NAME   AVAILABLE  HELD  POSTED  DEBT  PAYS FOR
wal_01920000000070008000000000000006  own         0.00  0.00    0.00  0.01  all calls
wal_01920000000070008000000000000007  chat        0.00  0.00    0.00  0.00  proj_01920000000070008000000000000002, then own
wal_01920000000070008000000000000008  small       0.00  0.00    0.00  0.00  sim-*, a/b of proj_01920000000070008000000000000002
",
        "new calls are refused until a grant covers the debt\n",
    );
    for (frozen, note) in [
        (
            false,
            "next: tollkeeper credits grant --org org_01920000000070008000000000000001 --amount 5.00 --kind promo\n",
        ),
        (true, "the books are frozen: run `tollkeeper verify` on the gateway's folder\n"),
    ] {
        check::<views::Balance>(
            &balance(nothing, frozen, &[wallet(6, "own", ALL, nothing, "")]),
            "
organization  org_01920000000070008000000000000001
currency      USD
available     0.00
held          0.00
posted        0.00
debt          0.00
",
            note,
        );
    }
}

#[test]
fn a_ledger_is_a_table_with_a_running_balance() {
    let entry = |sequence: u8, tail: &str| {
        format!(
            r#"{{"object":"entry","sequence":{sequence},"at":"2026-11-21T06:55:5{sequence}.000000Z","wallet_name":"own","hash":"00",{tail}}}"#
        )
    };
    let transfer = entry(
        3,
        r#""kind":"transfer","about":{"type":"lot","id":"lot_01920000000070008000000000000006"},"amount":"0.00","moved":"2.00","balance":"4.74","actor":"operator","reason":null"#,
    );
    let settle = entry(
        2,
        r#""kind":"settle","about":{"type":"request","id":"req_01920000000070008000000000000003"},"amount":"-0.26","moved":null,"balance":"4.74","actor":null,"reason":null"#,
    );
    let grant = entry(
        1,
        r#""kind":"top_up","about":{"type":"lot","id":"lot_01920000000070008000000000000005"},"amount":"5.00","moved":null,"balance":"5.00","actor":"operator","reason":"invoice 7""#,
    );
    check::<views::Ledger>(
        &format!(r#"{{"object":"list","data":[{transfer},{settle},{grant}],"has_more":true}}"#),
        "
SEQ  AT                    ENTRY     AMOUNT  BALANCE  WALLET  ABOUT                                 BY
  3  2026-11-21T06:55:53Z  transfer  (2.00)     4.74  own     lot_01920000000070008000000000000006  operator
  2  2026-11-21T06:55:52Z  settle     -0.26     4.74  own     req_01920000000070008000000000000003
  1  2026-11-21T06:55:51Z  top up      5.00     5.00  own     lot_01920000000070008000000000000005  operator: invoice 7
",
        "
in brackets: moved from wallet to wallet, so the balance stays
older entries exist: --before 1
",
    );
    check::<views::Ledger>(r#"{"object":"list","data":[],"has_more":false}"#, "", "nothing was booked yet\n");
}

#[test]
fn budgets_are_a_line_for_each_that_counts() {
    let budget = |tail: &str| {
        format!(
            r#"{{"id":"bud_01920000000070008000000000000007","object":"budget",{ORG},"zone":"UTC","thresholds":[50,80],{tail}}}"#
        )
    };
    let users = budget(
        r#""of":"user","which":null,"period":"daily","cost":"1.00","tokens":null,"steps":null,"hard":true,"resets_at":"2026-11-22T00:00:00.000000Z","uses":[{"value":"u-1","spent":"0.25","tokens":70,"steps":3},{"value":"u-2","spent":"0.00","tokens":0,"steps":1}]"#,
    );
    let total = budget(
        r#""of":"organization","which":null,"period":"total","cost":null,"tokens":null,"steps":5,"hard":false,"resets_at":null,"uses":[]"#,
    );
    check::<views::Budgets>(
        &format!(r#"{{"object":"list","data":[{users},{total}],"has_more":false}}"#),
        "
BUDGET                                COUNTS        PERIOD  KIND  OF           COST  TOKENS   STEPS  STARTS ANEW
bud_01920000000070008000000000000007  each user     daily   hard  u-1  0.25 of 1.00      70       3  2026-11-22T00:00:00Z
bud_01920000000070008000000000000007  each user     daily   hard  u-2  0.00 of 1.00       0       1  2026-11-22T00:00:00Z
bud_01920000000070008000000000000007  organization  total   soft               0.00       0  0 of 5  never
",
        "",
    );
    check::<views::Budget>(
        &users,
        "
id            bud_01920000000070008000000000000007
organization  org_01920000000070008000000000000001
counts        each user
period        daily, UTC
cost          1.00
tokens        no cap
steps         no cap
kind          hard
tells at      50 %, 80 %
",
        "next: tollkeeper budgets list --org org_01920000000070008000000000000001\n",
    );
}

#[test]
fn events_are_told_in_words_also_those_of_a_newer_gateway() {
    let event = |id: u8, tail: &str| {
        format!(r#"{{"id":{id},"object":"event",{ORG},"at":"2026-11-21T06:55:5{id}.000000Z",{tail}}}"#)
    };
    let events = [
        event(4, r#""event":"moon_full","brightness":3"#),
        event(
            3,
            r#""event":"budget_threshold","budget":"bud_01920000000070008000000000000007","of":"user","value":"u-1","percent":80,"spent":"0.80","cost":"1.00","period_start":null"#,
        ),
        event(2, r#""event":"went_into_debt","wallet":"wal_1","request":"req_1","owed":"0.01""#),
        event(
            1,
            r#""event":"credit_expiring","wallet":"wal_1","lot":"lot_1","remaining":"3.00","expires_at":"2026-12-01T00:00:00.000000Z""#,
        ),
    ];
    check::<views::Events>(
        &format!(r#"{{"object":"list","data":[{}],"has_more":true}}"#, events.join(",")),
        "
EVENT  AT                    WHAT              DETAIL
    4  2026-11-21T06:55:54Z  moon full
    3  2026-11-21T06:55:53Z  budget threshold  user u-1: 80 % of bud_01920000000070008000000000000007, 0.80 spent
    2  2026-11-21T06:55:52Z  went into debt    req_1 left wal_1 owing 0.01
    1  2026-11-21T06:55:51Z  credit expiring   3.00 of lot_1 expires at 2026-12-01T00:00:00Z
",
        "older events exist: --before 1\n",
    );
}

#[test]
fn only_the_word_is_a_yes() {
    for (answer, yes) in [("yes\n", true), (" YES ", true), ("y\n", false), ("", false), ("no\n", false)] {
        assert_eq!(crate::output::is_yes(answer), yes, "{answer:?}");
    }
}

/// A cost row of request 3, as the operator API writes it.
fn row(attempt: u8, tail: &str) -> String {
    format!(
        r#"{{"request_id":"req_01920000000070008000000000000003","attempt":{attempt},"at":"2026-11-21T06:55:5{attempt}.000000Z","org":"org_01920000000070008000000000000001","project":"proj_01920000000070008000000000000002","key":"key_01920000000070008000000000000004","model":"sim-small","target":"sim/sim-small","user":null,"feature":null,"environment":"dev","run":null,"http_status":200,"streamed":false,"duration_ms":12,"held":"0.25",{tail}}}"#
    )
}

#[test]
fn usage_is_a_table_with_its_notes() {
    let succeeded = row(
        2,
        r#""provider":"sim","input_tokens":1200,"cached_tokens":1024,"output_tokens":7,"reasoning_tokens":0,"access_class":"complimentary","payer":"provider+organization","list_price":"0.0002","pool":"complimentary/large","pool_units":600,"cost":"0.0001","status":"succeeded","reason":null,"estimated":true"#,
    );
    let failed = row(
        1,
        r#""provider":"backup\u001b[31m","input_tokens":0,"cached_tokens":0,"output_tokens":0,"reasoning_tokens":0,"access_class":"direct","payer":"organization","list_price":null,"cost":"0.00","status":"failed","reason":"upstream_timeout","estimated":false"#,
    );
    check::<views::Usage>(
        &format!(r#"{{"object":"list","data":[{succeeded},{failed}],"has_more":true}}"#),
        "
AT                    REQUEST                               TRY  MODEL      PROVIDER     INPUT  CACHED  OUTPUT     LIST     COST  PAID BY                 STATUS
2026-11-21T06:55:52Z  req_01920000000070008000000000000003    2  sim-small  sim           1200    1024       7  ~0.0002  ~0.0001  provider, organization  succeeded
2026-11-21T06:55:51Z  req_01920000000070008000000000000003    1  sim-small  backup\u{fffd}[31m      0       0       0  unknown     0.00  organization            failed: upstream_timeout
",
        "
~ marks estimates: the provider reported no usage, so tokens were counted here
older rows exist: raise --limit, up to 1000
",
    );
    check::<views::Usage>(
        r#"{"object":"list","data":[],"has_more":false}"#,
        "",
        "no cost rows yet: one appears when a call's attempt ends\n",
    );
}

#[test]
fn an_explanation_holds_everything_of_a_request() {
    let attempt = row(
        1,
        r#""provider":"sim","input_tokens":12,"cached_tokens":0,"output_tokens":7,"reasoning_tokens":0,"access_class":"byok","payer":"caller","list_price":"5.20","pool":"byok","pool_units":0,"cost":"0.26","service_tier":"flex","reported_cost":"0.26000001","status":"succeeded","reason":"complete","estimated":false"#,
    );
    check::<views::Explained>(
        &format!(
            r#"{{"object":"explanation","id":"req_01920000000070008000000000000003","request":"req_01920000000070008000000000000003","at":"2026-11-21T06:55:50.000000Z","state":"settled","recorded":true,"note":null,"endpoint":"chat","caller":{{"organization":{{"id":"org_1","name":"Acme"}},"project":{{"id":"proj_2","name":"chat"}},"key":{{"id":"key_3","name":"laptop"}}}},"layers":[{{"owner":"key","passed":true,"saw":{{"expires_at":null,"name":"laptop"}}}},{{"owner":"usage_limit","passed":true,"saw":{{"asked":"0.25","tokens":40}}}},{{"owner":"rate_limit","passed":true,"saw":[{{"of":"tier","limit":5}},{{"of":"key","limit":2}}]}}],"stopped":null,"route":{{"target":"sim/small","price_version":"sim/small@1"}},"hold":{{"amount":"0.25","state":"settled","created_at":"2026-11-21T06:55:50.000000Z"}},"attempts":[{attempt}],"cost":"0.26","retry_cost":"0.00","journal":[{{"seq":7,"kind":"settle","amount":"0.26","at":"2026-11-21T06:55:51.000000Z","draws":[{{"lot":"lot_01920000000070008000000000000005","amount":"0.15"}},{{"lot":"lot_01920000000070008000000000000006","amount":"0.10"}}],"debt":"0.01"}}]}}"#
        ),
        "
request        req_01920000000070008000000000000003
at             2026-11-21T06:55:50Z
organization   Acme (org_1)
project        chat (proj_2)
key            laptop (key_3)
state          settled
route          sim/small, price sim/small@1
hold           0.25, settled (made 2026-11-21T06:55:50Z)
cost           0.26
provider says  0.26000001 for try 1
access class   byok for try 1
service tier   flex for try 1

   LAYER            SAW
✓  1.1 key          name: laptop
✓  1.6 usage limit  asked: 0.25, tokens: 40
✓  1.7 rate limit   limit: 5, of: tier; limit: 2, of: key

AT                    REQUEST                               TRY  MODEL      PROVIDER  INPUT  CACHED  OUTPUT  LIST  COST  PAID BY  STATUS
2026-11-21T06:55:51Z  req_01920000000070008000000000000003    1  sim-small  sim          12       0       7  5.20  0.26  caller   succeeded

SEQ  AT                    ENTRY   AMOUNT  DEBT  DRAWN FROM
  7  2026-11-21T06:55:51Z  settle    0.26  0.01  0.15 of lot_01920000000070008000000000000005, 0.10 of lot_01920000000070008000000000000006
",
        "",
    );
    check::<views::Explained>(
        r#"{"object":"explanation","id":"req_01920000000070008000000000000003","at":null,"state":"refused","note":"not all of it","caller":{"organization":{"id":"org_1"},"project":{"id":"proj_2"},"key":{"id":"key_3"}},"layers":[{"owner":"key","passed":true,"saw":{"name":"laptop"}},{"owner":"project","passed":false,"saw":{"refused":"project_archived"}}],"stopped":{"owner":"project","kind":"refused","code":"project_archived","message":"It is closed.","next_step":"reopen it"},"route":null,"hold":null,"attempts":[],"cost":"0.00","retry_cost":"0.00","journal":[]}"#,
        "
request       req_01920000000070008000000000000003
organization  org_1
project       proj_2
key           key_3
state         refused
hold          none
cost          0.00
stopped by    1.2 project
because       It is closed.

   LAYER        SAW
✓  1.1 key      name: laptop
✗  1.2 project  refused: project_archived
",
        "not all of it\nnext: reopen it\n",
    );
}

/// What a command shows in either form, and the exit code it ends with.
fn concluded(form: Form, show: impl FnOnce(&mut Output) -> Result<(), Failure>) -> (String, u8) {
    let mut code = 0;
    let (data, _) =
        printed(form, false, |output| code = show(output).map_or_else(|failure| failure.exit.code(), |()| 0));
    (data, code)
}

#[test]
fn a_verification_counts_and_names_broken_rules() {
    let report = |breaches: &[&str]| server::Report {
        organizations: 1,
        wallets: 2,
        entries: 30,
        rows: 17,
        holds: 1,
        revenue: "0.25".parse().unwrap(),
        balance: "4.75".parse().unwrap(),
        frozen: Vec::new(),
        breaches: breaches.iter().map(|breach| (*breach).to_owned()).collect(),
    };
    let shown = |form, breaches: &[&str]| concluded(form, |output| verify::show(report(breaches), output));
    let human = "\
organizations    1
wallets          2
journal entries  30
cost rows        17
live holds       1
revenue          0.25
balance          4.75
broken rules     0
";
    assert_eq!(shown(Form::Human, &[]), (human.to_owned(), 0));
    let broken = format!("{}1\nwallet wal_1: held is not the sum of its holds\n", &human[..human.len() - 2]);
    assert_eq!(shown(Form::Human, &["wallet wal_1: held is not the sum of its holds"]), (broken, 6));
    let json = r#"{"object":"verification","ok":false,"organizations":1,"wallets":2,"entries":30,"rows":17,"holds":1,"revenue":"0.25","balance":"4.75","breaches":["x"]}"#;
    assert_eq!(shown(Form::Json, &["x"]), (format!("{json}\n"), 6));
}

#[test]
fn a_diagnosis_is_a_list_of_checks() {
    let finding = |check: &str, next_step: Option<&str>| server::Finding {
        check: check.to_owned(),
        ok: next_step.is_none(),
        message: "seen".to_owned(),
        next_step: next_step.map(str::to_owned),
    };
    let checks = || vec![finding("configuration", None), finding("store", Some("mend it"))];
    let human = "\
CHECK          RESULT  WHAT
configuration  ok      seen
store          FOUND   seen; mend it
";
    assert_eq!(concluded(Form::Human, |output| doctor::show(checks(), output)), (human.to_owned(), 6));
    let json =
        r#"{"object":"diagnosis","ok":true,"checks":[{"check":"configuration","ok":true,"message":"seen"}]}"#;
    let healthy = || vec![finding("configuration", None)];
    assert_eq!(concluded(Form::Json, |output| doctor::show(healthy(), output)), (format!("{json}\n"), 0));
}

#[test]
fn failures_go_to_standard_error_and_color_only_decorates() {
    let failure = Failure::new(Exit::Failure, "it\u{7} broke\nin two").next("mend it");
    let (data, plain) = printed(Form::Human, false, |output| output.failure(&failure));
    assert_eq!((data.as_str(), plain.as_str()), ("", "error: it\u{fffd} broke\nin two\nnext:  mend it\n"));
    let (_, colored) = printed(Form::Human, true, |output| output.failure(&failure));
    assert_eq!(
        colored,
        "\u{1b}[1;31merror:\u{1b}[0m it\u{fffd} broke\nin two\n\u{1b}[1mnext:\u{1b}[0m  mend it\n"
    );
    let (_, short) = printed(Form::Json, false, |output| output.failure(&Failure::new(Exit::Auth, "no key")));
    assert_eq!(short, "error: no key\n");
}

#[test]
fn an_answer_of_another_version_is_a_failure_with_a_way_out() {
    let raw: &RawValue = serde_json::from_str(r#"{"id":7}"#).unwrap();
    let (data, _) = printed(Form::Human, false, |output| {
        let failure = output.answer::<views::Organization>(raw).unwrap_err();
        assert_eq!(failure.exit, Exit::Failure);
        assert!(failure.next_step.unwrap().contains("--json"));
    });
    assert_eq!(data, "");
}

/// A writer that always fails in this way.
struct Broken(ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_left_is_no_failure_but_a_full_disk_is() {
    let raw: &RawValue = serde_json::from_str("{}").unwrap();
    for (kind, fails) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
        let mut output = Output::new(Box::new(Broken(kind)), Box::new(io::sink()), Form::Json, false);
        assert_eq!(output.answer::<views::Usage>(raw).is_err(), fails, "{kind}");
    }
}
