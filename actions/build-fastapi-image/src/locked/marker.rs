//! Conditions on packages: markers, and the environments that they are asked about.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pep508_rs::{
    ExtraOperator, MarkerEnvironment, MarkerEnvironmentBuilder, MarkerExpression, MarkerTree,
    MarkerValueExtra, Pep508Error, VerbatimUrl,
};

use super::Target;
use crate::error::BuildError;
use crate::python::Version;

/// What operating systems call themselves: `sys_platform`, `platform_system`, `os_name`.
const SYSTEMS: [[&str; 3]; 3] = [
    ["linux", "Linux", "posix"],
    ["darwin", "Darwin", "posix"],
    ["win32", "Windows", "nt"],
];
const MACHINES: [&str; 2] = ["x86_64", "aarch64"];
/// What stands before a group's name where the parser knows extras only.
const GROUP: &str = "dependency-group-";

/// Reads a marker; the error is the reason, without the text.
pub(super) fn parse(text: &str) -> Result<MarkerTree, String> {
    without_sets(text)
        .parse()
        .map_err(|error: Pep508Error<VerbatimUrl>| error.message.to_string())
}

/// Names a group as [`parse`] does.
pub(super) fn group(name: &str) -> String {
    format!("{GROUP}{name}")
}

/// Writes `'x' in extras` and `'x' in dependency_groups`, which only lock files know, as
/// comparisons with an extra.
fn without_sets(text: &str) -> String {
    let tokens = tokens(text);
    let mut written = String::new();
    let mut rest = &tokens[..];
    while let [first, others @ ..] = rest {
        let (operator, set, after) = match others {
            ["in", set, after @ ..] => ("==", *set, after),
            ["not", "in", set, after @ ..] => ("!=", *set, after),
            _ => ("", "", others),
        };
        let name = first.trim_matches(['\'', '"']);
        match set {
            "extras" => {
                let _ = write!(written, "extra {operator} '{name}' ");
            }
            "dependency_groups" => {
                let _ = write!(written, "extra {operator} '{}' ", group(name));
            }
            _ => {
                written.push_str(first);
                written.push(' ');
                rest = others;
                continue;
            }
        }
        rest = after;
    }
    written
}

/// Splits a marker into words, quoted texts and parentheses.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '(' | ')' => 1,
            _ => rest
                .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\'' | '"'))
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Answers what a marker asks about extras, so that it asks about the environment only.
pub(super) fn with_extras(marker: &MarkerTree, active: &BTreeSet<String>) -> MarkerTree {
    let asks = |expression: &MarkerExpression| matches!(expression, MarkerExpression::Extra { .. });
    let alternatives = marker.to_dnf();
    if !alternatives.iter().flatten().any(asks) {
        return marker.clone();
    }
    let mut answered = MarkerTree::FALSE;
    for alternative in alternatives {
        let mut all = MarkerTree::TRUE;
        for expression in alternative {
            let MarkerExpression::Extra { operator, name } = expression else {
                all.and(MarkerTree::expression(expression));
                continue;
            };
            let is_active = match name {
                MarkerValueExtra::Extra(name) => active.contains(name.as_ref()),
                MarkerValueExtra::Arbitrary(name) => active.contains(&name),
            };
            if is_active != (operator == ExtraOperator::Equal) {
                all = MarkerTree::FALSE;
            }
        }
        answered.or(all);
    }
    answered
}

/// Describes the environment on a platform.
pub(super) fn environment(target: &Target) -> Result<MarkerEnvironment, BuildError> {
    describe(target.machine(), SYSTEMS[0], &target.python)
        .ok_or_else(|| BuildError::PythonVersion(target.python.to_string()))
}

/// Gives environments of all kinds whose Python is wanted, to compare markers in.
pub(super) fn samples(is_wanted: impl Fn(&Version) -> bool) -> Vec<MarkerEnvironment> {
    // Both ends of each minor version stand for what is between them.
    let versions = (8..=20).flat_map(|minor| [0, 99].map(|patch| format!("3.{minor}.{patch}")));
    let pythons: Vec<Version> = versions.filter_map(|text| Version::parse(&text)).collect();
    let wanted: Vec<&Version> = pythons.iter().filter(|python| is_wanted(python)).collect();
    let wanted = if wanted.is_empty() {
        pythons.iter().collect()
    } else {
        wanted
    };
    let mut samples = Vec::new();
    for python in wanted {
        for system in SYSTEMS {
            samples.extend(MACHINES.iter().filter_map(|m| describe(m, system, python)));
        }
    }
    samples
}

/// Says whether an environment is one that images are for.
pub(super) fn is_linux(environment: &MarkerEnvironment) -> bool {
    environment.sys_platform() == SYSTEMS[0][0]
}

fn describe(
    machine: &str,
    [sys_platform, platform_system, os_name]: [&str; 3],
    python: &Version,
) -> Option<MarkerEnvironment> {
    let (full, minor) = (python.to_string(), python.minor().to_string());
    MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: &full,
        os_name,
        platform_machine: machine,
        platform_python_implementation: "CPython",
        // As uv has it for a platform that is not its own: nobody knows the kernel.
        platform_release: "",
        platform_system,
        platform_version: "",
        python_full_version: &full,
        python_version: &minor,
        sys_platform,
    }
    .try_into()
    .ok()
}

#[cfg(test)]
mod tests {
    use oci_image::Platform;

    use super::*;

    #[test]
    fn markers_in_an_environment() {
        let target = Target::new(
            Platform::linux_amd64(),
            Version::parse("3.13.1").expect("a version"),
        );
        let environment = environment(&target).expect("an environment");
        let active = BTreeSet::from(["pg".to_owned(), group("web")]);
        let cases = [
            ("sys_platform == 'linux' and os_name != 'nt'", true),
            ("platform_system == 'Windows'", false),
            ("platform_machine == 'x86_64'", true),
            ("python_version < '3.13'", false),
            ("python_full_version >= '3.13.1'", true),
            ("implementation_name == 'cpython'", true),
            ("extra == 'pg'", true),
            ("extra == 'PG' and extra != 'web'", true),
            ("extra == 'other' or python_version < '3'", false),
            ("'pg' in extras and 'dev' not in dependency_groups", true),
            ("('web' in dependency_groups)", true),
            ("\"dev\" in dependency_groups or \"web\" in extras", false),
            ("'x86' in platform_machine", true),
        ];
        for (text, expected) in cases {
            let marker = with_extras(&parse(text).expect(text), &active);
            assert_eq!(marker.evaluate(&environment, &[]), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_marker() {
        let told = ["python > '3'", "sys_platform == linux", "("]
            .map(|text| parse(text).expect_err("a refusal"));
        insta::assert_snapshot!(told.join("\n"), @r"
    Expected a quoted string or a valid marker name, found `python`
    Expected a quoted string or a valid marker name, found `linux`
    Expected marker value, found end of dependency specification
    ");
    }
}
