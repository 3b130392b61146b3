//! The six characters at the end of a key: CRC-32 (IEEE) of what precedes them, in base62.
//!
//! A checksum is no protection against forgery (the look-up is); it lets a typing error be named without a look-up,
//! and lets a scan recognise our keys in any text.

/// The digits of base62 by value.
pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many characters a checksum has: 62^6 is more than 2^32.
pub(crate) const CHECKSUM_CHARS: usize = 6;

/// The checksum of some bytes, padded with zeros.
pub(crate) fn of(bytes: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut rest = crc32(bytes);
    let mut digits = [BASE62[0]; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Eight bytes a step, whose effects are looked up side by side: every request with a key waits for this.
fn crc32(bytes: &[u8]) -> u32 {
    let (steps, rest) = bytes.as_chunks::<8>();
    let mut crc = u32::MAX;
    for step in steps {
        let mixed = u64::from_le_bytes(*step) ^ u64::from(crc);
        crc = TABLES
            .iter()
            .rev()
            .zip(mixed.to_le_bytes())
            .fold(0, |sum, (table, byte)| sum ^ table[usize::from(byte)]);
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][usize::from((crc as u8) ^ byte)];
    }
    !crc
}

/// The effect of each byte on the sum when so many bytes come after it.
const TABLES: [[u32; 256]; 8] = {
    let mut tables = [TABLE; 8];
    let mut after = 1;
    while after < tables.len() {
        let mut byte = 0;
        while byte < 256 {
            let sum = tables[after - 1][byte];
            tables[after][byte] = (sum >> 8) ^ TABLE[(sum & 0xff) as usize];
            byte += 1;
        }
        after += 1;
    }
    tables
};

/// The effect of each byte on the sum, for the reversed polynomial of IEEE 802.3.
const TABLE: [u32; 256] = {
    let mut table = [0_u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_published_values() {
        for (text, crc, digits) in [
            ("", 0, "000000"),
            ("123456789", 0xcbf4_3926, "3jZRME"),
            ("The quick brown fox jumps over the lazy dog", 0x414f_a339, "1C9bYH"),
        ] {
            assert_eq!(crc32(text.as_bytes()), crc, "{text:?}");
            assert_eq!(std::str::from_utf8(&of(text.as_bytes())), Ok(digits), "{text:?}");
        }
    }
}
