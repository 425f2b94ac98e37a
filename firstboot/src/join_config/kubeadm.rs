//! The line that `kubeadm token create --print-join-command` and `kubeadm init` print.

use std::ops::Range;

use super::draft::Draft;
use super::error::{JoinConfigError, Problem};
use super::mask::{Around, Spot, line_of, shown};
use super::shell_words::{Word, commands};
use super::{BootstrapToken, CaPin, Credential, Discovery, Trust, node_name};

/// Flags that change nothing on a machine that kubeadm does not set up, and whether a value follows.
const PASSED_OVER: [(&str, Takes); 15] = [
    ("add-dir-header", Takes::Nothing),
    ("cri-socket", Takes::Value),
    ("dry-run", Takes::Nothing),
    ("h", Takes::Nothing),
    ("help", Takes::Nothing),
    ("ignore-preflight-errors", Takes::Value),
    ("log-file", Takes::Value),
    ("log-file-max-size", Takes::Value),
    ("one-output", Takes::Nothing),
    ("patches", Takes::Value),
    ("rootfs", Takes::Value),
    ("skip-headers", Takes::Nothing),
    ("skip-log-headers", Takes::Nothing),
    ("skip-phases", Takes::Value),
    ("v", Takes::Value),
];
/// Flags that are for other machines or other ways, and why they are refused.
const REFUSED: [(&str, &str, &str); 7] = [
    ("control-plane", CONTROL_PLANE, TAKE_WORKER_LINE),
    ("experimental-control-plane", CONTROL_PLANE, TAKE_WORKER_LINE),
    ("certificate-key", CONTROL_PLANE, TAKE_WORKER_LINE),
    ("apiserver-advertise-address", CONTROL_PLANE, TAKE_WORKER_LINE),
    ("apiserver-bind-port", CONTROL_PLANE, TAKE_WORKER_LINE),
    (
        "config",
        "the file that it names is not on this machine",
        "give endpoint, token and pin on the line, or write a TOML join file",
    ),
    (
        "discovery-file",
        "the file that it names is not on this machine",
        "use that file itself as the join file, or put its text into the key `join`",
    ),
];
const CONTROL_PLANE: &str = "this machine can be a worker only, and the flag is for control planes";
const TAKE_WORKER_LINE: &str = "use the line for worker nodes: `kubeadm token create --print-join-command`";
const TOKEN_ADVICE: &str = "make a new line with `kubeadm token create --print-join-command`";

/// What was read, in words that fit `… holds no token`.
pub(super) const FORM: &str = "the kubeadm line";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Value,
    Nothing,
}

/// Whether `text` holds such a line.
pub(super) fn is_command(text: &str) -> bool {
    !join_commands(text).is_empty()
}

/// The words behind each `kubeadm join`.
fn join_commands(text: &str) -> Vec<Vec<Word>> {
    let after = |mut command: Vec<Word>| {
        let is_kubeadm = |word: &Word| word.text == "kubeadm" || word.text.ends_with("/kubeadm");
        let at = command
            .windows(2)
            .position(|pair| is_kubeadm(&pair[0]) && pair[1].text == "join")?;
        Some(command.split_off(at + 2))
    };
    commands(text).into_iter().filter_map(after).collect()
}

/// Reads the line; sentences about what was passed over go to `warnings`.
pub(super) fn read(text: &str, warnings: &mut Vec<String>) -> Result<Draft, JoinConfigError> {
    let mut found = join_commands(text);
    // `kubeadm init` prints one line for control planes and one for workers.
    let for_workers = |words: &Vec<Word>| !words.iter().any(|word| word.text == "--control-plane");
    if found.iter().any(for_workers) {
        found.retain(for_workers);
    }
    let mut commands = found.into_iter();
    let words = commands.next().ok_or(JoinConfigError::Unrecognised)?;
    if let Some(second) = commands.next() {
        let at = second.first().map_or(text.len()..text.len(), |word| word.span.clone());
        let reason = "there is more than one line of this kind";
        return Err(refuse(text, at, "kubeadm join", (reason, "leave only one of them")));
    }
    let mut line = Line::new(text, words);
    line.read(warnings)?;
    line.draft()
}

