//! A real registry on loopback (Debian's `docker-registry`), and what was asked of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::Value;

use crate::control_plane::HOST_FOR_GUESTS;
use crate::control_plane::start::{Process, free_port};
use crate::image::work_folder;
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running registry; ends when dropped.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    port: u16,
}

impl Registry {
    /// Starts an empty one for the test `name`; panics with what went wrong.
    pub fn start(name: &str) -> Self {
        let folder = work_folder(name).join("registry");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the work folder can be written");
        let port = free_port();
        let config = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            folder.join("storage").display()
        );
        std::fs::write(&config, text).expect("the work folder can be written");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config);
        let mut process = Process::start("registry", command, &folder);
        wait::until("the registry", PATIENCE, || {
            process.check();
            std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())
        });
        Self { process, port }
    }

    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL as guests call it.
    pub fn url_for_guests(&self) -> String {
        format!("http://{HOST_FOR_GUESTS}:{}", self.port)
    }

    /// Puts the image in an archive (OCI image layout 1.0 in a tar file) there as `name:tag`.
    pub fn push(&self, archive: &Path, name: &str, tag: &str) {
        let mut files = read_layout(archive);
        let index: Value = serde_json::from_slice(&files["index.json"]).expect("the index is JSON");
        let descriptor = &index["manifests"][0];
        let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
        let manifest = files.remove(&blob_path(digest)).expect("the index names a blob");
        let media_type = descriptor["mediaType"].as_str().expect("a descriptor has a type");
        let upload = async {
            let client = client();
            for (path, blob) in &files {
                if let Some(hex) = path.strip_prefix("blobs/sha256/") {
                    self.push_blob(&client, name, &format!("sha256:{hex}"), blob.clone())
                        .await;
                }
            }
            let url = format!("http://127.0.0.1:{}/v2/{name}/manifests/{tag}", self.port);
            let request = client.put(url).header("content-type", media_type).body(manifest);
            accepted(request.send().await);
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(upload);
    }

    async fn push_blob(&self, client: &Client, name: &str, digest: &str, blob: Vec<u8>) {
        let url = format!("http://127.0.0.1:{}/v2/{name}/blobs/uploads/", self.port);
        let begun = accepted(client.post(url).send().await);
        let location = begun.headers()["location"].to_str().expect("a location is text");
        let joint = if location.contains('?') { '&' } else { '?' };
        accepted(
            client
                .put(format!("{location}{joint}digest={digest}"))
                .header("content-type", "application/octet-stream")
                .body(blob)
                .send()
                .await,
        );
    }

    /// The requests for manifests and blobs that were answered, one a line.
    pub fn pulls(&self) -> Vec<String> {
        let log = self.process.log();
        let is_pull =
            |line: &&str| line.contains("\"GET /v2/") && (line.contains("/manifests/") || line.contains("/blobs/"));
        log.lines().filter(is_pull).map(str::to_owned).collect()
    }
}

fn client() -> Client {
    // An error says that another test of this process was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .build()
        .expect("a client without settings can be made")
}

fn accepted(outcome: reqwest::Result<Response>) -> Response {
    let response = outcome.and_then(Response::error_for_status);
    response.unwrap_or_else(|error| panic!("the registry does not take the image: {error}"))
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn read_layout(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(File::open(archive).expect("the archive is there"));
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("the archive can be read") {
        let mut entry = entry.expect("the archive is well formed");
        let path = entry
            .path()
            .expect("paths are text")
            .to_string_lossy()
            .trim_start_matches("./")
            .to_owned();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("the archive is whole");
        files.insert(path, content);
    }
    files
}
