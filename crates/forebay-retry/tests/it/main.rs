//! Claims about verdicts and budgets.

mod budget;
mod verdict;
