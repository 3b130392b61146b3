//! Amazon's signatures, checked as Amazon checks them: the request is written down as it came, and signed once more.
//!
//! It shares nothing with the code that signs.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

/// The access key that the mock knows.
const KEY_ID: &str = "SIMULATED";
const KEY_SECRET: &str = "simulated";

/// The headers that must be signed.
const ALWAYS: [&str; 2] = ["host", "x-amz-date"];
/// The headers that must be signed where they are.
const WHERE_THERE: [&str; 2] = ["content-type", "x-amz-security-token"];

/// Whether the request says that it is signed.
pub(crate) fn is_signed(headers: &HeaderMap) -> bool {
    text(headers, AUTHORIZATION.as_str()).starts_with("AWS4-HMAC-SHA256 ")
}

/// Checks the signature of a request.
///
/// # Errors
/// What is wrong with it, as Amazon puts it: the name of the exception, and a sentence.
pub(crate) fn check(head: &Parts, body: &[u8], now_us: i64) -> Result<(), (&'static str, String)> {
    let refuse = |name: &'static str, why: &str| Err((name, why.to_owned()));
    let told = text(&head.headers, AUTHORIZATION.as_str());
    let part =
        |name: &str| told.split([' ', ',']).find_map(|part| part.strip_prefix(name)).unwrap_or_default();
    let (credential, signed, signature) = (part("Credential="), part("SignedHeaders="), part("Signature="));
    let (id, scope) = credential.split_once('/').unwrap_or_default();
    if id != KEY_ID {
        return refuse(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        );
    }
    let names: Vec<&str> = signed.split(';').collect();
    let is_there = |name: &&str| head.headers.contains_key(*name);
    if !ALWAYS.iter().chain(WHERE_THERE.iter().filter(|name| is_there(name))).all(|name| names.contains(name))
    {
        return refuse("InvalidSignatureException", "A header that must be signed is not.");
    }
    let moment = text(&head.headers, "x-amz-date");
    if seconds(moment).is_none_or(|at| at.abs_diff(now_us / 1_000_000) > 300) {
        return refuse("InvalidSignatureException", &format!("Signature expired: {moment} is not now."));
    }
    let [day, region, service, last] = scope.split('/').collect::<Vec<_>>()[..] else {
        return refuse("IncompleteSignatureException", "The credential has no scope.");
    };
    if service != "bedrock" || last != "aws4_request" || !moment.starts_with(day) {
        return refuse(
            "InvalidSignatureException",
            "Credential should be scoped to correct service: 'bedrock'.",
        );
    }
    let asked = written_down(head, &names, signed, body);
    let text =
        format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", hex(digest(&SHA256, asked.as_bytes()).as_ref()));
    let key = [day, region, service, last]
        .iter()
        .fold(format!("AWS4{KEY_SECRET}").into_bytes(), |key, step| mac(&key, step));
    if hex(&mac(&key, &text)) == signature {
        Ok(())
    } else {
        let why = "The request signature we calculated does not match the signature you provided. The canonical \
                   request for this request should have been";
        Err(("InvalidSignatureException", format!("{why} '{asked}'")))
    }
}

fn written_down(head: &Parts, names: &[&str], signed: &str, body: &[u8]) -> String {
    let mut path = String::new();
    for byte in head.uri.path().bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => path.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    let authority = head.uri.authority().map(ToString::to_string);
    let value = |name: &str| match &authority {
        // HTTP/2 has it in the address.
        Some(authority) if name == "host" => authority.clone(),
        _ => text(&head.headers, name).to_owned(),
    };
    let lines: String = names.iter().map(|name| format!("{name}:{}\n", value(name))).collect();
    let query = head.uri.query().unwrap_or_default();
    format!("{}\n{path}\n{query}\n{lines}\n{signed}\n{}", head.method, hex(digest(&SHA256, body).as_ref()))
}

/// Seconds since 1970 of a moment such as `20150830T123600Z`, by counting days as the calendar does.
fn seconds(moment: &str) -> Option<i64> {
    if moment.len() != 16 || !moment.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| moment[from..to].parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    // The year begins in March, so that the day that comes and goes is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + number(9, 11)?) * 60 + number(11, 13)?) * 60 + number(13, 15)?)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn moments_are_counted() {
        for (moment, wanted) in [
            ("19700101T000000Z", Some(0)),
            ("20150830T123600Z", Some(1_440_938_160)),
            ("20240229T235959Z", Some(1_709_251_199)),
            ("2015-08-30T12:36", None),
            ("20150830", None),
        ] {
            assert_eq!(seconds(moment), wanted, "{moment}");
        }
    }

    /// A request that botocore 1.44.5 signed.
    #[test]
    fn a_signature_is_of_every_part_of_the_request() {
        const NOW: i64 = 1_440_938_160 * 1_000_000;
        let signed = |path: &str, token: &str, date: &str, signature: &str| {
            let request = Request::builder().method("POST").uri(path).header("host", "127.0.0.1:9");
            let request = request.header("content-type", "application/json").header("x-amz-date", date);
            let request = request.header("x-amz-security-token", token).header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential=SIMULATED/20150830/eu-west-1/bedrock/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature={signature}"
                ),
            );
            request.body(()).unwrap().into_parts().0
        };
        let (path, date) = ("/model/a.b-v1%3A0/converse", "20150830T123600Z");
        const SIGNATURE: &str = "ee1cbfae1f5eb1737af61e87575624ef3414fe6f41799d13858b1120b19d3d9e";
        let good = signed(path, "token", date, SIGNATURE);
        assert!(is_signed(&good.headers));
        assert_eq!(check(&good, b"{}", NOW), Ok(()));
        for (head, body, now, name) in [
            (signed(path, "token", date, SIGNATURE), "{ }", NOW, "InvalidSignatureException"),
            (signed(path, "token", date, SIGNATURE), "{}", NOW + 301_000_000, "InvalidSignatureException"),
            (
                signed("/model/a.b-v1:0/converse", "token", date, SIGNATURE),
                "{}",
                NOW,
                "InvalidSignatureException",
            ),
            (signed(path, "other", date, SIGNATURE), "{}", NOW, "InvalidSignatureException"),
            (signed(path, "token", "20150830T123601Z", SIGNATURE), "{}", NOW, "InvalidSignatureException"),
            (signed(path, "token", date, ""), "{}", NOW, "InvalidSignatureException"),
        ] {
            assert_eq!(check(&head, body.as_bytes(), now).unwrap_err().0, name);
        }
        let with = |from: &str, to: &str| {
            let mut head = signed(path, "token", date, SIGNATURE);
            let value = text(&head.headers, "authorization").replace(from, to);
            head.headers.insert("authorization", value.parse().unwrap());
            check(&head, b"{}", NOW).unwrap_err().0
        };
        assert_eq!(with("SIMULATED", "OTHER"), "UnrecognizedClientException");
        assert_eq!(with("/aws4_request", ""), "IncompleteSignatureException");
        assert_eq!(with("bedrock", "s3"), "InvalidSignatureException");
        assert_eq!(with(";x-amz-security-token", ""), "InvalidSignatureException");
    }
}
