//! The format of its own: TOML with `version = 1`.

use toml::Spanned;
use toml::de::DeTable;

use super::draft::Draft;
use super::error::{JoinConfigError, Problem};
use super::mask::{Around, Spot, shown};
use super::section::{Section, Source, Strictness, Value};
use super::{
    AfterJoin, Credential, Discovery, Trust, VERSION, authorities, credential, form, kkp, network, settings_form,
};

const ENDPOINT_ADVICE: &str = "write `https://HOST:PORT`, or `HOST:PORT`";
const TOKEN_ADVICE: &str =
    "copy the token again, or make a new one with `skerry token create` or `kubeadm token create`";
const PIN_ADVICE: &str = "copy it from `kubeadm token create --print-join-command`";
const CA_ADVICE: &str = "copy the control plane's `pki/ca.crt` between three double quotes";

/// Keys at the top, for telling a file without white space around `=` from a shell script.
const KEYS: [&str; 8] = [
    "version",
    "endpoints",
    "token",
    "ca-pins",
    "ca",
    "join",
    "discovery",
    "after-join",
];

/// Whether `text` is a key at the top of such a file.
pub(super) fn is_key(text: &str) -> bool {
    KEYS.contains(&text)
}

/// Reads `text`; sentences about unknown keys go to `warnings`.
pub(super) fn read(text: &str, strictness: Strictness, warnings: &mut Vec<String>) -> Result<Draft, JoinConfigError> {
    let document = DeTable::parse(text).map_err(|error| syntax_error(text, &error))?;
    let source = Source::new(text, strictness);
    let mut top = Section::top(&source, Spanned::get_ref(&document));
    check_version(&mut top)?;
    let mut draft = read_where(&mut top, warnings)?;
    read_trust(&mut top, &mut draft)?;
    read_discovery(&mut top, &mut draft)?;
    if let Some(value) = top.get("tls-server-name") {
        draft.tls_server_name = Some(value.read(network::host, "give the DNS name in the server's certificate")?);
    }
    if let Some(value) = top.get("after-join") {
        let choices = [("erase", AfterJoin::Erase), ("keep", AfterJoin::Keep)];
        draft.after_join = settings_form::choice(&value, &choices)?;
    }
    settings_form::read(&mut top, &mut draft.settings, warnings)?;
    top.finish(warnings)?;
    Ok(draft)
}

fn syntax_error(text: &str, error: &toml::de::Error) -> JoinConfigError {
    let at = error.span().map_or(0, |span| span.start);
    let message = shown(error.message().trim());
    JoinConfigError::Text {
        // What is not understood may be a secret: nothing of the marked place is shown.
        spot: Spot::of(text, at..at, Around::Key),
        problem: Problem::Syntax(message.replace('\n', ", ")),
    }
}

fn check_version(top: &mut Section<'_, '_>) -> Result<(), JoinConfigError> {
    let version = top.get("version").ok_or(JoinConfigError::NoVersion)?;
    match version.integer()? {
        number if number == i64::from(VERSION) => Ok(()),
        number if number > i64::from(VERSION) => Err(version.newer_version(number)),
        _ => Err(version.refuse("there is no such version", "write `version = 1`")),
    }
}

/// Endpoints and credential: from `join`, `[kkp]`, or keys of their own.
fn read_where(top: &mut Section<'_, '_>, warnings: &mut Vec<String>) -> Result<Draft, JoinConfigError> {
    let (join, table, endpoints, token) = (top.get("join"), top.get("kkp"), top.get("endpoints"), top.get("token"));
    if let Some(table) = table {
        if let Some(other) = [&join, &endpoints, &token].into_iter().flatten().next() {
            return Err(other.excluded_by("kkp"));
        }
        return kkp::from_table(table.section()?, warnings);
    }
    let mut draft = match &join {
        Some(join) => nested(join, warnings)?,
        None => Draft::new("the file"),
    };
    if let Some(value) = endpoints {
        if join.is_some() {
            return Err(value.excluded_by("join"));
        }
        draft.endpoints = value.read_all(str::parse, ENDPOINT_ADVICE)?;
        if draft.endpoints.is_empty() {
            return Err(value.refuse("the list is empty", ENDPOINT_ADVICE));
        }
    }
    if let Some(value) = token {
        if draft.credential.is_some() {
            return Err(value.excluded_by("join"));
        }
        let token = value
            .text()?
            .parse()
            .map_err(|reason: credential::TokenError| value.refuse_secret(reason, TOKEN_ADVICE))?;
        draft.credential = Some(Credential::BootstrapToken(token));
    }
    Ok(draft)
}

/// Another form as the text of the key `join`.
fn nested(join: &Value<'_, '_>, warnings: &mut Vec<String>) -> Result<Draft, JoinConfigError> {
    let line = join.line();
    let mut inner = Vec::new();
    let text = join.text()?;
    let draft = form::read_foreign(text, &mut inner).map_err(|source| JoinConfigError::Join {
        line,
        source: Box::new(source),
    })?;
    warnings.extend(inner.into_iter().map(|warning| format!("in `join`: {warning}")));
    Ok(draft)
}

fn read_trust(top: &mut Section<'_, '_>, draft: &mut Draft) -> Result<(), JoinConfigError> {
    let (pins, ca) = (top.get("ca-pins"), top.get("ca"));
    let unsafe_key = top.get("unsafe-skip-ca-verification");
    let skip = match &unsafe_key {
        Some(value) if value.boolean()? => unsafe_key.clone(),
        _ => None,
    };
    let given: Vec<&Value<'_, '_>> = [&pins, &ca, &skip].into_iter().flatten().collect();
    match given.as_slice() {
        [] => return Ok(()),
        [only] if draft.trust.is_some() => return Err(only.excluded_by("join")),
        [_] => {}
        [first, second, ..] => return Err(second.excluded_by(&first.key)),
    }
    draft.trust = Some(match (pins, ca) {
        (Some(pins), _) => {
            let list = pins.read_all(str::parse, PIN_ADVICE)?;
            if list.is_empty() {
                return Err(pins.refuse("the list is empty", PIN_ADVICE));
            }
            Trust::Pins(list)
        }
        (None, Some(ca)) => {
            let pem = authorities::canonical(ca.text()?).map_err(|reason| ca.refuse_secret(reason, CA_ADVICE))?;
            Trust::Authorities(pem)
        }
        (None, None) => Trust::UnsafeTokenOnly,
    });
    Ok(())
}

fn read_discovery(top: &mut Section<'_, '_>, draft: &mut Draft) -> Result<(), JoinConfigError> {
    let Some(value) = top.get("discovery") else {
        return Ok(());
    };
    if matches!(draft.discovery, Some(Discovery::KkpSecret { .. })) {
        return Err(value.excluded_by("kkp"));
    }
    let choices = [("cluster-info", Discovery::ClusterInfo), ("given", Discovery::Given)];
    draft.discovery = Some(settings_form::choice(&value, &choices)?);
    Ok(())
}
