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

const fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    let mut index = 0;
    while index < bytes.len() {
        let low_byte = (crc as u8) ^ bytes[index];
        crc = (crc >> 8) ^ TABLE[low_byte as usize];
        index += 1;
    }
    !crc
}

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
