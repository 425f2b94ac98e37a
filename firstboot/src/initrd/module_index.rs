//! What depmod(8) writes down about kernel modules: dependencies, soft dependencies and aliases (text forms).
//!
//! Both sides use it: the builder to find out which modules an initrd needs, skerry-init to load them in order.
//! Deliberately not supported: the binary indexes, `modprobe.d` options and blacklists.

use std::collections::{BTreeMap, BTreeSet};

use super::modalias;

/// The name of a module as the kernel spells it: without folder and suffixes, `_` where the file may have `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleName(String);

impl ModuleName {
    /// From a name or a file's path, such as `kernel/fs/overlayfs/overlay.ko.xz`.
    pub fn new(name_or_path: &str) -> Self {
        let file = name_or_path.rsplit('/').next().unwrap_or_default();
        let name = file.find(".ko").map_or(file, |end| &file[..end]);
        Self(name.replace('-', "_"))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ModuleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The texts of the three index files; an absent file is an empty text.
#[derive(Debug, Clone, Copy, Default)]
pub struct IndexTexts<'a> {
    /// `modules.dep`
    pub dep: &'a str,
    /// `modules.softdep`
    pub softdep: &'a str,
    /// `modules.alias`
    pub alias: &'a str,
}

#[derive(Debug, Clone, Default)]
struct Module {
    path: String,
    needs: Vec<ModuleName>,
    wanted_before: Vec<String>,
    wanted_after: Vec<String>,
}

/// All modules of one kernel.
#[derive(Debug, Clone, Default)]
pub struct ModuleIndex {
    modules: BTreeMap<ModuleName, Module>,
    aliases: Vec<(String, ModuleName)>,
}

impl ModuleIndex {
    /// Reads the index files. Lines of another form are skipped, as kmod does.
    pub fn parse(texts: IndexTexts<'_>) -> Self {
        let mut index = Self::default();
        for line in texts.dep.lines() {
            index.add_dependencies(line);
        }
        for line in texts.softdep.lines() {
            index.add_soft_dependencies(line);
        }
        for line in texts.alias.lines() {
            let mut words = line.split_ascii_whitespace();
            if let (Some("alias"), Some(pattern), Some(name)) = (words.next(), words.next(), words.next()) {
                index.aliases.push((pattern.to_owned(), ModuleName::new(name)));
            }
        }
        index
    }

    /// `kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz …`
    fn add_dependencies(&mut self, line: &str) {
        let Some((path, needs)) = line.split_once(':') else {
            return;
        };
        let module = Module {
            path: path.to_owned(),
            needs: needs.split_ascii_whitespace().map(ModuleName::new).collect(),
            ..Module::default()
        };
        self.modules.insert(ModuleName::new(path), module);
    }

    /// `softdep ext4 pre: crypto-crc32c post: other`
    fn add_soft_dependencies(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let (Some("softdep"), Some(name)) = (words.next(), words.next()) else {
            return;
        };
        let Some(module) = self.modules.get_mut(&ModuleName::new(name)) else {
            return;
        };
        let mut list = &mut module.wanted_before;
        for word in words {
            match word {
                "pre:" => list = &mut module.wanted_before,
                "post:" => list = &mut module.wanted_after,
                _ => list.push(word.to_owned()),
            }
        }
    }

    /// All modules with their paths, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ModuleName, &str)> {
        self.modules.iter().map(|(name, module)| (name, module.path.as_str()))
    }

    /// The path of a module below the kernel's module folder.
    pub fn path(&self, name: &ModuleName) -> Option<&str> {
        self.modules.get(name).map(|module| module.path.as_str())
    }

    /// The modules that say they drive a device of this modalias, in the order of the index.
    pub fn drivers_of(&self, modalias: &str) -> Vec<&ModuleName> {
        self.aliases
            .iter()
            .filter(|(pattern, name)| modalias::matches(pattern, modalias) && self.modules.contains_key(name))
            .map(|(_, name)| name)
            .collect()
    }

    /// The module itself and all it needs or wants, each once, in the order in which to load them.
    /// Empty if there is no such module.
    pub fn load_order(&self, name: &ModuleName) -> Vec<&ModuleName> {
        let mut order = Vec::new();
        self.visit(name, &mut BTreeSet::new(), &mut order);
        order
    }

