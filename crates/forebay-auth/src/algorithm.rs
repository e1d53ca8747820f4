//! The signature algorithms of JWS (RFC 7518 §3.1, RFC 8037 §3.1) and which kind of key each takes. There is no `none`.

use aws_lc_rs::signature::{self, RsaParameters, VerificationAlgorithm};
use forebay_config::Settings;

/// One algorithm, as `alg` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Settings)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    #[setting(name = "RS256")]
    Rs256,
    /// RSA, PKCS #1 v1.5, SHA-384.
    #[setting(name = "RS384")]
    Rs384,
    /// RSA, PKCS #1 v1.5, SHA-512.
    #[setting(name = "RS512")]
    Rs512,
    /// RSA, PSS, SHA-256.
    #[setting(name = "PS256")]
    Ps256,
    /// RSA, PSS, SHA-384.
    #[setting(name = "PS384")]
    Ps384,
    /// RSA, PSS, SHA-512.
    #[setting(name = "PS512")]
    Ps512,
    /// ECDSA on P-256, SHA-256.
    #[setting(name = "ES256")]
    Es256,
    /// ECDSA on P-384, SHA-384.
    #[setting(name = "ES384")]
    Es384,
    /// ECDSA on P-521, SHA-512.
    #[setting(name = "ES512")]
    Es512,
    /// Ed25519.
    #[setting(name = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256; needs a shared secret.
    #[setting(name = "HS256")]
    Hs256,
    /// HMAC with SHA-384; needs a shared secret.
    #[setting(name = "HS384")]
    Hs384,
    /// HMAC with SHA-512; needs a shared secret.
    #[setting(name = "HS512")]
    Hs512,
}

/// What an algorithm verifies with.
#[derive(Clone, Copy)]
pub(crate) enum Scheme {
    Rsa(&'static RsaParameters),
    /// On the curve that a key calls so.
    Curve(&'static str, &'static dyn VerificationAlgorithm),
    Hmac(aws_lc_rs::hmac::Algorithm),
}

impl Algorithm {
    /// All whose verifying key is no secret: what is allowed when nothing is written.
    pub const ASYMMETRIC: [Algorithm; 10] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::EdDsa,
    ];
    /// All that sign with what they verify with.
    pub const SYMMETRIC: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];

    /// As `alg` has it.
    pub const fn text(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Es512 => "ES512",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Hs256 => "HS256",
            Algorithm::Hs384 => "HS384",
            Algorithm::Hs512 => "HS512",
        }
    }

    /// Whether whoever can verify can also sign.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512)
    }

    /// The algorithm that `alg` names; its case counts (RFC 7515 §4.1.1).
    pub(crate) fn of(text: &str) -> Option<Algorithm> {
        Self::ASYMMETRIC.into_iter().chain(Self::SYMMETRIC).find(|known| known.text() == text)
    }

    pub(crate) fn scheme(self) -> Scheme {
        match self {
            Algorithm::Rs256 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => Scheme::Curve("P-256", &signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => Scheme::Curve("P-384", &signature::ECDSA_P384_SHA384_FIXED),
            Algorithm::Es512 => Scheme::Curve("P-521", &signature::ECDSA_P521_SHA512_FIXED),
            Algorithm::EdDsa => Scheme::Curve("Ed25519", &signature::ED25519),
            Algorithm::Hs256 => Scheme::Hmac(aws_lc_rs::hmac::HMAC_SHA256),
            Algorithm::Hs384 => Scheme::Hmac(aws_lc_rs::hmac::HMAC_SHA384),
            Algorithm::Hs512 => Scheme::Hmac(aws_lc_rs::hmac::HMAC_SHA512),
        }
    }
}