fn refuse(
    text: &str,
    span: Range<usize>,
    key: &str,
    (reason, advice): (impl ToString, &'static str),
) -> JoinConfigError {
    JoinConfigError::Text {
        spot: Spot::of(text, span.start..span.start, Around::Nothing),
        problem: Problem::Value {
            key: key.to_owned(),
            reason: reason.to_string(),
            advice,
        },
    }
}

struct Line<'t> {
    text: &'t str,
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
    draft: Draft,
    /// Tokens by the flag that gave them.
    tokens: Vec<(&'static str, BootstrapToken)>,
    pins: Vec<CaPin>,
    skip_verification: bool,
}

impl<'t> Line<'t> {
    fn new(text: &'t str, words: Vec<Word>) -> Self {
        Self {
            text,
            words: words.into_iter().peekable(),
            draft: Draft {
                discovery: Some(Discovery::ClusterInfo),
                ..Draft::new(FORM)
            },
            tokens: Vec::new(),
            pins: Vec::new(),
            skip_verification: false,
        }
    }

    fn read(&mut self, warnings: &mut Vec<String>) -> Result<(), JoinConfigError> {
        while let Some(word) = self.words.next() {
            match word.text.strip_prefix('-') {
                Some(flag) => {
                    let flag = flag.strip_prefix('-').unwrap_or(flag);
                    let (name, value) = match flag.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (flag, None),
                    };
                    self.flag(name, value, &word, warnings)?;
                }
                None => self.endpoint(&word)?,
            }
        }
        Ok(())
    }

    fn endpoint(&mut self, word: &Word) -> Result<(), JoinConfigError> {
        let advice = "write `kubeadm join HOST:PORT --token …`";
        if !self.draft.endpoints.is_empty() {
            let problem = ("only one endpoint is understood, and this is a second one", advice);
            return Err(refuse(self.text, word.span.clone(), "kubeadm join", problem));
        }
        let endpoint = word.text.parse();
        let endpoint = endpoint.map_err(|reason: super::EndpointError| {
            refuse(self.text, word.span.clone(), "kubeadm join", (reason, advice))
        })?;
        self.draft.endpoints.push(endpoint);
        Ok(())
    }

    fn flag(
        &mut self,
        name: &str,
        value: Option<String>,
        word: &Word,
        warnings: &mut Vec<String>,
    ) -> Result<(), JoinConfigError> {
        match name {
            "token" => return self.token("token", value, word),
            "discovery-token" => return self.token("discovery-token", value, word),
            "tls-bootstrap-token" => return self.token("tls-bootstrap-token", value, word),
            "discovery-token-ca-cert-hash" => return self.pins(value, word),
            "node-name" => return self.node_name(value, word),
            "discovery-token-unsafe-skip-ca-verification" => {
                self.skip_verification = is_on(value.as_deref());
                return Ok(());
            }
            _ => {}
        }
        if let Some((name, reason, advice)) = REFUSED.iter().find(|(refused, ..)| *refused == name) {
            // `--control-plane=false` is what a worker's line says by default.
            return match value.as_deref() {
                Some(value) if !is_on(Some(value)) => Ok(()),
                _ => Err(refuse(
                    self.text,
                    word.span.clone(),
                    &format!("--{name}"),
                    (reason, advice),
                )),
            };
        }
        let line = line_of(self.text, word.span.start);
        let known = PASSED_OVER.iter().find(|(known, _)| *known == name);
        warnings.push(match known {
            Some((name, _)) => format!("line {line}: `--{name}` has no meaning on this machine and is ignored"),
            None => format!("line {line}: unknown flag `--{}` is ignored", shown(name)),
        });
        let takes = known.map(|(_, takes)| *takes);
        if value.is_none() && self.next_is_value(takes) {
            self.words.next();
        }
        Ok(())
    }

    /// Whether the next word belongs to the flag before it. Behind a flag that is not known, it does unless it is an
    /// endpoint and there is none yet.
    fn next_is_value(&mut self, takes: Option<Takes>) -> bool {
        let Some(next) = self.words.peek() else { return false };
        match takes {
            Some(takes) => takes == Takes::Value,
            None if next.text.starts_with('-') => false,
            None => !self.draft.endpoints.is_empty() || !next.text.contains(':'),
        }
    }

    fn value(&mut self, flag: &str, value: Option<String>, word: &Word) -> Result<String, JoinConfigError> {
        let next = || self.words.next().map(|word| word.text);
        let value = value.or_else(next);
        value.ok_or_else(|| self.wrong(flag, word, "its value is missing; the line may have been cut off"))
    }

    /// The value of a flag that a new line would have right.
    fn wrong(&self, flag: &str, word: &Word, reason: impl ToString) -> JoinConfigError {
        refuse(
            self.text,
            word.span.clone(),
            &format!("--{flag}"),
            (reason, TOKEN_ADVICE),
        )
    }

    fn token(&mut self, flag: &'static str, value: Option<String>, word: &Word) -> Result<(), JoinConfigError> {
        let text = self.value(flag, value, word)?;
        let token = text
            .parse()
            .map_err(|reason: super::TokenError| self.wrong(flag, word, reason))?;
        if self.tokens.iter().any(|(_, other)| *other != token) {
            let reason = "it is another token than the one before; one token must do for discovery and joining";
            return Err(self.wrong(flag, word, reason));
        }
        self.tokens.push((flag, token));
        Ok(())
    }

    fn pins(&mut self, value: Option<String>, word: &Word) -> Result<(), JoinConfigError> {
        let flag = "discovery-token-ca-cert-hash";
        for pin in self.value(flag, value, word)?.split(',') {
            let pin = pin
                .parse()
                .map_err(|reason: super::PinError| self.wrong(flag, word, reason))?;
            if !self.pins.contains(&pin) {
                self.pins.push(pin);
            }
        }
        Ok(())
    }

    fn node_name(&mut self, value: Option<String>, word: &Word) -> Result<(), JoinConfigError> {
        let name = self.value("node-name", value, word)?;
        node_name::check_template(&name).map_err(|reason| {
            refuse(
                self.text,
                word.span.clone(),
                "--node-name",
                (reason, "choose another name"),
            )
        })?;
        self.draft.settings.name = name;
        Ok(())
    }

    fn draft(self) -> Result<Draft, JoinConfigError> {
        let trust = match (self.pins.is_empty(), self.skip_verification) {
            (false, _) => Some(Trust::Pins(self.pins)),
            (true, true) => Some(Trust::UnsafeTokenOnly),
            (true, false) => None,
        };
        let token = self.tokens.into_iter().next();
        Ok(Draft {
            trust,
            credential: token.map(|(_, token)| Credential::BootstrapToken(token)),
            ..self.draft
        })
    }
}

/// What a boolean flag with this value means (Go's `strconv.ParseBool`).
fn is_on(value: Option<&str>) -> bool {
    !matches!(value, Some("0" | "f" | "F" | "false" | "FALSE" | "False"))
}
