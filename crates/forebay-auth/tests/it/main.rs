//! What holds for policies as they are written: which load, whom they let in, whom they refuse.

mod attacks;
mod forwards;
mod loads;
mod tokens;
mod written;
