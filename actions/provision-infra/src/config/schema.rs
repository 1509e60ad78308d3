//! The JSON Schema of `infrastructure.yaml`, for editors. It is written by the test in here, and
//! says what the parser says, as far as a schema can: what it refuses the parser refuses as well.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::names::{
    AddOnVersion, Arn, Branch, Cidr, Days, DomainName, EntryNetwork, EnvironmentName,
    GithubEnvironment, KubernetesVersion, ProjectName, Recipient, RegionName, Repository, Size,
    VpcCidr, ZoneId, Zones,
};
use super::{AllowList, ApplicationNodes, Configuration, Edge, InstanceTypes, Recipients};

/// A network.
const NETWORK: &str = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$";

macro_rules! schema {
    ($($name:ty => |$generator:ident| $schema:expr;)*) => {
        $(impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })*
    };
}

/// Texts by their patterns. The keyword `patternErrorMessage` is what editors show.
macro_rules! texts {
    ($($name:ident: $pattern:expr, $longest:expr;)*) => {
        schema! {
            $($name => |_generator| json_schema!({
                "type": "string",
                "pattern": $pattern,
                "patternErrorMessage": format!("This is no {}.", $name::WHAT),
                "maxLength": $longest,
            });)*
        }
    };
}

texts! {
    ProjectName: "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", 20;
    // The length as well: only the pattern counts where it is a key.
    EnvironmentName: "^(?=.{1,12}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$", 12;
    RegionName: "^[a-z][a-z0-9]*(-[a-z0-9]+)+-[a-z0-9]*[0-9]$", 24;
    Cidr: NETWORK, 18;
    VpcCidr: r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/(1[6-9]|20)$", 18;
    EntryNetwork: r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/(1[6-9]|2[0-9]|3[0-2])$", 18;
    Repository: "^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", 140;
    GithubEnvironment: "^[A-Za-z0-9._-]+$", 255;
    Branch: "^[A-Za-z0-9._/-]+$", 255;
    Recipient: r"^(https://\S+|[^@\s]+@\S*\.\S*)$", 2048;
    AddOnVersion: "^v[0-9][A-Za-z0-9.-]*$", 64;
    DomainName: r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?$", 253;
    ZoneId: "^[A-Z0-9]+$", 32;
    Arn: r"^arn:aws[^\s:]*(:[^\s:]*){3}:\S*$", 2048;
}

/// An account, which YAML may take for a number.
pub(super) struct AccountNumber;

schema! {
    AccountNumber => |_generator| json_schema!({
        "type": ["string", "integer"],
        "pattern": "^[0-9]{12}$",
        "patternErrorMessage": "An AWS account has twelve digits, in quotes.",
    });
    KubernetesVersion => |_generator| json_schema!({
        "type": ["string", "number"],
        "pattern": r"^1\.[1-9][0-9]$",
        "patternErrorMessage": format!("This is no {}.", KubernetesVersion::WHAT),
    });
    Days => |_generator| json_schema!({"type": "integer", "minimum": 1, "maximum": 3650});
    Size => |_generator| json_schema!({"type": "integer", "minimum": 1, "maximum": 1000});
    Zones => |_generator| json_schema!({
        "type": "array",
        "items": {"type": "string"},
        "minItems": 3,
        "maxItems": 3,
        "uniqueItems": true,
    });
    InstanceTypes => |_generator| json_schema!({
        "type": "array",
        "items": {
            "type": "string",
            "pattern": r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$",
            "patternErrorMessage": "This is no instance type, such as `m6i.large`.",
        },
        "minItems": 1,
        "maxItems": 20,
    });
    AllowList => |generator| few::<EntryNetwork>(generator);
    Recipients => |generator| few::<Recipient>(generator);
    ApplicationNodes => |generator| json_schema!({
        "type": "object",
        "properties": {
            "instance-types": described::<InstanceTypes>(generator, "What machines they are."),
            "min": described::<Size>(generator, "How many there are at least."),
            "max": described::<Size>(generator, "How many there are at most."),
            "disk-gib": described::<Size>(generator, "How large their root volumes are."),
        },
        "additionalProperties": false,
    });
    Edge => |generator| json_schema!({
        "type": "object",
        "properties": {
            "certificate-arn": described::<Arn>(
                generator,
                "A certificate of ACM, in the environment's region, that something else has made.",
            ),
            "domains": {
                "description": "The load balancer's names, for which a certificate is made.",
                "type": "array",
                "items": generator.subschema_for::<DomainName>(),
                "minItems": 1,
                "maxItems": 3,
                "uniqueItems": true,
            },
            "zone": {
                "description": "The public zone that they are in, by name or identifier.",
                "anyOf": [
                    generator.subschema_for::<DomainName>(),
                    generator.subschema_for::<ZoneId>(),
                ],
            },
            "make-zone": described::<DomainName>(
                generator,
                "The public zone that they are in, which is made with the environment.",
            ),
            "waf": {
                "description": "Whether a firewall looks at requests first.",
                "type": "boolean",
            },
        },
        "additionalProperties": false,
        "oneOf": [
            {"required": ["certificate-arn"], "not": any_of(&["domains", "zone", "make-zone"])},
            {"required": ["domains", "zone"], "not": any_of(&["certificate-arn", "make-zone"])},
            {"required": ["domains", "make-zone"], "not": any_of(&["certificate-arn", "zone"])},
        ],
    });
}

