//! Header blocks in plain letters (RFC 7541).
//!
//! The decoder of `loona-hpack` makes the table of Huffman's code anew for every string, which took
//! seven tenths of a run. Here the table is made once, and the decoder gets strings that need none.

use std::sync::{LazyLock, Mutex};

use loona_hpack::encoder::encode_integer_into;
use loona_hpack::huffman::HuffmanDecoder;

use crate::executor::lock;

static HUFFMAN: LazyLock<Mutex<HuffmanDecoder>> =
    LazyLock::new(|| Mutex::new(HuffmanDecoder::new()));

/// The same block without Huffman's code; `None` where it is none.
pub(super) fn in_plain_letters(block: &[u8]) -> Option<Vec<u8>> {
    let mut rest = block;
    let mut plain = Vec::with_capacity(block.len() * 2);
    while let Some(first) = rest.first() {
        // How many bits of the index are in the first byte, and whether strings follow it
        // (RFC 7541 6).
        let (prefix, literal) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let before = rest;
        let index = integer(&mut rest, prefix)?;
        plain.extend_from_slice(before.get(..before.len() - rest.len())?);
        if literal && index == 0 {
            string(&mut rest, &mut plain)?;
        }
        if literal {
            string(&mut rest, &mut plain)?;
        }
    }
    Some(plain)
}

/// An integer of which so many bits are in the first byte (RFC 7541 5.1).
fn integer(rest: &mut &[u8], prefix: u8) -> Option<usize> {
    let (first, mut more) = rest.split_first()?;
    let largest = (1_usize << prefix) - 1;
    let mut value = usize::from(*first) & largest;
    if value == largest {
        let mut shift = 0;
        loop {
            let (next, others) = more.split_first()?;
            more = others;
            value = value.checked_add(usize::from(next & 0x7f).checked_shl(shift)?)?;
            shift += 7;
            if next & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = more;
    Some(value)
}

/// A string (RFC 7541 5.2).
fn string(rest: &mut &[u8], plain: &mut Vec<u8>) -> Option<()> {
    let coded = rest.first()? & 0x80 != 0;
    let length = integer(rest, 7)?;
    let (text, others) = rest.split_at_checked(length)?;
    *rest = others;
    let decoded = if coded { Some(lock(&HUFFMAN).decode(text).ok()?) } else { None };
    let text = decoded.as_deref().unwrap_or(text);
    // What is written to a vector is written.
    encode_integer_into(text.len(), 7, 0, plain).ok()?;
    plain.extend_from_slice(text);
    Some(())
}

#[cfg(test)]
mod tests {
    use loona_hpack::Decoder;

    use super::*;

    #[test]
    fn a_block_says_the_same_in_plain_letters() {
        // RFC 7541 C.4: three requests on one connection, with Huffman's code.
        let blocks: [&[u8]; 3] = [
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
            b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
        ];
        let (mut one, mut other) = (Decoder::new(), Decoder::new());
        for block in blocks {
            let plain = in_plain_letters(block).unwrap();
            assert_eq!(other.decode(&plain).unwrap(), one.decode(block).unwrap());
        }
    }

    #[test]
    fn what_breaks_off_is_no_block() {
        for block in [b"\x41".as_slice(), b"\x40\x85a", b"\x7f\xff", b"\x00\x01"] {
            assert_eq!(in_plain_letters(block), None, "{block:?}");
        }
    }
}
