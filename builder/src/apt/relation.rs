//! Relations between packages (Debian policy §7.1): the values of Depends, Pre-Depends, Conflicts, Breaks, Replaces and
//! Provides in binary packages.
//!
//! In: a field's value. Out: names, versions and architecture qualifiers. Architecture restrictions (`[amd64]`), build
//! profiles (`<!nocheck>`) and substitution variables belong to source packages and are refused.

use std::fmt;
use std::ops::Range;

use super::version::{BadVersion, DebVersion};

/// A value that is no list of relations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelationError {
    /// A package name that is none (policy §5.6.1).
    #[error("byte {offset}: `{text}` is no package name")]
    Name {
        /// Bytes of the value before it.
        offset: usize,
        /// What stands there.
        text: String,
    },
    /// Something other than `OP VERSION` in parentheses.
    #[error("byte {offset}: `{text}` is no version constraint")]
    Constraint {
        /// Bytes of the value before it.
        offset: usize,
        /// What stands there.
        text: String,
    },
    /// The version of a constraint.
    #[error("byte {offset}: a version constraint cannot be read")]
    Version {
        /// Bytes of the value before it.
        offset: usize,
        /// Why.
        #[source]
        source: BadVersion,
    },
    /// Something behind the relation.
    #[error("byte {offset}: `{text}` does not belong into a relation of binary packages")]
    Trailing {
        /// Bytes of the value before it.
        offset: usize,
        /// What stands there.
        text: String,
    },
    /// Alternatives where the field has none (policy §7.1).
    #[error("byte {offset}: alternatives are only allowed in dependencies")]
    Alternatives {
        /// Bytes of the value before it.
        offset: usize,
    },
    /// A provided name with another relation than `=`.
    #[error("byte {offset}: only `=` is allowed in Provides")]
    ProvidesOperator {
        /// Bytes of the value before it.
        offset: usize,
    },
}

/// How a version has to compare (policy §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and its old spelling `<`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`, and its old spelling `>`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }

    /// The operator at the start of `text`, and what follows.
    fn split(text: &str) -> Option<(Self, &str)> {
        [
            ("<<", Self::Earlier),
            ("<=", Self::EarlierOrEqual),
            (">=", Self::LaterOrEqual),
            (">>", Self::Later),
            ("=", Self::Equal),
            ("<", Self::EarlierOrEqual),
            (">", Self::LaterOrEqual),
        ]
        .into_iter()
        .find_map(|(token, operator)| text.strip_prefix(token).map(|rest| (operator, rest)))
    }
}

/// A demand on a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// How it has to compare.
    pub operator: Operator,
    /// With what.
    pub version: DebVersion,
}

impl Constraint {
    /// Whether `version` meets it.
    pub fn allows(&self, version: &DebVersion) -> bool {
        let order = version.cmp(&self.version);
        match self.operator {
            Operator::Earlier => order.is_lt(),
            Operator::EarlierOrEqual => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::LaterOrEqual => order.is_ge(),
            Operator::Later => order.is_gt(),
        }
    }
}

/// Which architecture's package is meant (the multiarch specification).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Qualifier {
    /// `:any`: also one of another architecture, if the package is `Multi-Arch: allowed`.
    Any,
    /// `:native`: one of the architecture that is built for.
    Native,
    /// One of this architecture.
    Architecture(String),
}

/// A package that is spoken of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its name, or the name of a virtual package.
    pub name: String,
    /// What stands behind a colon.
    pub qualifier: Option<Qualifier>,
    /// What stands in parentheses.
    pub constraint: Option<Constraint>,
}

/// One element of Depends or Pre-Depends: any of the alternatives is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// In the order of preference; never empty.
    pub alternatives: Vec<Relation>,
}

/// Reads the value of Depends or Pre-Depends.
pub fn parse_dependencies(value: &str) -> Result<Vec<Dependency>, RelationError> {
    elements(value)
        .map(|element| {
            let alternatives = split(value, element, '|').map(|range| parse_relation(value, range));
            Ok(Dependency {
                alternatives: alternatives.collect::<Result<_, _>>()?,
            })
        })
        .collect()
}

