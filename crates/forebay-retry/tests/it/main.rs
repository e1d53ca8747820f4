//! Claims about verdicts and budgets.

mod breaker;
mod budget;
mod layers;
mod limits;
mod operation;
mod verdict;
