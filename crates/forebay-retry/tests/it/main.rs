//! Claims about verdicts and budgets.

mod breaker;
mod budget;
mod limits;
mod verdict;
