//! The licences that we ship code under, each by its SPDX identifier with what makes it acceptable.

/// Permissive: use, change and sell, as long as the notice stays.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unlicense",
    "Zlib",
];

/// Permissive too, and found in one place each.
const PARTICULAR: &[&str] = &[
    // The compiler runtime's exception only takes a duty away.
    "Apache-2.0 WITH LLVM-exception",
    // Mozilla's list of root certificates: data, with no duty on those who use it.
    "CDLA-Permissive-2.0",
    // Parts of aws-lc that came from OpenSSL; asks for a line in the documentation.
    "OpenSSL",
    // Tables that are generated from Unicode's data.
    "Unicode-3.0",
    "Unicode-DFS-2016",
];

// Left out on purpose: MPL-2.0. It may be linked with anything, but whoever passes on a binary must offer the
// source of those files, and we do not put that duty on our users for the sake of a small crate.

/// Whether code under this licence, written as in SPDX, may be part of Forebay.
pub(crate) fn is_allowed(licence: &str) -> bool {
    PERMISSIVE.contains(&licence) || PARTICULAR.contains(&licence)
}