fn few<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": generator.subschema_for::<T>(), "maxItems": 3})
}

fn described<T: JsonSchema>(generator: &mut SchemaGenerator, description: &str) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    schema.insert("description".into(), description.into());
    schema
}

fn any_of(names: &[&str]) -> Value {
    let required = names
        .iter()
        .map(|name| serde_json::json!({"required": [name]}));
    serde_json::json!({"anyOf": required.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use action_kit::Environment;

    use super::super::Target;
    use super::*;

    fn schema() -> Value {
        let mut schema = schemars::schema_for!(Configuration);
        schema.insert("title".into(), "infrastructure.yaml".into());
        schema.into()
    }

    fn validator() -> jsonschema::Validator {
        jsonschema::validator_for(&schema()).expect("a schema")
    }

    fn file(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// Says what the schema and the parser think of a text.
    fn verdicts(text: &str) -> (bool, bool) {
        let value: Value = serde_yaml::from_str(text).expect("YAML");
        let name = value["environments"].as_object().expect("environments");
        let name = name.keys().next().expect("one").parse();
        let parsed = Target::parse(text, Path::new("x.yaml"), name.as_ref().ok());
        (validator().is_valid(&value), parsed.is_ok())
    }

    #[test]
    fn the_file_for_editors_is_this_schema() {
        let place = file("infrastructure.schema.json");
        let text = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
        if Environment::of_process().get("WRITE_GENERATED").is_some() {
            fs_err::write(&place, &text).expect("the schema is written");
        }
        let found = fs_err::read_to_string(place).unwrap_or_default();
        assert!(
            found == text,
            "run `cargo xtask codegen` and commit the result"
        );
    }

    #[test]
    fn the_example_in_the_readme_is_valid() {
        let page = fs_err::read_to_string(file("README.md")).expect("the page");
        let example = page.split("```yaml\n").nth(1).expect("an example");
        let example = example.split("```").next().expect("its end");
        assert_eq!(verdicts(example), (true, true));
    }

    #[test]
    fn the_parser_refuses_what_the_schema_refuses() {
        let lines = [
            ("colour: red", false),
            ("cidr: 10.40.0.0/16", true),
            ("cidr: 10.40.0.0/24", false),
            ("zones: [eu-west-1a, eu-west-1b]", false),
            ("zones: [eu-west-1a, eu-west-1b, eu-west-1c]", true),
            ("nat: none", false),
            ("nat: single", true),
            ("kubernetes-version: 1.35", true),
            ("kubernetes-version: '1.5'", false),
            ("account: '12'", false),
            ("account: 111111111111", true),
            ("nodes: {application: {min: 0}}", false),
            ("nodes: {application: {instance-types: []}}", false),
            ("nodes: {database: {instance-types: [large]}}", false),
            ("nodes: {bastion: {allow: [0.0.0.0/0]}}", false),
            ("nodes: {bastion: {allow: [203.0.113.0/24]}}", true),
            ("edge: {}", false),
            ("edge: {domains: [api.example.com]}", false),
            (
                "edge: {domains: [api.example.com], zone: example.com, waf: true}",
                true,
            ),
            (
                "edge: {domains: [api.example.com], make-zone: example.com}",
                true,
            ),
            (
                "edge: {domains: [api.example.com], zone: a.com, make-zone: a.com}",
                false,
            ),
            (
                "edge: {domains: ['*.example.com'], zone: example.com}",
                false,
            ),
            (
                "edge: {certificate-arn: 'arn:aws:acm:eu-west-1:1:certificate/1'}",
                true,
            ),
            ("edge: {certificate-arn: certificate}", false),
            ("alerts: {critical: [somebody]}", false),
            (
                "alerts: {critical: [a@b.example, 'https://c.example/d']}",
                true,
            ),
            ("backup: {retention-days: 0}", false),
            ("add-ons: {vpc-cni: latest}", false),
            ("add-ons: {vpc-cni: v1.20.4-eksbuild.1}", true),
            ("log-retention-days: 90", true),
            ("github-environment: a b", false),
        ];
        for (line, holds) in lines {
            let text =
                format!("project: shop\nregion: eu-west-1\nenvironments:\n  prod:\n    {line}\n");
            assert_eq!(verdicts(&text), (holds, holds), "{line}");
        }
        for name in ["Prod", "a-far-too-long-name"] {
            let text = format!("project: shop\nregion: eu-west-1\nenvironments:\n  {name}: {{}}\n");
            assert_eq!(verdicts(&text), (false, false), "{name}");
        }
    }
}
