//! Every form of join file: what `golden/join/NAME.in` says is what `golden/join/NAME.toml` says in the one way in which
//! this program writes it. `SKERRY_BLESS=1` writes the latter anew.

use std::fs;
use std::path::{Path, PathBuf};

use skerry_firstboot::join_config::{JoinConfig, parse, parse_strict};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/join");
    let mut inputs: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "in"))
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 12, "{inputs:?}");
    inputs
}

fn canonical(config: &JoinConfig) -> String {
    config
        .to_toml()
        .expect("what was read can be written")
        .expose()
        .to_owned()
}

#[test]
fn every_form_is_read_as_it_always_was() {
    for input in cases() {
        let parsed = parse(&fs::read(&input).unwrap()).unwrap_or_else(|error| panic!("{}: {error:?}", input.display()));
        let warnings = parsed.warnings.iter().map(|warning| format!("# {warning}\n"));
        let expected = warnings.collect::<String>() + &canonical(&parsed.config);
        let golden = input.with_extension("toml");
        if std::env::var_os("SKERRY_BLESS").is_some() {
            fs::write(&golden, &expected).unwrap();
        }
        assert_eq!(fs::read_to_string(&golden).unwrap(), expected, "{}", golden.display());
    }
}

#[test]
fn what_is_written_says_the_same_and_nothing_unknown() {
    for input in cases() {
        let config = parse(&fs::read(&input).unwrap()).unwrap().config;
        let again = parse_strict(canonical(&config).as_bytes()).unwrap();
        assert_eq!(again.config, config, "{}", input.display());
        assert_eq!(again.warnings, Vec::<String>::new());
    }
}

#[test]
fn no_secret_is_in_the_debug_text_of_any_form() {
    for input in cases() {
        let text = format!("{:?}", parse(&fs::read(&input).unwrap()).unwrap());
        for secret in ["0123456789abcdef", "c2lnbmF0dXJl", "PRIVATE KEY"] {
            assert!(!text.contains(secret), "{}: {text}", input.display());
        }
    }
}
