//! Lays one tree over another. What is replaced is kept under what replaced it, for `explain`.

use crate::node::{Data, Entry, Node, Table};

/// What happens when both layers write the same array of tables, such as `[[route]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    /// Parts of one configuration (`include`): the elements of both count, the first layer's first.
    Append,
    /// Another configuration (overlay, environment, `--set`): the second layer's replace the first's.
    Replace,
}

/// Lays `upper` over `base`, table by table.
pub(crate) fn merge(base: &mut Node, upper: Node, lists: Lists) {
    match (&mut base.data, upper.data) {
        (Data::Table(below), Data::Table(above)) => {
            for (name, entry) in above.0 {
                set(below, name, entry, lists);
            }
        }
        (Data::List(below), Data::List(above))
            if lists == Lists::Append && of_tables(below) && of_tables(&above) =>
        {
            below.extend(above);
        }
        (_, data) => replace(base, Node { data, ..upper }),
    }
}

fn set(table: &mut Table, name: String, entry: Entry, lists: Lists) {
    match table.0.entry(name) {
        std::collections::btree_map::Entry::Vacant(vacant) => {
            vacant.insert(entry);
        }
        std::collections::btree_map::Entry::Occupied(mut occupied) => {
            let both_tables = occupied.get().node.as_table().is_some() && entry.node.as_table().is_some();
            if !both_tables {
                occupied.get_mut().key = entry.key;
            }
            merge(&mut occupied.get_mut().node, entry.node, lists);
        }
    }
}

/// Puts `upper` in the place of `base`, which becomes the first of what it replaced.
pub(crate) fn replace(base: &mut Node, upper: Node) {
    let mut below = std::mem::replace(base, upper);
    let older = std::mem::take(&mut below.over);
    base.over.push(below);
    base.over.extend(older);
}

fn of_tables(list: &[Node]) -> bool {
    !list.is_empty() && list.iter().all(|node| node.as_table().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Origin;

    #[track_caller]
    fn check(base: &str, upper: &str, lists: Lists, expected: &str) {
        let parse = |text| crate::parse::value(text, Origin::DEFAULT).expect("valid");
        let mut node = parse(base);
        merge(&mut node, parse(upper), lists);
        assert_eq!(node.to_string(), expected);
    }

    #[test]
    fn tables_merge_and_values_replace() {
        check(
            "{ a = 1, t = { b = 2 } }",
            "{ t = { c = 3 } }",
            Lists::Replace,
            "{ a = 1, t = { b = 2, c = 3 } }",
        );
        check("{ a = [1, 2] }", "{ a = [3] }", Lists::Append, "{ a = [3] }");
        check("{ a = { b = 1 } }", "{ a = 2 }", Lists::Replace, "{ a = 2 }");
    }

    #[test]
    fn arrays_of_tables_append_only_within_one_configuration() {
        check("{ r = [{ a = 1 }] }", "{ r = [{ a = 2 }] }", Lists::Append, "{ r = [{ a = 1 }, { a = 2 }] }");
        check("{ r = [{ a = 1 }] }", "{ r = [{ a = 2 }] }", Lists::Replace, "{ r = [{ a = 2 }] }");
    }

    #[test]
    fn what_is_replaced_is_kept_strongest_first() {
        let node = |n| Node::new(Data::Integer(n), Origin::DEFAULT);
        let mut winner = node(1);
        replace(&mut winner, node(2));
        replace(&mut winner, node(3));
        assert_eq!(winner.over.iter().map(Node::to_string).collect::<Vec<_>>(), ["2", "1"]);
    }
}
