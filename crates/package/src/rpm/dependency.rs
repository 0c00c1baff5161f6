//! What a package asks for: a capability, or a rich dependency such as `(a if b else c)`.
//!
//! The grammar is that of rpm's manual, "Boolean Dependencies", and `parseRichDep` in
//! `lib/rpmds.c`: operands are capabilities or stand in parentheses; `and`, `or` and `with` chain;
//! `if` and `unless` may have an `else`.

use super::version::{self, EQUAL, GREATER, LESS};

/// How deep parentheses may nest; packages have two or three.
const MAX_DEPTH: usize = 32;

/// A name, and which versions of it: a package, a library, a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// `httpd`, `libc.so.6()(64bit)`, `/usr/sbin/httpd`.
    pub name: String,
    /// `rpmsenseFlags`.
    pub(super) flags: u32,
    /// Empty where any will do.
    pub(super) version: String,
}

impl Capability {
    /// Whether this version, or this range of versions, is one that is asked for.
    pub(super) fn meets(&self, flags: u32, version: &str) -> bool {
        version::ranges_meet((self.flags, &self.version), (flags, version))
    }
}

/// What a package asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// Whoever provides it.
    One(Capability),
    /// All of them.
    And(Vec<Dependency>),
    /// One of them.
    Or(Vec<Dependency>),
    /// A package that provides all of it.
    With(Vec<Dependency>),
    /// A package that provides the one and not the other.
    Without(Box<[Dependency; 2]>),
    /// The first if the condition is met, the last if it is not.
    If {
        /// Asked for where the condition is met.
        then: Box<Dependency>,
        /// The condition, which itself is not asked for.
        when: Box<Dependency>,
        /// Asked for where it is not.
        otherwise: Option<Box<Dependency>>,
    },
}

/// Why a text is no rich dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) &'static str);

type Result<T> = std::result::Result<T, Unreadable>;

/// Reads a rich dependency, with its parentheses.
pub(super) fn parse_rich(text: &str) -> Result<Dependency> {
    let mut rest = text;
    let dependency = rich(&mut rest, MAX_DEPTH)?;
    if rest.trim().is_empty() {
        Ok(dependency)
    } else {
        Err(Unreadable("something stands behind it"))
    }
}

/// One in parentheses: `(a)`, `(a and b and c)`, `(a if b else c)`.
fn rich(rest: &mut &str, depth: usize) -> Result<Dependency> {
    let depth = depth
        .checked_sub(1)
        .ok_or(Unreadable("it nests too deep"))?;
    *rest = rest
        .trim_start()
        .strip_prefix('(')
        .ok_or(Unreadable("no \"(\""))?;
    let first = operand(rest, depth)?;
    let operator = word(rest);
    let dependency = match operator {
        "" => first,
        "and" | "or" | "with" => {
            let all = chain(rest, operator, first, depth)?;
            match operator {
                "and" => Dependency::And(all),
                "or" => Dependency::Or(all),
                _ => Dependency::With(all),
            }
        }
        "without" => Dependency::Without(Box::new([first, operand(rest, depth)?])),
        "if" | "unless" => condition(rest, operator == "unless", first, depth)?,
        _ => return Err(Unreadable("an unknown operator")),
    };
    *rest = rest
        .trim_start()
        .strip_prefix(')')
        .ok_or(Unreadable("no \")\""))?;
    Ok(dependency)
}

/// The operands of one operator.
fn chain(
    rest: &mut &str,
    operator: &str,
    first: Dependency,
    depth: usize,
) -> Result<Vec<Dependency>> {
    let mut all = vec![first, operand(rest, depth)?];
    loop {
        match word(rest) {
            "" => return Ok(all),
            next if next == operator => all.push(operand(rest, depth)?),
            _ => return Err(Unreadable("different operators without parentheses")),
        }
    }
}

/// What follows `if` and `unless`, which is `if` the other way round.
fn condition(rest: &mut &str, unless: bool, then: Dependency, depth: usize) -> Result<Dependency> {
    let when = Box::new(operand(rest, depth)?);
    let otherwise = match word(rest) {
        "" => None,
        "else" => Some(operand(rest, depth)?),
        _ => return Err(Unreadable("neither \"else\" nor the end")),
    };
    let (then, otherwise) = if unless {
        (otherwise.unwrap_or(Dependency::And(Vec::new())), Some(then))
    } else {
        (then, otherwise)
    };
    Ok(Dependency::If {
        then: Box::new(then),
        when,
        otherwise: otherwise.map(Box::new),
    })
}

