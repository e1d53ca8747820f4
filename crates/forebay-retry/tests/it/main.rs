//! Claims about verdicts and budgets.

mod breaker;
mod budget;
mod verdict;
