//! Selected modules and everything that they need.

use std::collections::{BTreeMap, BTreeSet};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::folder::{Folder, alias_key};
use super::info::ModuleInfo;
use super::pattern::Matched;
use super::{ALIAS_FOLDERS, Module, ModulesError, Selection};

/// Follows dependencies of the matched modules until nothing new turns up. Modules are read in waves, in parallel.
pub(super) fn close(folder: &Folder, matched: Matched) -> Result<Selection, ModulesError> {
    let mut closure = Closure {
        folder,
        excluded: matched.excluded,
        infos: BTreeMap::new(),
        stay: BTreeSet::new(),
        providers: None,
        unresolved_soft: BTreeMap::new(),
    };
    let mut wave = matched.selected.clone();
    while !wave.is_empty() {
        closure.read(&wave)?;
        closure.stay.extend(wave.iter().cloned());
        let mut next = BTreeSet::new();
        for name in &wave {
            next.extend(closure.needs_of(name)?);
        }
        wave = next.difference(&closure.stay).cloned().collect();
    }
    Ok(closure.finish(matched.selected))
}

struct Closure<'a> {
    folder: &'a Folder,
    excluded: BTreeSet<String>,
    /// Of all modules read so far, whether they stay or not.
    infos: BTreeMap<String, ModuleInfo>,
    stay: BTreeSet<String>,
    /// Modules of [`ALIAS_FOLDERS`] by alias; read when the first soft dependency names no module.
    providers: Option<BTreeMap<String, BTreeSet<String>>>,
    unresolved_soft: BTreeMap<String, BTreeSet<String>>,
}

impl Closure<'_> {
    fn read(&mut self, names: &BTreeSet<String>) -> Result<(), ModulesError> {
        let unread: Vec<&String> = names.iter().filter(|name| !self.infos.contains_key(*name)).collect();
        // Collected before the first error is taken, so that it is the same one for any number of threads.
        let results: Vec<_> = unread
            .into_par_iter()
            .map(|name| {
                let file = &self.folder.files[name];
                let info = ModuleInfo::read(file.path.name(), &file.data);
                (name, info.map_err(|source| (file.path.clone(), source)))
            })
            .collect();
        for (name, result) in results {
            let info = result.map_err(|(path, source)| ModulesError::Module { path, source })?;
            self.infos.insert(name.clone(), info);
        }
        Ok(())
    }

    fn needs_of(&mut self, name: &str) -> Result<BTreeSet<String>, ModulesError> {
        let info = &self.infos[name];
        let hard: Vec<String> = info.depends.iter().map(|name| alias_key(name)).collect();
        let soft = info.soft_depends.iter().chain(&info.weak_depends);
        let soft: Vec<String> = soft.flat_map(|line| soft_names(line)).collect();
        let mut needs = BTreeSet::new();
        for dependency in hard {
            if self.folder.files.contains_key(&dependency) {
                needs.insert(dependency);
            } else if !self.folder.builtin.contains(&dependency) {
                return Err(ModulesError::MissingDependency {
                    module: name.to_owned(),
                    dependency,
                });
            }
        }
        for wanted in soft {
            let found = self.soft(&wanted)?;
            if found.is_empty() && !self.folder.builtin.contains(&wanted) {
                let users = self.unresolved_soft.entry(wanted).or_default();
                users.insert(name.to_owned());
            }
            needs.extend(found.into_iter().filter(|name| !self.excluded.contains(name)));
        }
        Ok(needs)
    }

    /// The modules that a soft dependency means, by name or by alias. A built-in provider of an alias does not stand in
    /// for modules: a faster or a fallback one may be among them.
    fn soft(&mut self, wanted: &str) -> Result<BTreeSet<String>, ModulesError> {
        if self.folder.files.contains_key(wanted) {
            return Ok(BTreeSet::from([wanted.to_owned()]));
        }
        Ok(self.providers()?.get(wanted).cloned().unwrap_or_default())
    }

    fn providers(&mut self) -> Result<&BTreeMap<String, BTreeSet<String>>, ModulesError> {
        if self.providers.is_none() {
            let in_folders = |relative: &str| ALIAS_FOLDERS.iter().any(|folder| relative.starts_with(folder));
            let files = self.folder.files.iter();
            let names: BTreeSet<String> = files
                .filter(|(_, file)| in_folders(&file.relative))
                .map(|(name, _)| name.clone())
                .collect();
            self.read(&names)?;
            let mut providers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for name in names {
                for alias in &self.infos[&name].aliases {
                    providers.entry(alias_key(alias)).or_default().insert(name.clone());
                }
            }
            self.providers = Some(providers);
        }
        Ok(self.providers.get_or_insert_default())
    }

    fn finish(mut self, matched: BTreeSet<String>) -> Selection {
        // Aliases of modules that stay for another reason count as well; only now are all of them known.
        let answers = |name: &String, wanted: &String| {
            let aliases = &self.infos[name].aliases;
            aliases.iter().any(|alias| alias_key(alias) == *wanted)
        };
        self.unresolved_soft
            .retain(|wanted, _| !self.stay.iter().any(|name| answers(name, wanted)));
        let last = usize::MAX;
        let mut names: Vec<&String> = self.stay.iter().collect();
        names.sort_by_key(|name| {
            let place = self.folder.order.get(*name).copied().unwrap_or(last);
            (place, self.folder.files[*name].relative.as_str())
        });
        let modules = names
            .into_iter()
            .map(|name| Module {
                name: name.clone(),
                relative_path: self.folder.files[name].relative.clone(),
                info: self.infos.remove(name).expect("what stays was read"),
            })
            .collect();
        Selection {
            modules,
            matched,
            unresolved_soft: self.unresolved_soft,
        }
    }
}

/// The names in a soft dependency, without the words that order them.
fn soft_names(line: &str) -> impl Iterator<Item = String> {
    line.split_whitespace()
        .filter(|word| !matches!(*word, "pre:" | "post:"))
        .map(alias_key)
}
