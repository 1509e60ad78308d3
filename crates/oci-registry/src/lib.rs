//! Places that hold OCI images: a registry, a layout on disk, an archive.
//!
//! An image is a value of [`oci_image`]; its layers' bytes are wherever [`Blobs`] says. A push
//! sends what the registry lacks, then the manifests by digest, and the tag last: a push that is
//! cut off leaves no tag behind. What fails and may pass is tried again, and whatever is read by
//! digest has that digest.
//!
//! ```no_run
//! use oci_image::{Draft, Entries, Level, Platform};
//! use oci_registry::{Access, Layout, Registry, reference};
//!
//! # async fn example() -> Result<(), oci_registry::RegistryError> {
//! let layout = Layout::create("target/image")?;
//! let rootfs = layout.write_layer(Level::Fast, |layer| {
//!     let archive = std::io::empty(); // a root file system's tar stream
//!     layer.append_archive(archive, |path| !path.starts_with("dev/"))?;
//!     let mut entries = Entries::new();
//!     entries.file("/etc/motd", 0o644, "hello\n")?;
//!     layer.append(entries).map(|_| ())
//! })?;
//! let image = Draft::from_scratch(Platform::linux_amd64())
//!     .layer(rootfs, "root file system")
//!     .entrypoint(["/bin/sh"])
//!     .finish();
//! layout.put(&image, &["docker.io/library/hello:1"])?;
//!
//! let access = Access::default().plain_http(["localhost:5000"]);
//! let registry = Registry::connect(access)?;
//! let target = reference("localhost:5000/library/hello:1")?;
//! let pushed = registry.push(&image, &layout.blobs(&image), &target).await?;
//! println!("{}", pushed.reference);
//! # Ok(())
//! # }
//! ```

mod access;
pub mod archive;
mod blobs;
mod ecr;
mod error;
mod fallback;
mod layout;
mod listing;
mod push;
mod reference;
mod referrers;
mod registry;
mod requests;
mod retry;
mod traffic;
mod transfer;
mod tree;

pub use access::{Access, Credentials};
pub use aws_account::EcrHost;
pub use blobs::{Blobs, Source};
pub use ecr::ecr_login;
pub use error::RegistryError;
pub use layout::Layout;
pub use oci_distribution::Reference;
pub use push::Pushed;
pub use reference::reference;
pub use registry::{Published, Registry};
pub use traffic::Traffic;
pub use tree::add_tree;