/// Reads the value of Conflicts, Breaks or Replaces.
pub fn parse_relations(value: &str) -> Result<Vec<Relation>, RelationError> {
    elements(value)
        .map(|element| match value[element.clone()].find('|') {
            Some(bar) => Err(RelationError::Alternatives {
                offset: element.start + bar,
            }),
            None => parse_relation(value, element),
        })
        .collect()
}

/// Reads the value of Provides: names, with the version under which they are provided if there is one.
pub fn parse_provides(value: &str) -> Result<Vec<(String, Option<DebVersion>)>, RelationError> {
    elements(value)
        .map(|element| {
            let offset = element.start;
            let relation = parse_relation(value, element)?;
            match relation.constraint {
                None => Ok((relation.name, None)),
                Some(Constraint {
                    operator: Operator::Equal,
                    version,
                }) => Ok((relation.name, Some(version))),
                Some(_) => Err(RelationError::ProvidesOperator { offset }),
            }
        })
        .collect()
}

/// Whether `text` can be a package's name: policy §5.6.1.
pub fn is_package_name(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

/// The parts between commas; a comma at the end is common in hand-written control files.
fn elements(value: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    split(value, 0..value.len(), ',').filter(|range| !range.is_empty())
}

/// The parts of `value[whole]` between separators, without white space at both ends.
fn split(value: &str, whole: Range<usize>, separator: char) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = whole.start;
    value[whole].split(separator).map(move |part| {
        let trimmed_start = start + (part.len() - part.trim_ascii_start().len());
        let range = trimmed_start..trimmed_start + part.trim_ascii().len();
        start += part.len() + separator.len_utf8();
        range
    })
}

/// Reads `name[:qualifier] [(op version)]`.
fn parse_relation(value: &str, range: Range<usize>) -> Result<Relation, RelationError> {
    let text = &value[range.clone()];
    let name_len = text
        .find(|c: char| c.is_ascii_whitespace() || "(:[<".contains(c))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(name_len);
    if !is_package_name(name) {
        return Err(RelationError::Name {
            offset: range.start,
            text: name.to_owned(),
        });
    }
    let (qualifier, rest) = match rest.strip_prefix(':') {
        Some(rest) => {
            let len = rest
                .find(|c: char| c.is_ascii_whitespace() || c == '(')
                .unwrap_or(rest.len());
            (Some(&rest[..len]), &rest[len..])
        }
        None => (None, rest),
    };
    let rest = rest.trim_ascii_start();
    let offset = range.end - rest.len();
    let constraint = match rest.strip_prefix('(') {
        Some(inside) => {
            let Some((inside, behind)) = inside.split_once(')') else {
                return Err(RelationError::Constraint {
                    offset,
                    text: rest.to_owned(),
                });
            };
            if !behind.is_empty() {
                return Err(RelationError::Trailing {
                    offset: range.end - behind.len(),
                    text: behind.to_owned(),
                });
            }
            Some(parse_constraint(inside, offset)?)
        }
        None if rest.is_empty() => None,
        None => {
            return Err(RelationError::Trailing {
                offset,
                text: rest.to_owned(),
            });
        }
    };
    let qualifier = qualifier.map(|text| match text {
        "any" => Qualifier::Any,
        "native" => Qualifier::Native,
        other => Qualifier::Architecture(other.to_owned()),
    });
    Ok(Relation {
        name: name.to_owned(),
        qualifier,
        constraint,
    })
}

fn parse_constraint(text: &str, offset: usize) -> Result<Constraint, RelationError> {
    let Some((operator, version)) = Operator::split(text.trim_ascii()) else {
        return Err(RelationError::Constraint {
            offset,
            text: format!("({text})"),
        });
    };
    let version = version
        .trim_ascii()
        .parse()
        .map_err(|source| RelationError::Version { offset, source })?;
    Ok(Constraint { operator, version })
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} {})", self.operator.as_str(), self.version)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.qualifier {
            None => {}
            Some(Qualifier::Any) => f.write_str(":any")?,
            Some(Qualifier::Native) => f.write_str(":native")?,
            Some(Qualifier::Architecture(architecture)) => write!(f, ":{architecture}")?,
        }
        match &self.constraint {
            Some(constraint) => write!(f, " {constraint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.alternatives.iter().map(Relation::to_string).collect();
        f.write_str(&texts.join(" | "))
    }
}

#[cfg(test)]
mod tests;
