//! Byte-compiled modules: made by the base image's own Python, the same at each build.

use crate::error::BuildError;
use crate::plan::{APP, Plan, VENV};
use crate::root::Root;

/// Compiles the packages and the application. The files are valid whatever the time of their
/// source, names hash alike, and the interpreter sees no variable of ours.
pub(crate) async fn compile(root: &Root, plan: &Plan) -> Result<(), BuildError> {
    let words = [
        "-s",
        "-P",
        "-m",
        "compileall",
        "-q",
        "-f",
        "--invalidation-mode",
        "unchecked-hash",
    ];
    for folder in [format!("{VENV}/lib"), APP.into()] {
        let compiled = root
            .command("/", &plan.interpreter)?
            .args(words)
            .arg(&folder)
            .env("PYTHONHASHSEED", "0")
            .output_async()
            .await;
        if let Err(error) = compiled {
            // A package may carry templates or files for another Python that do not compile; the
            // interpreter would skip them as well.
            if folder == APP {
                return Err(BuildError::Compile(error));
            }
            tracing::debug!("some modules do not compile: {error}");
        }
    }
    Ok(())
}
