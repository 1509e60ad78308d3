//! What goes over the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What went over the network so far: bytes of bodies, what was tried again included.
///
/// Headers, encryption, and the client's own requests for tokens are not seen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of layers, configs and manifests that were sent.
    pub sent: u64,
    /// Bytes of layers, configs and manifests that came.
    pub received: u64,
    /// How many requests were made.
    pub requests: u64,
}

/// Counts traffic; clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    requests: AtomicU64,
}

impl Meter {
    pub(crate) fn sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.0.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.0.sent.load(Ordering::Relaxed),
            received: self.0.received.load(Ordering::Relaxed),
            requests: self.0.requests.load(Ordering::Relaxed),
        }
    }
}
