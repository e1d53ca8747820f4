//! The one hash by which requests and endpoints find each other. The same on every node, in every version: a change
//! here would move every session of every user at once. No defence by itself: its key is public.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;

/// SipHash-2-4 (Aumasson and Bernstein, 2012) under a fixed key: the ASCII of `forebay-balance`, padded.
const KEY: [u8; 16] = *b"forebay-balance\0";

/// Who an endpoint is, whatever its place in the fleet: the same after a restart and on another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub u64);

impl Identity {
    /// Of what tells endpoints of a service apart: the address, and the name for SNI where TLS is spoken.
    pub fn of(address: SocketAddr, tls: Option<&str>) -> Identity {
        let mut hasher = hasher();
        write_address(&mut hasher, address.ip());
        hasher.write(&address.port().to_be_bytes());
        hasher.write(tls.unwrap_or_default().as_bytes());
        Identity(hasher.finish())
    }
}

/// The hash of bytes that tie a request to an endpoint.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = hasher();
    hasher.write(bytes);
    hasher.finish()
}

pub(crate) fn hasher() -> SipHasher24 {
    SipHasher24::new_with_key(&KEY)
}

/// An IPv4 address is the same whether or not it came mapped into IPv6.
pub(crate) fn write_address(hasher: &mut impl Hasher, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
}

/// Another hash of the same thing: `number` tells them apart.
pub(crate) fn rehash(value: u64, number: u64) -> u64 {
    // The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), over a Weyl sequence as there.
    let mixed = value.wrapping_add((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// `hash` spread evenly over `0..count`, without a division (Lemire, 2019).
pub(crate) fn reduce(hash: u64, count: usize) -> usize {
    ((u128::from(hash) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_siphash_2_4() {
        // The vector of the paper's appendix A.
        let key: Vec<u8> = (0..16).collect();
        let mut hasher = SipHasher24::new_with_key(key.as_slice().try_into().unwrap());
        hasher.write(&(0..15).collect::<Vec<u8>>());
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn splitmix_is_the_published_one() {
        // First outputs for the seed 1234567, as the reference implementation prints them.
        let outputs: Vec<u64> = (0..3).map(|number| rehash(1_234_567, number)).collect();
        assert_eq!(
            outputs,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_mapped_address_is_the_same_endpoint() {
        let identity = |address: &str| Identity::of(address.parse().unwrap(), None);
        assert_eq!(identity("10.0.0.1:80"), identity("[::ffff:10.0.0.1]:80"));
        assert_ne!(identity("10.0.0.1:80"), identity("10.0.0.1:81"));
        assert_ne!(identity("10.0.0.1:80"), Identity::of("10.0.0.1:80".parse().unwrap(), Some("a")));
    }
}
