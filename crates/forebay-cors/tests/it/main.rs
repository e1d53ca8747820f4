//! What holds for policies as they are written: which load, what they answer, what browsers make of it.

mod answers;
mod claims;
mod explains;
mod loads;
mod page;
mod suggests;
mod written;
