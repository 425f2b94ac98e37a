//! What is refused and how it is said, and what holds of any text. The forms themselves: `tests/join_forms.rs`.

mod carried_out;
mod reference;
mod refused;
mod round_trip;
mod secrets;

use super::*;

const TOKEN: &str = "abcdef.0123456789abcdef";
const PIN: &str = "sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3";

/// A join file that is right, with `more` at its end.
fn file(more: &str) -> String {
    format!("version = 1\nendpoints = [\"192.0.2.1:6443\"]\ntoken = \"{TOKEN}\"\nca-pins = [\"{PIN}\"]\n{more}")
}

fn error(text: &str) -> JoinConfigError {
    parse(text.as_bytes()).expect_err(text)
}

/// The message with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

#[test]
fn unknown_keys_are_warnings_with_their_line_and_a_guess() {
    let text = file(
        "tokn = 1\n[node]\nnmae = \"x\"\n[network]\nmagic = true\n[[registries]]\nhost = \"a\"\nmirrors = []\nx = 1\n",
    );
    let parsed = parse(text.as_bytes()).unwrap();
    assert_eq!(
        parsed.warnings,
        [
            "line 7: unknown key `node.nmae` is ignored; did you mean `name`?",
            "line 9: unknown key `network.magic` is ignored",
            "line 13: unknown key `registries.x` is ignored",
            "line 5: unknown key `tokn` is ignored; did you mean `token`?",
        ]
    );
    let strict = parse_strict(text.as_bytes()).unwrap_err();
    assert_eq!(strict.to_string(), "line 7, column 1: unknown key `node.nmae`");
    assert_eq!(strict.advice(), "did you mean `name`?");
    assert_eq!(strict.excerpt(), Some("  |\n7 | nmae = \"•\"\n  | ^^^^"));
}

#[test]
fn a_newer_version_is_refused_by_both_numbers_whatever_else_is_in_it() {
    let error = error("version = 2\nendpoints = 5\n");
    assert_eq!(
        error.to_string(),
        "line 1, column 11: this is version 2 of the format, and this program reads version 1"
    );
    assert_eq!(error.excerpt(), Some("  |\n1 | version = 2\n  |           ^"));
}

#[test]
fn amounts_of_memory_and_the_other_words_are_read() {
    let parsed = parse(file("[kubelet]\nreserved-memory = \"64Mi\"\nswap = \"none\"\n").as_bytes()).unwrap();
    assert_eq!(parsed.config.settings.kubelet.reserved_memory, Some(64 << 20));
    assert_eq!(parsed.config.settings.kubelet.swap, Swap::None);
}

#[test]
fn several_pins_are_kept_in_their_order_in_either_case() {
    let other = PIN.replace("34", "AB");
    let text = file("").replace(&format!("[\"{PIN}\"]"), &format!("[\"{}\", \"{PIN}\"]", other));
    let expected = [other.parse().unwrap(), PIN.parse().unwrap()];
    assert_eq!(
        parse(text.as_bytes()).unwrap().config.trust,
        Trust::Pins(expected.to_vec())
    );
}

#[test]
fn a_certificate_needs_no_discovery_unless_it_is_asked_for() {
    let ca = authorities::tests::some_authority("one");
    let text = file("").replace(&format!("ca-pins = [\"{PIN}\"]"), &format!("ca = '''{ca}'''"));
    assert_eq!(parse(text.as_bytes()).unwrap().config.discovery, Discovery::Given);
    let asked = format!("discovery = \"cluster-info\"\n{text}");
    assert_eq!(
        parse(asked.as_bytes()).unwrap().config.discovery,
        Discovery::ClusterInfo
    );
}

#[test]
fn a_bare_kubeadm_line_can_get_its_pin_from_the_file_around_it() {
    let text =
        format!("version = 1\nca-pins = [\"{PIN}\"]\njoin = 'kubeadm join 192.0.2.1:6443 --token {TOKEN} --new 1'\n");
    let parsed = parse(text.as_bytes()).unwrap();
    assert_eq!(parsed.config.endpoints[0].to_string(), "https://192.0.2.1:6443");
    assert_eq!(parsed.warnings, ["in `join`: line 1: unknown flag `--new` is ignored"]);
}

#[test]
fn a_kubeadm_line_is_read_with_flags_in_any_order_and_form() {
    for text in [
        format!("kubeadm join --token {TOKEN} --what ever --discovery-token-ca-cert-hash={PIN} 192.0.2.1:6443"),
        format!(
            "kubeadm join 192.0.2.1:6443 --what ever -discovery-token {TOKEN} --tls-bootstrap-token {TOKEN} --discovery-token-ca-cert-hash {PIN},{PIN} --control-plane=false"
        ),
        format!(
            "$ sudo -E kubeadm join '192.0.2.1:6443' \\\r\n --token {TOKEN} \\\r\n --discovery-token-ca-cert-hash {PIN} --what=ever && reboot"
        ),
    ] {
        let parsed = parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.config, parse(file("").as_bytes()).unwrap().config, "{text}");
        assert_eq!(
            parsed.warnings,
            ["line 1: unknown flag `--what` is ignored".replace('1', if text.contains('\r') { "3" } else { "1" })]
        );
    }
    let careless = format!("kubeadm join a:1 --token {TOKEN} --discovery-token-unsafe-skip-ca-verification");
    assert_eq!(parse(careless.as_bytes()).unwrap().config.trust, Trust::UnsafeTokenOnly);
}

#[test]
fn a_file_full_of_unknown_keys_does_not_flood_the_console() {
    let many: String = (0..1000).map(|number| format!("x{number} = 1\n")).collect();
    let warnings = parse(file(&many).as_bytes()).unwrap().warnings;
    assert_eq!(
        (warnings.len(), warnings[20].as_str()),
        (21, "980 more unknown keys are ignored")
    );
}
