//! A control plane, and a machine that is to join it and run a page.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use skerry_builder::qemu::machine::Forward;
use skerry_firstboot::node::state::NodeState;

use crate::control_plane::start::free_port;
use crate::control_plane::{ControlPlane, Joiners};
use crate::image::Image;
use crate::join_file::{self, Token};
use crate::node::{Node, Start};
use crate::wait;
use crate::workload::{PAGE, PAGE_PORT};

/// How long a page may take that should be there.
const PATIENCE: Duration = Duration::from_secs(300);

/// Both, and the port of this machine that leads to the page.
#[derive(Debug)]
pub struct Scene {
    /// The control plane.
    pub cluster: ControlPlane,
    /// The machine, switched off at first.
    pub node: Node,
    page_port: u16,
}

impl Scene {
    /// A control plane and a machine with a copy of `image` for the test `name`.
    pub fn set(name: &str, image: &Image) -> Self {
        Self::with(name, image, ControlPlane::start(name, Joiners::Guests), Start::Direct)
    }

    /// The same with a control plane that runs already.
    pub fn with(name: &str, image: &Image, cluster: ControlPlane, start: Start) -> Self {
        let mut node = Node::new(name, image, start);
        let page = Forward {
            host: free_port(),
            guest: PAGE_PORT,
        };
        node.hardware().forwards.extend([cluster.kubelet_forward(), page]);
        Self {
            cluster,
            node,
            page_port: page.host,
        }
    }

    /// The same with a join file on the machine's first partition; a scan of the disk finds the token that comes with it.
    pub fn seeded(name: &str, image: &Image, start: Start) -> (Self, Token) {
        let scene = Self::with(name, image, ControlPlane::start(name, Joiners::Guests), start);
        let (file, token) = join_file::skerry(&scene.cluster);
        scene.node.seed(&file);
        assert!(scene.node.disk_holds(&token.secret), "the scan finds no token");
        (scene, token)
    }

    /// Switches the machine on and waits until it says that it is Ready and the API server says so, too; returns the
    /// node's name.
    pub fn join(&mut self) -> String {
        self.node.power_on();
        self.node
            .expect_unless(&NodeState::Ready.line(""), &NodeState::Failed.line(""));
        self.cluster.wait_for_any_node()
    }

    /// Applies a pod and waits until it runs and, if it has a page, answers.
    pub fn run(&self, pod: &Value) -> Value {
        self.cluster.apply(&pod.to_string());
        let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
        self.cluster.wait_for_pod(name)
    }

    /// Waits until the page is answered through the machine's port, and returns the answer (HTTP/1.0).
    pub fn expect_page(&self) -> String {
        wait::until("the page", PATIENCE, || {
            let answer = self.page().map_err(|error| error.to_string())?;
            if answer.contains(PAGE) { Ok(answer) } else { Err(answer) }
        })
    }

    /// What the machine's port answers now.
    pub fn page(&self) -> std::io::Result<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.page_port))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The port of this machine that leads to the page.
    pub fn page_port(&self) -> u16 {
        self.page_port
    }
}
