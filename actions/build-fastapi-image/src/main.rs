//! The program of the action `build-fastapi-image`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    if let Some(ended) = build_fastapi_image::as_python(&name, arguments.by_ref()) {
        return ended;
    }
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == build_fastapi_image::IN_ROOT)
    {
        return build_fastapi_image::in_root(arguments);
    }
    action_kit::main(&build_fastapi_image::METADATA, build_fastapi_image::run)
}
