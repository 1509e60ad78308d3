//! Which conditions of a template hold, as far as its parameters tell. Pure.

use serde_yaml::Value;

use crate::stack::Values;
use crate::template::Template;

/// Says whether a template's condition holds; nothing is said of one that depends on a value which
/// is not known yet, or on more than parameters.
#[must_use]
pub fn holds(template: &Template, name: &str, known: &Values, unknown: &[String]) -> Option<bool> {
    let scope = Scope {
        template,
        known,
        unknown,
    };
    scope.truth(template.conditions.get(name)?)
}

/// Says whether a resource is there: only one whose condition does not hold is not.
#[must_use]
pub fn is_there(template: &Template, logical_id: &str, known: &Values, unknown: &[String]) -> bool {
    let condition = template.conditional.get(logical_id);
    condition.and_then(|name| holds(template, name, known, unknown)) != Some(false)
}

struct Scope<'a> {
    template: &'a Template,
    known: &'a Values,
    unknown: &'a [String],
}

impl Scope<'_> {
    fn truth(&self, condition: &Value) -> Option<bool> {
        let Value::Tagged(tagged) = condition else {
            return None;
        };
        let parts = tagged.value.as_sequence();
        match (tagged.tag.to_string().as_str(), parts.map(Vec::as_slice)) {
            ("!Condition", None) => {
                self.truth(self.template.conditions.get(tagged.value.as_str()?)?)
            }
            ("!Not", Some([part])) => self.truth(part).map(|truth| !truth),
            ("!Equals", Some([one, other])) => Some(self.text(one)? == self.text(other)?),
            ("!And", Some(parts)) => self.unless(parts, false),
            ("!Or", Some(parts)) => self.unless(parts, true),
            _ => None,
        }
    }

    /// Gives `decisive` when one part is that, its opposite when all parts are.
    fn unless(&self, parts: &[Value], decisive: bool) -> Option<bool> {
        let truths: Vec<Option<bool>> = parts.iter().map(|part| self.truth(part)).collect();
        if truths.contains(&Some(decisive)) {
            return Some(decisive);
        }
        (!truths.contains(&None)).then_some(!decisive)
    }

    fn text(&self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Tagged(tagged) if tagged.tag == "Ref" => {
                let name = tagged.value.as_str()?.to_owned();
                if self.unknown.contains(&name) {
                    return None;
                }
                let given = self.known.get(&name).cloned();
                given.or_else(|| self.text(self.template.defaults.get(&name)?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
Parameters:
  Mode: {Type: String, Default: single}
  Name: {Type: String, Default: ''}
  Count: {Type: Number}
Conditions:
  Single: !Equals [!Ref Mode, single]
  Named: !Not [!Equals [!Ref Name, '']]
  Many: !Not [!Equals [!Ref Count, 1]]
  Both: !And [!Condition Single, !Condition Named]
  Either: !Or [!Condition Single, !Condition Many]
  Elsewhere: !Equals [!Ref AWS::Region, eu-west-1]
  Joined: !Equals [!Join ['', [a, b]], ab]
";

    fn truths(known: &[(&str, &str)], unknown: &[&str]) -> Vec<Option<bool>> {
        let template = Template::parse(TEMPLATE).expect("a template");
        let known = known.iter();
        let known = known.map(|(name, value)| ((*name).into(), (*value).into()));
        let unknown: Vec<String> = unknown.iter().map(|name| (*name).into()).collect();
        let known = known.collect();
        [
            "Single",
            "Named",
            "Many",
            "Both",
            "Either",
            "Elsewhere",
            "Joined",
            "None",
        ]
        .map(|name| holds(&template, name, &known, &unknown))
        .to_vec()
    }

    #[test]
    fn parameters_decide_as_far_as_they_are_known() {
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(
            truths(&[("Count", "1")], &[]),
            [yes, no, no, no, yes, None, None, None]
        );
        assert_eq!(
            truths(&[("Mode", "per-zone"), ("Count", "2"), ("Name", "a")], &[]),
            [no, yes, yes, no, yes, None, None, None]
        );
        assert_eq!(
            truths(&[], &["Name", "Count"]),
            [yes, None, None, None, yes, None, None, None]
        );
    }
}