    fn visit<'a>(&'a self, name: &ModuleName, seen: &mut BTreeSet<&'a ModuleName>, order: &mut Vec<&'a ModuleName>) {
        let Some((name, module)) = self.modules.get_key_value(name) else {
            return;
        };
        if !seen.insert(name) {
            return;
        }
        for wish in self.resolve_all(&module.wanted_before) {
            self.visit(wish, seen, order);
        }
        // depmod lists what is needed most deeply last.
        for need in module.needs.iter().rev() {
            self.visit(need, seen, order);
        }
        order.push(name);
        for wish in self.resolve_all(&module.wanted_after) {
            self.visit(wish, seen, order);
        }
    }

    /// A soft dependency names a module or an alias such as `crypto-crc32c`, which several modules may answer to.
    fn resolve_all<'a>(&'a self, wishes: &'a [String]) -> impl Iterator<Item = &'a ModuleName> {
        wishes
            .iter()
            .flat_map(|wish| match self.modules.get_key_value(&ModuleName::new(wish)) {
                Some((name, _)) => vec![name],
                None => self.drivers_of(wish),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/ext4/ext4.ko.xz: kernel/fs/mbcache.ko.xz kernel/fs/jbd2/jbd2.ko.xz\n\
                       kernel/fs/mbcache.ko.xz:\n\
                       kernel/fs/jbd2/jbd2.ko.xz:\n\
                       kernel/crypto/crc32c_generic.ko.xz:\n\
                       kernel/arch/x86/crypto/crc32c-intel.ko.xz:\n\
                       kernel/a.ko: kernel/b.ko\n\
                       kernel/b.ko: kernel/a.ko\n\
                       no colon\n";
    const SOFTDEP: &str =
        "# comment\nsoftdep jbd2 pre: crypto-crc32c\nsoftdep mbcache post: a\nsoftdep absent pre: a\n";
    const ALIAS: &str = "# Aliases\nalias crypto-crc32c crc32c_intel\nalias crypto-crc32c crc32c_generic\n\
                         alias fs-ext4 ext4\nalias cpu:*feature:*0089* crc32c_intel\nalias x* absent\n";

    fn index() -> ModuleIndex {
        ModuleIndex::parse(IndexTexts {
            dep: DEP,
            softdep: SOFTDEP,
            alias: ALIAS,
        })
    }

    fn order(name: &str) -> Vec<String> {
        let index = index();
        index
            .load_order(&ModuleName::new(name))
            .iter()
            .map(|name| name.to_string())
            .collect()
    }

    #[test]
    fn file_names_and_kernel_names_of_a_module_are_one_name() {
        for text in [
            "kernel/arch/x86/crypto/crc32c-intel.ko.xz",
            "crc32c-intel",
            "crc32c_intel",
        ] {
            assert_eq!(ModuleName::new(text).as_str(), "crc32c_intel");
        }
    }

    #[test]
    fn what_a_module_needs_or_wants_is_loaded_around_it() {
        assert_eq!(
            order("ext4"),
            ["crc32c_intel", "crc32c_generic", "jbd2", "mbcache", "b", "a", "ext4"]
        );
    }

    #[test]
    fn a_circle_of_dependencies_ends_and_an_unknown_module_needs_nothing() {
        assert_eq!(order("a"), ["b", "a"]);
        assert_eq!(order("absent"), [""; 0]);
    }

    #[test]
    fn drivers_are_found_by_pattern_and_only_if_their_file_is_there() {
        let index = index();
        let drivers = |text| {
            index
                .drivers_of(text)
                .iter()
                .map(|name| name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(drivers("cpu:type:x86:feature:,0000,0089"), ["crc32c_intel"]);
        assert_eq!(drivers("fs-ext4"), ["ext4"]);
        assert_eq!(drivers("xyz"), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn no_index_text_makes_it_stumble(dep in "\\PC{0,60}", softdep in "(softdep |[ab:] ?){0,20}", name in "\\PC{0,6}") {
            let index = ModuleIndex::parse(IndexTexts { dep: &dep, softdep: &softdep, alias: &dep });
            let _ = index.load_order(&ModuleName::new(&name));
            let _ = index.drivers_of(&name);
        }
    }
}
