//! Images from a server, over TLS on loopback.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::arguments;
use super::faulty_server::{Reply, Request, Server};
use super::images::{MIB, Made};
use super::loop_device::{LoopDevice, can_attach};
use super::program::{Run, Running, command};

/// Speaks TLS for a server that does not; goes on until the test ends.
struct TlsFront {
    port: u16,
    authority: std::path::PathBuf,
}

impl TlsFront {
    fn of(server: &Server, made: &Made) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let authority = made.path().join("authority.pem");
        fs::write(&authority, certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = server.url().strip_prefix("http://").unwrap().to_owned();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, behind) = (Arc::clone(&config), behind.clone());
                // A client may hang up at any point.
                thread::spawn(move || serve(stream?, config, &behind));
            }
        });
        Self { port, authority }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    fn flash(&self, path: &str, device: &LoopDevice) -> Run {
        let confirmation = [device.confirmation()];
        let url = self.url(path);
        let mut command = command(&arguments(&url, &[device], &confirmation));
        command.env("SSL_CERT_FILE", &self.authority).env_remove("SSL_CERT_DIR");
        for proxy in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        Running::of(command).finish()
    }
}

/// One request and its answer.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, behind: &str) -> io::Result<()> {
    let mut client = StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, stream);
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let mut server = TcpStream::connect(behind)?;
    server.write_all(&request)?;
    io::copy(&mut server, &mut client)?;
    client.conn.send_close_notify();
    client.flush()
}

fn server(made: &Made, image: impl Fn(&Request, &[u8]) -> Reply + Send + Sync + 'static) -> Server {
    let (manifest, zst) = (made.manifest.to_json(), fs::read(made.zst()).unwrap());
    let raw = fs::read(made.raw()).unwrap();
    Server::start(move |request| match request.path.as_str() {
        "/edge/manifest.json" => Reply::ok(manifest.as_bytes()),
        "/edge/edge.raw.zst" => image(request, &zst),
        "/edge/edge.raw" => image(request, &raw),
        "/moved/manifest.json" => Reply::status(302).header("Location", "/edge/manifest.json"),
        "/moved/edge.raw.zst" => Reply::status(302).header("Location", "/edge/edge.raw.zst"),
        "/plain/manifest.json" => Reply::status(302).header("Location", "http://localhost:1/manifest.json"),
        _ => Reply::status(404),
    })
}

fn rest(request: &Request, image: &[u8]) -> Reply {
    match request.range_start {
        Some(start) => Reply::part(image, start),
        None => Reply::ok(image),
    }
}

#[test]
fn an_image_is_written_while_it_arrives() {
    if !can_attach() {
        return;
    }
    let made = Made::small();
    let server = server(&made, rest);
    let front = TlsFront::of(&server, &made);
    for path in ["/edge/edge.raw.zst", "/edge/edge.raw", "/moved/edge.raw.zst"] {
        let device = LoopDevice::filled(96 * MIB, 7);
        let run = front.flash(path, &device);
        assert_eq!(run.code, Some(0), "{path}: {}", run.err);
        made.assert_on(&device);
    }
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let server = server(&made, |request, image| match request.range_start {
        None => Reply::ok(image).cut_after(image.len() / 3),
        Some(start) => Reply::part(image, start),
    });
    let run = TlsFront::of(&server, &made).flash("/edge/edge.raw.zst", &device);
    assert_eq!(run.code, Some(0), "{}", run.err);
    made.assert_on(&device);
    let requests = server.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests[2].range_start.is_some(), "{requests:?}");
}

#[test]
fn a_server_without_ranges_is_asked_for_everything_again() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let server = server(&made, |request, image| match request.number {
        // The manifest is asked for first.
        1 => Reply::ok(image).cut_after(image.len() / 3),
        _ => Reply::ok(image),
    });
    let run = TlsFront::of(&server, &made).flash("/edge/edge.raw.zst", &device);
    assert_eq!(run.code, Some(0), "{}", run.err);
    made.assert_on(&device);
}

#[test]
fn a_missing_image_and_a_way_through_plain_http_touch_no_disk() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let server = server(&made, |_, _| Reply::status(404));
    let front = TlsFront::of(&server, &made);
    for (path, code, text) in [
        ("/edge/edge.raw.zst", 1, "cannot fetch"),
        ("/elsewhere/edge.raw.zst", 1, "has no manifest.json beside it"),
        ("/plain/edge.raw.zst", 3, "cannot fetch"),
    ] {
        let run = front.flash(path, &device);
        assert_eq!(run.code, Some(code), "{path}: {}", run.err);
        assert!(run.err.contains(text), "{path}: {}", run.err);
    }
    let run = super::flash("http://images.example/edge.raw.zst", &[&device]);
    assert_eq!(run.code, Some(5), "{}", run.err);
    assert!(run.err.contains("cannot be trusted"), "{}", run.err);
    assert!(device.content().iter().all(|byte| *byte == 7));
}

#[test]
fn a_server_that_tells_no_length_is_believed_only_as_far_as_the_image_goes() {
    if !can_attach() {
        return;
    }
    let (made, device) = (Made::small(), LoopDevice::filled(96 * MIB, 7));
    let server = server(&made, |request, image| match request.number {
        1 => Reply::ok(image).without_length().cut_after(image.len() / 3),
        _ => Reply::ok(image).without_length(),
    });
    let front = TlsFront::of(&server, &made);
    // The end of the connection is the end of the file.
    let run = front.flash("/edge/edge.raw.zst", &device);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.err.contains("the image cannot be read at byte"), "{}", run.err);
    assert!(device.is_invalid());
    let run = front.flash("/edge/edge.raw.zst", &device);
    assert_eq!(run.code, Some(0), "{}", run.err);
    made.assert_on(&device);
}
