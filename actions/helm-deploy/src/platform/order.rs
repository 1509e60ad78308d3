//! Which release waits for which; pure but for the work itself.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

/// How the work on one release ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<T, E> {
    /// It was done.
    Done(T),
    /// It failed.
    Failed(E),
    /// It was not begun: this one, which it needs, failed or was not begun either.
    Skipped(usize),
}

/// Puts each after those that it needs, and else keeps the order. Gives a circle when there is
/// one: each of it needs the next, and the last needs the first.
pub fn order(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::new();
    let mut left: BTreeSet<usize> = (0..needs.len()).collect();
    while !left.is_empty() {
        let free = left
            .iter()
            .find(|one| needs[**one].iter().all(|need| !left.contains(need)));
        let Some(free) = free.copied() else {
            return Err(circle(needs, &left));
        };
        left.remove(&free);
        order.push(free);
    }
    Ok(order)
}

/// Finds a circle among those of which each needs another of them.
fn circle(needs: &[Vec<usize>], left: &BTreeSet<usize>) -> Vec<usize> {
    let mut path: Vec<usize> = left.first().copied().into_iter().collect();
    while let Some(last) = path.last() {
        let next = needs[*last].iter().find(|need| left.contains(need));
        let Some(next) = next else { break };
        if let Some(start) = path.iter().position(|seen| seen == next) {
            return path.split_off(start);
        }
        path.push(*next);
    }
    path
}

/// Gives everything that one needs, and what that needs. Each needs only earlier ones.
#[must_use]
pub fn all_needs(needs: &[Vec<usize>], one: usize) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut open = needs[one].clone();
    while let Some(need) = open.pop() {
        if all.insert(need) {
            open.extend(&needs[need]);
        }
    }
    all
}

/// Does the work on each as soon as what it needs is done, on at most `at_once` at a time. Each
/// needs only earlier ones. What needs one that failed is not begun; the others go on.
pub async fn in_order<T, E>(
    needs: &[Vec<usize>],
    at_once: usize,
    work: impl AsyncFn(usize) -> Result<T, E>,
) -> Vec<Ended<T, E>> {
    let mut ended: Vec<Option<Ended<T, E>>> = needs.iter().map(|_| None).collect();
    let mut waiting: BTreeSet<usize> = (0..needs.len()).collect();
    let mut running = FuturesUnordered::new();
    let work = &work;
    loop {
        for one in waiting.clone() {
            if let Some(need) = broken(&needs[one], &ended) {
                waiting.remove(&one);
                ended[one] = Some(Ended::Skipped(need));
            } else if running.len() < at_once
                && needs[one].iter().all(|need| ended[*need].is_some())
            {
                waiting.remove(&one);
                running.push(async move { (one, work(one).await) });
            }
        }
        let Some((one, result)) = running.next().await else {
            return ended.into_iter().flatten().collect();
        };
        ended[one] = Some(result.map_or_else(Ended::Failed, Ended::Done));
    }
}

/// Finds one that is needed and will not be done.
fn broken<T, E>(needs: &[usize], ended: &[Option<Ended<T, E>>]) -> Option<usize> {
    let mut needs = needs.iter().copied();
    needs.find(|need| matches!(ended[*need], Some(Ended::Failed(_) | Ended::Skipped(_))))
}
