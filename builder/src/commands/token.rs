//! `skerry token`: makes a bootstrap token and the join file that goes with it.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use skerry_firstboot::join_config::{Endpoint, check_node_name};
use skerry_firstboot::kubeconfig::{self, Kubeconfig};
use skerry_firstboot::persist::persist;

use crate::cli::{TokenAction, TokenArgs, TokenCreateArgs};
use crate::failure::{Failure, FailureKind};
use crate::printer::Printer;
use crate::token::rbac::{self, Permission};
use crate::token::{self, Created, Patience, Rbac, Request, TokenError};

use super::{duration, file_failed, output_failed};

/// The join file holds a secret.
const MODE: u32 = 0o600;

/// Carries out `skerry token`.
pub fn token(arguments: &TokenArgs, printer: &Printer) -> Result<(), Failure> {
    match &arguments.action {
        TokenAction::Create(arguments) => create(arguments, printer),
    }
}

fn create(arguments: &TokenCreateArgs, printer: &Printer) -> Result<(), Failure> {
    if arguments.print_rbac {
        rbac::check_group(&arguments.group)?;
        let yaml = rbac::yaml(&Permission::ALL, &arguments.group);
        return printer.data(&yaml).map_err(output_failed);
    }
    let to_stdout = arguments.out == Path::new("-");
    if to_stdout && arguments.json {
        let message = "`--json` and `--out -` would both write to standard output";
        return Err(Failure::new(FailureKind::Usage, message));
    }
    if !to_stdout {
        check_out(arguments)?;
    }
    let kubeconfig = read_kubeconfig(arguments.kubeconfig.as_deref().unwrap_or(Path::new("")))?;
    let created = token::create(&kubeconfig, &request(arguments)?)?;
    if !to_stdout {
        persist(&arguments.out, created.join_file.expose().as_bytes(), MODE).map_err(|error| {
            let delete = format!("kubectl -n kube-system delete secret bootstrap-token-{}", created.id);
            let hint = format!("the token was made and is lost; `{delete}` takes it back");
            file_failed("write", &arguments.out, &error).hint(hint)
        })?;
    }
    tell(&created, arguments, printer);
    let data = match (to_stdout, arguments.json) {
        (true, _) => created.join_file.expose().to_owned(),
        (false, true) => format!("{}\n", report(&created, arguments)),
        (false, false) => format!("{}\n", arguments.out.display()),
    };
    printer.data(&data).map_err(output_failed)
}

/// Whether the join file can be written, before there is a token that would be of no use without it.
fn check_out(arguments: &TokenCreateArgs) -> Result<(), Failure> {
    let out = &arguments.out;
    if !arguments.force && out.exists() {
        let message = format!("{} exists already", out.display());
        let hint = "`--force` replaces it, `--out FILE` writes another one";
        return Err(Failure::new(FailureKind::Safety, message).hint(hint));
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let attempt = tempfile::tempfile_in(folder.unwrap_or(Path::new(".")));
    attempt.map(drop).map_err(|error| file_failed("write", out, &error))
}

fn request(arguments: &TokenCreateArgs) -> Result<Request, Failure> {
    let unusable = |flag: &str, text: &str, error: &dyn std::error::Error| {
        Failure::new(FailureKind::Usage, format!("`{flag} {text}` cannot be used: {error}"))
    };
    let endpoint = |text: &String| {
        text.parse::<Endpoint>()
            .map_err(|error| unusable("--endpoint", text, &error).hint("such as `--endpoint cp.example:6443`"))
    };
    let node_name = arguments.node_name.clone().unwrap_or_default();
    if !node_name.is_empty() {
        check_node_name(&node_name)
            .map_err(|error| unusable("--node-name", &node_name, &error).hint("such as `--node-name edge-{serial}`"))?;
    }
    Ok(Request {
        ttl: duration::parse("--ttl", &arguments.ttl)?,
        endpoints: arguments.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?,
        group: arguments.group.clone(),
        description: arguments.description.clone(),
        node_name,
        rbac: if arguments.apply_rbac { Rbac::Apply } else { Rbac::Check },
        patience: Patience::default(),
    })
}

fn read_kubeconfig(path: &Path) -> Result<Kubeconfig, Failure> {
    // One byte more than is allowed, so that too much is told as such.
    let limit = kubeconfig::MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| file_failed("read", path, &error))?;
    let read = kubeconfig::parse_admin(&bytes, path.parent().unwrap_or(Path::new("")));
    let path = path.to_owned();
    Ok(read.map_err(|source| TokenError::Kubeconfig { path, source })?)
}

fn endpoints(created: &Created) -> Vec<String> {
    created.config.endpoints.iter().map(ToString::to_string).collect()
}

/// What a person has to know; never the secret.
fn tell(created: &Created, arguments: &TokenCreateArgs, printer: &Printer) {
    printer.say(&format!(
        "made token {}, valid until {}, for {}",
        created.id,
        created.expires,
        endpoints(created).join(", ")
    ));
    if let Some(unusable) = created.embedded {
        printer.warn(&format!(
            "{unusable}; the join file carries the authorities' certificates instead of pins"
        ));
    }
    let is_own = |endpoint: &&Endpoint| {
        let address = endpoint.host.parse::<IpAddr>();
        endpoint.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    if let Some(endpoint) = created.config.endpoints.iter().find(is_own) {
        printer.warn(&format!(
            "{endpoint} is each machine itself; `--endpoint HOST:PORT` says where machines reach the control plane"
        ));
    }
    for permission in &created.granted {
        printer.say(&format!("granted: {}", permission.name()));
    }
    if !created.missing.is_empty() {
        created
            .missing
            .iter()
            .for_each(|permission| printer.warn(&permission.to_string()));
        printer.say("apply this, or run the command with `--apply-rbac`:");
        printer.say(rbac::yaml(&created.missing, &arguments.group).trim_end());
    }
}

fn report(created: &Created, arguments: &TokenCreateArgs) -> serde_json::Value {
    let names =
        |permissions: &[Permission]| -> Vec<&str> { permissions.iter().map(|permission| permission.name()).collect() };
    serde_json::json!({
        "version": 1,
        "token-id": created.id,
        "expires": created.expires.to_string(),
        "endpoints": endpoints(created),
        "trust": if created.embedded.is_some() { "ca" } else { "pins" },
        "file": arguments.out,
        "missing": names(&created.missing),
        "granted": names(&created.granted),
    })
}
