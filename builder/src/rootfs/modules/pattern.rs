//! Which modules the definition's patterns name.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};

use super::folder::{Folder, alias_key};
use super::{KeepRequest, ModulesError};

/// Below this similarity (Jaro-Winkler, 0 to 1) a suggestion would only puzzle.
const MIN_SIMILARITY: f64 = 0.75;

/// What the patterns of a definition select, and what soft dependencies may not bring back.
#[derive(Debug)]
pub(super) struct Matched {
    pub selected: BTreeSet<String>,
    pub excluded: BTreeSet<String>,
}

/// Names of the modules that match, and of those that a pattern with `!` takes away.
pub(super) fn matching(folder: &Folder, request: &KeepRequest<'_>) -> Result<Matched, ModulesError> {
    let mut selected = BTreeSet::new();
    let mut excluded = BTreeSet::new();
    for pattern in request.patterns {
        let (set, text) = match pattern.strip_prefix('!') {
            Some(text) => (&mut excluded, text),
            None => (&mut selected, pattern.as_str()),
        };
        let names = names_matching(folder, text.trim_matches('/')).map_err(|source| ModulesError::BadPattern {
            pattern: pattern.clone(),
            source,
        })?;
        if names.is_empty() {
            return Err(ModulesError::NoMatch {
                pattern: pattern.clone(),
                kernel_version: request.kernel_version.to_owned(),
                nearest: nearest(folder, text),
            });
        }
        set.extend(names);
    }
    selected.retain(|name| !excluded.contains(name));
    Ok(Matched { selected, excluded })
}

fn names_matching(folder: &Folder, pattern: &str) -> Result<Vec<String>, globset::Error> {
    if !pattern.contains('/') && folder.files.contains_key(&alias_key(pattern)) {
        return Ok(vec![alias_key(pattern)]);
    }
    let is_glob = pattern.contains(['*', '?', '[', '{']);
    let glob = is_glob.then(|| glob(pattern)).transpose()?;
    let matches = |path: &str| match &glob {
        Some(glob) => glob.is_match(path),
        None => path
            .strip_prefix(pattern)
            .is_some_and(|rest| matches!(rest, "" | ".ko") || rest.starts_with('/')),
    };
    let files = folder.files.iter().filter(|(_, file)| matches(file.plain_path()));
    Ok(files.map(|(name, _)| name.clone()).collect())
}

fn glob(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build()?;
    Ok(glob.compile_matcher())
}

/// The folder or module that looks most like a pattern which matched nothing.
fn nearest(folder: &Folder, pattern: &str) -> Option<String> {
    let (stem, tail) = match pattern.find(['*', '?', '[', '{']) {
        Some(at) => pattern.split_at(at),
        None => (pattern, ""),
    };
    let stem = stem.trim_end_matches('/');
    let mut candidates: BTreeSet<&str> = BTreeSet::new();
    for (name, file) in &folder.files {
        if !stem.contains('/') {
            candidates.insert(name);
        }
        let path = file.plain_path();
        candidates.insert(path);
        candidates.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
    }
    let scored = candidates
        .into_iter()
        .map(|text| (strsim::jaro_winkler(stem, text), text));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    let tail = match tail {
        "" => String::new(),
        _ if best.1.ends_with(".ko") => String::new(),
        _ => format!("/{}", tail.trim_start_matches('/')),
    };
    (best.0 >= MIN_SIMILARITY).then(|| format!("{}{tail}", best.1))
}
