//! Small changes of inputs, as a seed decides them: what stands in for a fuzzer where there is none.

use crate::input::Dice;

/// Texts that mean something to some parser.
const WORDS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "-1",
    "1e3",
    "0",
    "18446744073709551615",
    "\\u0000",
    "\\ud83d",
    "\n\n",
    "\r",
    "data: ",
    "event: error\n",
    "[DONE]",
    "é🦀",
    "\u{feff}",
    "true",
    "\"\"",
    "9223372036.854775807",
];

/// The input with one to four changes: bytes set, taken out, put in or doubled, words put in, or the end of another
/// input in place of its own.
pub fn mutate(input: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let until = (at + 1 + dice.below(12)).min(bytes.len());
        let word = WORDS.get(dice.below(WORDS.len())).copied().unwrap_or_default();
        match dice.below(6) {
            0 => {
                if let (Some(byte), [low, ..]) = (bytes.get_mut(at), dice.roll().to_le_bytes()) {
                    *byte = low;
                }
            }
            1 => drop(bytes.drain(at.min(until)..until)),
            2 => drop(bytes.splice(at..at, word.bytes())),
            3 => {
                let part = bytes.get(at.min(until)..until).unwrap_or_default().to_vec();
                drop(bytes.splice(at..at, part));
            }
            4 => drop(bytes.splice(at.min(until)..until, word.bytes())),
            _ => {
                bytes.truncate(at);
                bytes.extend_from_slice(other.get(dice.below(other.len() + 1)..).unwrap_or_default());
            }
        }
    }
    bytes
}
