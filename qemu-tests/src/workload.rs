//! What the demo and the tests run on a node: a web page from Debian's static busybox, packed by the builder.

mod busybox;
pub mod dependants;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};

use skerry_builder::arch::Arch;
use skerry_builder::digest::Sha256;
use skerry_builder::oci::{PackFile, PackInput, pack as pack_image};

use crate::image::{Image, Project, edge_name, work_folder};

/// The image's name where it is preloaded.
pub const PRELOADED: &str = "skerry.local/page:1";
/// The registry that it is pulled from elsewhere; nodes find it by a mirror.
pub const REGISTRY: &str = "images.example";
/// What the page says.
pub const PAGE: &str = "Hello from a skerry.";
/// The node's port that leads to the page.
pub const PAGE_PORT: u16 = 8080;

/// What the pods of the demo and the tests call.
const APPLETS: [&str; 8] = ["cat", "httpd", "killall", "pidof", "sh", "sleep", "stat", "wget"];

/// The image that all tests with a preloaded workload share.
pub fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| build("workload", Arch::X86_64))
}

/// The image for `arch` with the page on it, built for the test `name`.
pub fn build(name: &str, arch: Arch) -> Image {
    build_on(name, arch, &edge_name(arch))
}

/// The image `base`, which is for `arch`, with the page on it, built for the test `name`.
pub fn build_on(name: &str, arch: Arch, base: &str) -> Image {
    let archive = pack_for(arch, &work_folder(name));
    let archive = std::fs::read(archive).expect("it was written a moment ago");
    let project = Project::copy(name);
    project.write("images/page.tar", &archive);
    project.write("images/page.toml", definition(base, &archive));
    project.build_by_lock("page", base)
}

fn definition(base: &str, archive: &[u8]) -> String {
    let sha256 = Sha256::of(archive);
    format!(
        "version = 1\nbase = \"{base}.toml\"\n\n\
         [preload.page]\nfile = \"page.tar\"\nsha256 = \"{sha256}\"\n"
    )
}

/// Packs the page as an OCI archive in `folder` and returns where it is.
pub fn pack(folder: &Path) -> PathBuf {
    pack_for(Arch::X86_64, folder)
}

fn pack_for(arch: Arch, folder: &Path) -> PathBuf {
    let mut input = PackInput::new(PRELOADED, arch);
    input.files = vec![
        PackFile::program("bin/busybox", busybox::program(arch)),
        PackFile::file("www/index.html", format!("{PAGE}\n").into_bytes()),
        PackFile::program(&format!("www{}", dependants::PATH), dependants::PAGE_SCRIPT.into()),
    ];
    let link = |applet: &str| PackFile::link(&format!("bin/{applet}"), "busybox");
    input.files.extend(APPLETS.map(link));
    let archive = pack_image(&input).expect("the paths are plain");
    let path = folder.join("page.tar");
    std::fs::write(&path, archive).expect("the work folder can be written");
    path
}

/// A pod that serves the page on the node's port, for ever: it tolerates that nobody hears of its node.
pub fn page_pod(image: &str) -> Value {
    let script = format!("echo the page is served; exec httpd -f -v -p {PAGE_PORT} -h /www");
    let mut pod = shell_pod("page", image, &script);
    pod["spec"]["containers"][0]["ports"] = json!([{ "containerPort": PAGE_PORT, "hostPort": PAGE_PORT }]);
    pod["spec"]["containers"][0]["readinessProbe"] = json!({ "tcpSocket": { "port": PAGE_PORT }, "periodSeconds": 2 });
    pod
}

/// A pod that runs `script`.
pub fn shell_pod(name: &str, image: &str, script: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": {
            "dnsPolicy": "Default",
            "tolerations": [{ "operator": "Exists" }],
            "terminationGracePeriodSeconds": 1,
            "containers": [{ "name": name, "image": image, "command": ["/bin/sh", "-c", script] }],
        },
    })
}

/// The same with the rights of the machine's root, to do to the machine what an accident would.
pub fn powerful_pod(name: &str, image: &str, script: &str) -> Value {
    let mut pod = shell_pod(name, image, script);
    pod["spec"]["hostPID"] = true.into();
    pod["spec"]["containers"][0]["securityContext"] = json!({ "privileged": true });
    pod
}
