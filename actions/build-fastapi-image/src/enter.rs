//! Becoming a program inside another root: as root, or in a user namespace of one's own.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::fs::chroot;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use action_kit::Command;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{getgid, getuid};

/// The first argument with which this program runs another one inside an unpacked image.
pub const IN_ROOT: &str = "--in-root";

/// The user and group that own nothing.
const NOBODY: u32 = 65532;

/// Who a program inside a root runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever builds: for programs that the build trusts.
    Builder,
    /// Nobody, without a network where that can be taken away: for what came with the packages.
    Nobody,
}

impl Who {
    /// Gives the word by which the argument list names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Nobody => "nobody",
        }
    }
}

/// Becomes another program inside a root: the arguments are the root, who to be, the folder to
/// start in, the program and its arguments. Without a program it is only tried whether it could.
pub fn in_root(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(root), Some(who)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(70);
    };
    let who = if who == Who::Nobody.word() {
        Who::Nobody
    } else {
        Who::Builder
    };
    let error = match (enter(&root, who), arguments.next(), arguments.next()) {
        (Ok(()), Some(folder), Some(program)) => become_program(who, &folder, program, arguments),
        (Ok(()), ..) => return ExitCode::SUCCESS,
        (Err(error), ..) => error,
    };
    // The parent reads this as the program's own last words.
    let _ = writeln!(io::stderr(), "enter the root: {error}");
    ExitCode::from(70)
}

/// Changes the root. Nothing else runs in this process yet.
fn enter(root: &OsStr, who: Who) -> io::Result<()> {
    if who == Who::Nobody {
        // Only who may do anything can take its own network away; the others get a namespace first.
        let _ = unshare(CloneFlags::CLONE_NEWNET);
    }
    match chroot(root) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            own_namespace(who)?;
            chroot(root)
        }
        entered => entered,
    }?;
    std::env::set_current_dir("/")
}

/// Enters a user namespace, in which anybody may change the root.
fn own_namespace(who: Who) -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    let (flags, inside) = match who {
        Who::Builder => (CloneFlags::CLONE_NEWUSER, 0),
        Who::Nobody => (CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET, NOBODY),
    };
    unshare(flags)?;
    fs_err::write("/proc/self/setgroups", "deny")?;
    fs_err::write("/proc/self/uid_map", format!("{inside} {user} 1"))?;
    fs_err::write("/proc/self/gid_map", format!("{inside} {group} 1"))
}

fn become_program(
    who: Who,
    folder: &OsStr,
    program: OsString,
    arguments: impl Iterator<Item = OsString>,
) -> io::Error {
    let prepared = std::env::set_current_dir(folder)
        .and_then(|()| prctl::set_no_new_privs().map_err(io::Error::from));
    if let Err(error) = prepared {
        return error;
    }
    let command = Command::new(program).args(arguments);
    let mut command = std::env::vars_os()
        .fold(command, |command, (name, value)| command.env(name, value))
        .to_std();
    if who == Who::Nobody && getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.exec()
}