fn operand(rest: &mut &str, depth: usize) -> Result<Dependency> {
    *rest = rest.trim_start();
    if rest.starts_with('(') {
        return rich(rest, depth);
    }
    let name = take(rest, name_length(rest));
    if name.is_empty() {
        return Err(Unreadable("a name is missing"));
    }
    let mut flags = 0;
    let mut version = String::new();
    let after = rest.trim_start();
    if after.starts_with(['<', '=', '>']) {
        *rest = after;
        let end = rest
            .find(|c| !matches!(c, '<' | '=' | '>'))
            .unwrap_or(rest.len());
        for c in take(rest, end).chars() {
            flags |= match c {
                '<' => LESS,
                '>' => GREATER,
                _ => EQUAL,
            };
        }
        *rest = rest.trim_start();
        version = take(rest, name_length(rest)).to_owned();
        if version.is_empty() {
            return Err(Unreadable("a version is missing"));
        }
    }
    Ok(Dependency::One(Capability {
        name: name.to_owned(),
        flags,
        version,
    }))
}

/// How long a name is: it ends at a blank, or at a parenthesis that was not opened in it.
fn name_length(text: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return at,
            ')' => open -= 1,
            c if c.is_ascii_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

/// The next word of letters, which is an operator; empty before a parenthesis and at the end.
fn word<'a>(rest: &mut &'a str) -> &'a str {
    *rest = rest.trim_start();
    let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')'));
    take(rest, end.unwrap_or(rest.len()))
}

fn take<'a>(rest: &mut &'a str, length: usize) -> &'a str {
    let (front, behind) = rest.split_at(length);
    *rest = behind;
    front
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A dependency in the form of a function call.
    fn shown(dependency: &Dependency) -> String {
        let all = |name: &str, of: &[Dependency]| {
            let of: Vec<String> = of.iter().map(shown).collect();
            format!("{name}({})", of.join(", "))
        };
        match dependency {
            Dependency::One(one) if one.version.is_empty() => one.name.clone(),
            Dependency::One(one) => format!("{} {} {}", one.name, one.flags, one.version),
            Dependency::And(of) => all("and", of),
            Dependency::Or(of) => all("or", of),
            Dependency::With(of) => all("with", of),
            Dependency::Without(of) => all("without", &of[..]),
            Dependency::If {
                then,
                when,
                otherwise,
            } => format!(
                "if({}, {}, {})",
                shown(when),
                shown(then),
                otherwise.as_deref().map_or("-".to_owned(), shown)
            ),
        }
    }

    #[test]
    fn rich_dependencies_are_read_as_rpm_reads_them() {
        for (text, expected) in [
            ("(a)", "a"),
            ("(a and b and c)", "and(a, b, c)"),
            ("(a >= 1:2-3 or b)", "or(a 12 1:2-3, b)"),
            ("(a if b)", "if(b, a, -)"),
            ("( a if b else c )", "if(b, a, c)"),
            ("(a unless b)", "if(b, and(), a)"),
            ("(a unless b else c)", "if(b, c, a)"),
            ("(a with a < 3)", "with(a, a 2 3)"),
            ("(a without b)", "without(a, b)"),
            (
                "((a or b) and (c if (d or e)))",
                "and(or(a, b), if(or(d, e), c, -))",
            ),
            (
                "(libc.so.6()(64bit) or perl(A::B)>=2)",
                "or(libc.so.6()(64bit), perl(A::B)>=2)",
            ),
            ("(a<b or c)", "or(a<b, c)"),
            ("((a = 1)and(b))", "and(a 8 1, b)"),
        ] {
            assert_eq!(
                parse_rich(text).map(|d| shown(&d)).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a46_what_is_none_is_refused() {
        for text in [
            "",
            "a",
            "(",
            "()",
            "(a",
            "(a and",
            "(a and)",
            "(a b)",
            "(a and b or c)",
            "(a or b) c",
            "(a if b else)",
            "(a without b without c)",
            "(a >=)",
            "(a >= )",
            "(and and and and)",
            "(a xor b)",
        ] {
            assert!(parse_rich(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a46_nesting_has_an_end() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse_rich(&nested(MAX_DEPTH)).is_ok());
        for depth in [MAX_DEPTH + 1, 1_000_000] {
            let error = parse_rich(&nested(depth)).unwrap_err();
            assert_eq!(error, Unreadable("it nests too deep"));
        }
    }

    proptest! {
        #[test]
        fn a46_any_text_is_read_or_refused(text in "\\(([ab()<>= é]|and|or|if| else | with ){0,24}\\)?") {
            let _ = parse_rich(&text);
        }
    }
}
