//! What is printed of projects, keys, members, limits and the audit log.

use super::showing::check;
use crate::views;

#[test]
fn a_project_says_what_it_may_call() {
    check::<views::Project>(
        r#"{"id":"proj_01920000000070008000000000000002","object":"project","name":"chat","organization":"org_01920000000070008000000000000001","environment":"prod","data_class":"internal","after_grant":"stop","byok":"first","byok_fallback":true,"models":{"mode":"deny_list","models":["o1*"]},"created_at":"2026-11-21T06:55:50Z","archived_at":"2026-11-22T06:55:50Z"}"#,
        "
id             proj_01920000000070008000000000000002
name           chat
organization   org_01920000000070008000000000000001
environment    prod
data class     internal
after grants   stop
models         all but o1*
provider keys  its own first, then the gateway's
created        2026-11-21T06:55:50Z
archived       2026-11-22T06:55:50Z
",
        "",
    );
    check::<views::Projects>(
        r#"{"object":"list","data":[{"id":"proj_01920000000070008000000000000002","object":"project","name":"chat","organization":"org_01920000000070008000000000000001","environment":"dev","data_class":"public","after_grant":"paid","byok":"first","byok_fallback":true,"models":null,"created_at":"2026-11-21T06:55:50Z","archived_at":null}],"has_more":false}"#,
        "
PROJECT                                NAME  ENVIRONMENT  DATA    AFTER GRANTS  MODELS  ARCHIVED
proj_01920000000070008000000000000002  chat  dev          public  paid          all
",
        "",
    );
}

#[test]
fn a_consent_says_which_app_spends_how_much_of_whose_money() {
    const CONSENT: &str = r#"{"id":"con_0192000000007000800000000000000b","object":"consent","organization":"org_01920000000070008000000000000001","project":"proj_01920000000070008000000000000002","user":"user_01920000000070008000000000000009","app":{"origin":"https://notes.example","name":"Notes"},"state":"active","limit":"5.00","limit_reset":"monthly","models":null,"given_at":"2026-11-21T06:55:50Z","fetch_until":"2026-11-21T07:05:50Z","expires_at":"2026-12-21T06:55:50Z","key":"key_01920000000070008000000000000004","revoked":null}"#;
    check::<views::Consent>(
        CONSENT,
        "
id       con_0192000000007000800000000000000b
app      Notes (https://notes.example)
member   user_01920000000070008000000000000009
state    active
limit    5.00 monthly
expires  2026-12-21T06:55:50Z
key      key_01920000000070008000000000000004
",
        "",
    );
    let bare =
        CONSENT.replace(r#""Notes"}"#, "null}").replace("monthly", "none").replace("active", "pending");
    let listed = format!(r#"{{"object":"list","data":[{bare}],"has_more":false}}"#);
    check::<views::Consents>(
        &listed,
        "
CONSENT                               APP                    MEMBER                                 STATE    LIMIT        EXPIRES
con_0192000000007000800000000000000b  https://notes.example  user_01920000000070008000000000000009  pending  5.00 in all  2026-12-21T06:55:50Z
",
        "",
    );
}

const KEY: &str = r#"{"id":"key_01920000000070008000000000000004","object":"key","name":"laptop","project":"proj_01920000000070008000000000000002","organization":"org_01920000000070008000000000000001","owner":"user_01920000000070008000000000000009","redacted":"tk-012…wxyz","previous":null,"endpoints":["models"],"models":{"mode":"allow_list","models":["gpt-5*","o3"]},"networks":[],"expires_at":null,"disabled_at":"2026-11-22T06:55:50Z","revoked_at":null,"last_used_at":null,"created_at":"2026-11-21T06:55:50Z"}"#;

#[test]
fn a_key_says_what_it_may_and_whether_it_does() {
    check::<views::Key>(
        KEY,
        "
id         key_01920000000070008000000000000004
name       laptop
secret     tk-012…wxyz
state      disabled
project    proj_01920000000070008000000000000002
owner      user_01920000000070008000000000000009
endpoints  models
models     gpt-5*, o3
networks   all
created    2026-11-21T06:55:50Z
expires    never
last used  never
",
        "",
    );
    check::<views::Keys>(
        &format!(r#"{{"object":"list","data":[{KEY}],"has_more":true}}"#),
        "
KEY                                   NAME    SECRET       STATE     EXPIRES  LAST USED
key_01920000000070008000000000000004  laptop  tk-012…wxyz  disabled  never    never
",
        "
there are more: --after key_01920000000070008000000000000004
",
    );
}

#[test]
fn people_limits_and_changes_are_told_in_words() {
    check::<views::NewMember>(
        r#"{"id":"user_01920000000070008000000000000009","object":"user","organization":"org_01920000000070008000000000000001","email":"a@example.com","name":"Ada","role":"owner","added_at":"2026-11-21T06:55:50Z"}"#,
        "
id     user_01920000000070008000000000000009
email  a@example.com
name   Ada
role   owner
added  2026-11-21T06:55:50Z
",
        "
next: tollkeeper members key user_01920000000070008000000000000009 --org org_01920000000070008000000000000001
",
    );
    check::<views::Limits>(
        r#"{"object":"list","data":[{"id":"rl_0192000000007000800000000000000a","object":"rate_limit","organization":"org_01920000000070008000000000000001","subject":"user","which":null,"model":"*","requests_per_minute":60,"tokens_per_minute":null,"input_tokens_per_minute":null,"output_tokens_per_minute":null,"images_per_minute":null,"requests_per_day":null,"tokens_per_day":null,"concurrent_requests":2}],"has_more":false}"#,
        "
LIMIT                                OF         MODEL  CAPS
rl_0192000000007000800000000000000a  each user  *      60 requests a minute, 2 at once
",
        "",
    );
    check::<views::Audit>(
        r#"{"object":"list","data":[{"id":"audit_log_0192000000007000800000000000000b","object":"audit_log","organization":"org_01920000000070008000000000000001","at":"2026-11-21T06:55:50Z","action":"project.updated","project":null,"subject":"proj_01920000000070008000000000000002","actor":{"type":"admin_key","key":"admin_key_01920000000070008000000000000004","user":"user_01920000000070008000000000000009","email":"a@example.com","address":"10.0.0.9"},"before":{},"after":{}},{"id":"audit_log_0192000000007000800000000000000a","object":"audit_log","organization":"org_01920000000070008000000000000001","at":"2026-11-21T06:55:49Z","action":"organization.created","project":null,"subject":"org_01920000000070008000000000000001","actor":{"type":"operator"},"before":null,"after":{}}],"has_more":true}"#,
        "
AT                    WHO            FROM      WHAT                  OF WHAT
2026-11-21T06:55:50Z  a@example.com  10.0.0.9  project.updated       proj_01920000000070008000000000000002
2026-11-21T06:55:49Z  operator                 organization.created  org_01920000000070008000000000000001
",
        "
there are more: --after audit_log_0192000000007000800000000000000a
",
    );
}
