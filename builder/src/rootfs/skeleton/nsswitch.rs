//! nsswitch.conf(5) as libc-bin's and the libnss packages' scripts (dh_installnss) leave it.

use crate::tree::Tree;

/// A service is named where its library is in the tree.
pub(super) fn text(tree: &Tree) -> String {
    let has = |library: &str| {
        let mut folders = ["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib"].iter();
        folders.any(|folder| tree.file(&format!("{folder}/libnss_{library}.so.2")).is_some())
    };
    let mut accounts = String::from("files");
    let mut hosts = String::from("files");
    if has("systemd") {
        accounts.push_str(" systemd");
    }
    if has("myhostname") {
        hosts.push_str(" myhostname");
    }
    if has("mymachines") {
        hosts.push_str(" mymachines");
    }
    if has("resolve") {
        hosts.push_str(" resolve [!UNAVAIL=return]");
    }
    hosts.push_str(" dns");
    // Debian's default also asks `db` and `nis`, whose libraries the image does not have.
    format!(
        "passwd: {accounts}\ngroup: {accounts}\nshadow: {accounts}\ngshadow: {accounts}\n\nhosts: {hosts}\n\
         networks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n"
    )
}
