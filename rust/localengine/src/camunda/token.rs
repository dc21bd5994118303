//! Lease tokens: opaque to clients, but they name their activation, so none has to be stored.

use crate::store::Fence;

/// Odd constants of a four-round Feistel network: enough to look random, and it can be undone.
const ROUNDS: [u32; 4] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f];

/// The token of an activation.
pub(super) fn mint(seed: u64, seq: u64) -> String {
    format!("{:016x}{:016x}", scramble(seed, seq), check(seed, seq))
}

/// The activation of a token.
pub(super) fn read(seed: u64, token: &str) -> Fence {
    let Some((name, proof)) = token.split_at_checked(16) else { return Fence::Unknown };
    let (Ok(name), Ok(proof)) = (u64::from_str_radix(name, 16), u64::from_str_radix(proof, 16)) else {
        return Fence::Unknown;
    };
    let seq = unscramble(seed, name);
    if token.len() == 32 && check(seed, seq) == proof { Fence::Seq(seq) } else { Fence::Unknown }
}

fn check(seed: u64, seq: u64) -> u64 {
    scramble(!seed, scramble(seed.rotate_left(17), seq))
}

fn scramble(seed: u64, value: u64) -> u64 {
    let (mut left, mut right) = ((value >> 32) as u32, value as u32);
    for (index, constant) in ROUNDS.iter().enumerate() {
        (left, right) = (right, left ^ round(right, *constant, key(seed, index)));
    }
    u64::from(left) << 32 | u64::from(right)
}

fn unscramble(seed: u64, value: u64) -> u64 {
    let (mut left, mut right) = ((value >> 32) as u32, value as u32);
    for (index, constant) in ROUNDS.iter().enumerate().rev() {
        (left, right) = (right ^ round(left, *constant, key(seed, index)), left);
    }
    u64::from(left) << 32 | u64::from(right)
}

fn key(seed: u64, index: usize) -> u32 {
    (seed >> (index * 16)) as u32
}

fn round(half: u32, constant: u32, key: u32) -> u32 {
    let mixed = (half ^ key).wrapping_mul(constant);
    (mixed ^ mixed >> 15).wrapping_mul(constant).rotate_left(13) ^ half >> 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_activation_and_no_other_text_does() {
        for seq in (0..5_000).chain([u64::MAX, 1 << 40]) {
            let token = mint(7, seq);
            assert_eq!(read(7, &token), Fence::Seq(seq));
            assert_eq!(read(8, &token), Fence::Unknown);
            assert_eq!(read(7, &format!("{token}0")), Fence::Unknown);
        }
        assert_eq!(read(7, ""), Fence::Unknown);
        assert_eq!(read(7, "ääääääääääääääää"), Fence::Unknown);
    }
}
