//! The text form of keys: what is accepted, what is shown, what a scan finds.

use std::collections::HashSet;

use super::{CountingIds, hasher};
use crate::{Found, KeyKind, Malformed, Secret, mask, scan};

/// Whole keys with known checksums, so that the form never changes unnoticed.
const PROJECT: &str = "tk-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd0ikyxJ";
const OPERATOR: &str = "tk-op-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd1a4jye";

#[test]
fn texts_are_keys_or_say_why_not() {
    let whole = PROJECT.len();
    for (text, expected) in [
        (PROJECT.to_owned(), Ok(KeyKind::Project)),
        (OPERATOR.to_owned(), Ok(KeyKind::Operator)),
        (String::new(), Err(Malformed::Prefix)),
        ("tk".to_owned(), Err(Malformed::Prefix)),
        (PROJECT.replace("tk-", "TK-"), Err(Malformed::Prefix)),
        (format!(" {PROJECT}"), Err(Malformed::Prefix)),
        ("tk-".to_owned(), Err(Malformed::Length { found: 3, whole })),
        ("tk-op-".to_owned(), Err(Malformed::Length { found: 6, whole: whole + 3 })),
        (PROJECT[..whole - 1].to_owned(), Err(Malformed::Length { found: whole - 1, whole })),
        (format!("{PROJECT}\n"), Err(Malformed::Length { found: whole + 1, whole })),
        (PROJECT.replace("ABC", "A-C"), Err(Malformed::Alphabet)),
        (PROJECT.replace("AB", "é"), Err(Malformed::Alphabet)),
        (PROJECT.replace("ABC", "ACB"), Err(Malformed::Checksum)),
        (format!("tk-{}zzzzzz", &PROJECT[3..43]), Err(Malformed::Checksum)),
        // The checksum covers the prefix: an operator's key does not become a project's by cutting it.
        (OPERATOR.replace("tk-op-", "tk-"), Err(Malformed::Checksum)),
    ] {
        assert_eq!(KeyKind::of(&text), expected, "{text:?}");
        assert_eq!(Secret::parse(&text).map(|secret| secret.kind()), expected, "{text:?}");
    }
}

#[test]
fn every_single_character_change_is_noticed() {
    for key in [PROJECT, OPERATOR] {
        for position in 0..key.len() {
            for byte in 0..=127_u8 {
                let mut changed = key.as_bytes().to_vec();
                changed[position] = byte;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(KeyKind::of(&changed).is_ok(), changed == key, "{changed:?}");
            }
        }
    }
}

#[test]
fn generated_keys_are_unique_and_parse() {
    let ids = CountingIds::default();
    let mut seen = HashSet::new();
    let mut digits = [0_usize; 128];
    for _ in 0..100_000 {
        let secret = Secret::generate(KeyKind::Project, &ids);
        assert_eq!(KeyKind::of(secret.expose()), Ok(KeyKind::Project));
        secret.expose()[3..43].bytes().for_each(|digit| digits[usize::from(digit)] += 1);
        assert!(seen.insert(secret.expose().to_owned()));
    }
    // Each of the 62 digits makes its share of the 4 million, give or take ten standard deviations.
    let expected = 4_000_000 / 62;
    let used: Vec<usize> = digits.into_iter().filter(|count| *count > 0).collect();
    assert_eq!(used.len(), 62);
    assert!(used.iter().all(|count| count.abs_diff(expected) < 2_540), "{used:?}");
    let operator = Secret::generate(KeyKind::Operator, &ids);
    assert_eq!(KeyKind::of(operator.expose()), Ok(KeyKind::Operator));
}

#[test]
fn a_secret_shows_itself_only_when_asked() {
    let secret = Secret::parse(PROJECT).unwrap();
    assert_eq!(secret.redacted(), "tk-012…kyxJ");
    assert_eq!(format!("{secret:?}"), "Secret(tk-012…kyxJ)");
    assert_eq!(secret.expose(), PROJECT);
    assert_eq!(Secret::parse(OPERATOR).unwrap().redacted(), "tk-op-012…4jye");
    assert_eq!(format!("{:?}", hasher()), "KeyHasher(hidden)");
    assert_eq!(format!("{:?}", hasher().hash("")).chars().count(), "KeyHash(00000000…)".chars().count());
}

#[test]
fn masks_show_little_and_nothing_that_acts() {
    for (text, shown) in [
        (PROJECT, "tk-012***kyxJ"),
        (OPERATOR, "tk-op-012***4jye"),
        ("", "***"),
        ("hunter2", "***"),
        ("123456789012345", "***"),
        ("1234567890123456", "123***3456"),
        ("tk-0123456789ABCDEFGHIJKLMNOPQ", "tk-***NOPQ"),
        ("sk-proj-abcdefghijklmnop", "sk-***mnop"),
        ("\u{1b}[31m-red-as-an-alarm\r\n\t", "?[3***m???"),
        ("ключ\u{202e}ключключключ", "???***????"),
    ] {
        assert_eq!(mask(text), shown, "{text:?}");
    }
}

#[test]
fn hashes_depend_on_every_byte_and_on_the_pepper() {
    let hash = hasher().hash(PROJECT);
    assert_eq!(hash, hasher().hash(PROJECT));
    assert_ne!(hash, hasher().hash(OPERATOR));
    assert_ne!(hash, crate::KeyHasher::new([8; 32]).hash(PROJECT));
}

#[test]
fn a_scan_finds_whole_keys_and_nothing_else() {
    let found = |kind, start: usize| Found {
        kind,
        range: start..start + if kind == KeyKind::Project { PROJECT.len() } else { OPERATOR.len() },
        redacted: if kind == KeyKind::Project { "tk-012…kyxJ" } else { "tk-op-012…4jye" }.to_owned(),
    };
    for (text, expected) in [
        (String::new(), vec![]),
        ("no key, but tk- and tk-op- and tk-short".to_owned(), vec![]),
        (PROJECT.to_owned(), vec![found(KeyKind::Project, 0)]),
        (format!("KEY='{OPERATOR}'"), vec![found(KeyKind::Operator, 5)]),
        (
            format!("é=\"{PROJECT}\"\n{OPERATOR}"),
            vec![found(KeyKind::Project, 4), found(KeyKind::Operator, 55)],
        ),
        (format!("a{PROJECT}{PROJECT}b"), vec![found(KeyKind::Project, 1), found(KeyKind::Project, 50)]),
        (PROJECT.replace("ABC", "ABD"), vec![]),
        (PROJECT[..48].to_owned(), vec![]),
        (format!("{}é", &PROJECT[..48]), vec![]),
    ] {
        assert_eq!(scan(&text).collect::<Vec<_>>(), expected, "{text:?}");
    }
}
