//! Byte-compiled modules: made by the base image's own Python, the same at each build.

use action_kit::CommandError;

use crate::error::BuildError;
use crate::plan::{APP, Plan, VENV};
use crate::root::Root;

/// The exit status of `compileall` when a module does not compile.
const SOME_DO_NOT_COMPILE: i32 = 1;

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
        match compiled {
            Ok(_) => {}
            // A package may carry templates, or files for another Python, that do not compile; the
            // interpreter would not import them either. What it has compiled is there.
            Err(CommandError::Status { status, tail, .. })
                if folder != APP && status.code() == Some(SOME_DO_NOT_COMPILE) =>
            {
                tracing::debug!("some modules of packages do not compile: {tail}");
            }
            Err(error) => return Err(BuildError::Compile(error)),
        }
    }
    Ok(())
}
