//! Relation fields: `a (>= 1) | b, c:any [arch]` (deb-control(5)).

use super::version::Operator;

/// One package that a relation names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// What stands after the colon: `any`, `native` or an architecture.
    pub(crate) qualifier: Option<String>,
    /// The version that is asked for or, in `Provides`, given.
    pub(crate) version: Option<(Operator, String)>,
}

/// The alternatives of one relation, the preferred first.
pub(crate) type Alternatives = Vec<Target>;

/// Reads a field. What is no relation in it is passed over: the relations of an installed package
/// were checked when it was installed, and losing one is better than losing all packages.
pub(crate) fn parse(field: &str) -> Vec<Alternatives> {
    field
        .split(',')
        .map(|group| group.split('|').filter_map(parse_target).collect())
        .filter(|alternatives: &Alternatives| !alternatives.is_empty())
        .collect()
}

fn parse_target(text: &str) -> Option<Target> {
    let text = text.trim();
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '<'))
        .unwrap_or(text.len());
    let (full, rest) = text.split_at(end);
    let (name, qualifier) = match full.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier.to_owned())),
        None => (full, None),
    };
    if name.is_empty() {
        return None;
    }
    Some(Target {
        name: name.to_owned(),
        qualifier,
        version: parse_version(rest),
    })
}

fn parse_version(rest: &str) -> Option<(Operator, String)> {
    let inside = rest.split_once('(')?.1.split_once(')')?.0.trim();
    let end = inside
        .find(|c| !matches!(c, '<' | '=' | '>'))
        .unwrap_or(inside.len());
    let (operator, version) = inside.split_at(end);
    Some((Operator::parse(operator)?, version.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_taken_apart() {
        let field = "default-mta | mail-transport-agent, libc6 (>= 2.34), perl:any,\n python3 [amd64] , , x(=1:2-3)";
        let parsed = parse(field);
        let names: Vec<Vec<&str>> = parsed
            .iter()
            .map(|group| group.iter().map(|t| t.name.as_str()).collect())
            .collect();
        assert_eq!(
            names,
            [
                vec!["default-mta", "mail-transport-agent"],
                vec!["libc6"],
                vec!["perl"],
                vec!["python3"],
                vec!["x"]
            ]
        );
        assert_eq!(
            parsed[1][0].version,
            Some((Operator::LaterOrEqual, "2.34".to_owned()))
        );
        assert_eq!(parsed[2][0].qualifier.as_deref(), Some("any"));
        assert_eq!(
            parsed[4][0].version,
            Some((Operator::Equal, "1:2-3".to_owned()))
        );
    }

    #[test]
    fn a46_nonsense_is_passed_over() {
        for field in ["", ",,|", "(>= 1)", "a (", "a (>= ", ":any", "a ()"] {
            for group in parse(field) {
                assert!(group.iter().all(|t| t.name == "a"), "{field:?}");
            }
        }
    }
}
