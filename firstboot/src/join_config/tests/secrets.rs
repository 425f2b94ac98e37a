//! S4: whatever a join file holds, no message shows its secret.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "0123456789abcdef";

/// Everything that is ever shown of an outcome.
fn told(text: &str) -> String {
    let mut told = String::new();
    for outcome in [parse(text.as_bytes()), parse_strict(text.as_bytes())] {
        match outcome {
            // Of a damaged token the rest is another token, and what stands elsewhere no longer its secret.
            Ok(parsed)
                if parsed
                    .config
                    .credential
                    .secret()
                    .is_some_and(|secret| secret.contains(SECRET)) =>
            {
                told += &format!("{parsed:?} {parsed:#?}");
            }
            Ok(parsed) => told += &parsed.warnings.join("\n"),
            Err(error) => {
                let excerpt = error.excerpt().unwrap_or_default();
                told += &format!("{error:?} {} {excerpt} {}", chain(&error), error.advice());
            }
        }
    }
    told
}

/// Join files of all forms with the token in them.
fn forms() -> Vec<String> {
    let yaml = format!(
        "apiVersion: v1\nkind: Config\nusers:\n- name: {TOKEN}\n  user:\n    token: {TOKEN}\ncurrent-context: {TOKEN}\n"
    );
    vec![
        file("[kubelet]\nmax-pods = 3\n"),
        file(&format!(
            "[node]\nname = \"{TOKEN}\"\n[node.labels]\nkey = \"{TOKEN}\"\n"
        )),
        format!(
            "version = 1\nca-pins = [\"{PIN}\"]\nkkp = {{ server = \"https://a\", token = \"{TOKEN}\", secret = \"x\" }}\n"
        ),
        format!("version = 1\njoin = '''\n{yaml}'''\n"),
        format!(
            "kubeadm join 192.0.2.1:6443 --token {TOKEN} \\\n  --discovery-token-ca-cert-hash {PIN} --node-name x\n"
        ),
        yaml,
    ]
}

#[test]
fn a_token_in_any_wrong_place_is_not_shown() {
    for line in [
        format!("{TOKEN} = 1"),
        format!("\"{TOKEN}\" = 1"),
        format!("tokn = \"{TOKEN}\""),
        format!("endpoints = [\"https://{TOKEN}@host\"]"),
        format!("endpoints = [\"{TOKEN}\"]"),
        format!("endpoints = [\"https://a?token={TOKEN}\"]"),
        format!("after-join = \"{TOKEN}\""),
        format!("ca-pins = [\"{TOKEN}\"]"),
        format!("[{TOKEN}]"),
        format!("[network]\naddresses = [\"{TOKEN}\"]\nproxy = \"{TOKEN}\""),
        format!("[network]\nproxy = \"http://x:{TOKEN}@proxy:1\""),
        format!("[kubelet]\nreserved-memory = \"{TOKEN}\""),
        format!("join = \"kubeadm join a:1 --{TOKEN} --{TOKEN}=x {TOKEN}\""),
        format!("{TOKEN}\n"),
    ] {
        for text in [format!("version = 1\n{line}\n"), line.clone()] {
            assert!(!told(&text).contains(SECRET), "{text}\n{}", told(&text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_message_about_a_damaged_file_shows_the_secret(
        form in 0..6_usize,
        at in any::<prop::sample::Index>(),
        deleted in 0..12_usize,
        inserted in "[\"'=\\[\\]{}#\n\\\\:.,@?a-z -]{0,6}",
    ) {
        let text = forms().swap_remove(form);
        let from = at.index(text.len() + 1);
        let to = (from + deleted).min(text.len());
        let damaged = format!("{}{inserted}{}", &text[..from], &text[to..]);
        prop_assert!(!told(&damaged).contains(SECRET), "{}\n{}", damaged, told(&damaged));
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
        let mut prefixed = b"version = 1\n".to_vec();
        prefixed.extend(&bytes);
        let _ = parse(&prefixed);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "(kubeadm join |version = 1\n|kind: Config\n|\\{|K10|H4sI)?[ -~\n]{0,200}") {
        let _ = told(&text);
    }
}
