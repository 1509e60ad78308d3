//! Which packages of a graph can be reached, and in which environments.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pep508_rs::MarkerTree;

/// A package, by its place in the lock file, with one of its extras or without any.
pub(super) type Node = (usize, Option<String>);

/// Walks a graph of packages, and gives the condition on which each is reached.
///
/// The conditions along a path must all hold, and any path will do.
pub(super) fn walk<E>(
    starts: Vec<(Node, MarkerTree)>,
    edges: impl Fn(&Node) -> Result<Vec<(Node, MarkerTree)>, E>,
) -> Result<BTreeMap<Node, MarkerTree>, E> {
    let mut reached: BTreeMap<Node, MarkerTree> = BTreeMap::new();
    let mut known: BTreeMap<Node, Vec<(Node, MarkerTree)>> = BTreeMap::new();
    let mut queue = VecDeque::new();
    for (node, marker) in starts {
        reach(&mut reached, &mut queue, node, marker);
    }
    while let Some(node) = queue.pop_front() {
        if !known.contains_key(&node) {
            known.insert(node.clone(), edges(&node)?);
        }
        let here = reached.get(&node).cloned().unwrap_or(MarkerTree::FALSE);
        for (next, condition) in known.get(&node).into_iter().flatten() {
            let mut marker = here.clone();
            marker.and(condition.clone());
            reach(&mut reached, &mut queue, next.clone(), marker);
        }
    }
    Ok(reached)
}

/// Widens the condition of a node, and looks at it again when that changes anything.
fn reach(
    reached: &mut BTreeMap<Node, MarkerTree>,
    queue: &mut VecDeque<Node>,
    node: Node,
    marker: MarkerTree,
) {
    let known = reached.get(&node).cloned().unwrap_or(MarkerTree::FALSE);
    let mut wider = known.clone();
    wider.or(marker);
    if wider != known {
        reached.insert(node.clone(), wider);
        queue.push_back(node);
    }
}

/// Gives the condition of each package, whichever of its extras it is reached with.
pub(super) fn packages(reached: BTreeMap<Node, MarkerTree>) -> BTreeMap<usize, MarkerTree> {
    let mut packages: BTreeMap<usize, MarkerTree> = BTreeMap::new();
    for ((package, _), marker) in reached {
        packages
            .entry(package)
            .or_insert(MarkerTree::FALSE)
            .or(marker);
    }
    packages
}

/// Gives all nodes that can be reached in any environment.
pub(super) fn closure(starts: Vec<Node>, edges: impl Fn(&Node) -> Vec<Node>) -> BTreeSet<Node> {
    let mut reached: BTreeSet<Node> = BTreeSet::new();
    let mut queue = VecDeque::from(starts);
    while let Some(node) = queue.pop_front() {
        if reached.insert(node.clone()) {
            queue.extend(edges(&node));
        }
    }
    reached
}
