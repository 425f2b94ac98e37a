//! An HTTP/1.1 server on loopback that answers as it is told, faults included.

use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// What a client asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// How many requests came before it.
    pub number: usize,
    pub path: String,
    pub range_start: Option<u64>,
    pub cache_control: Option<String>,
    pub authorization: Option<String>,
}

/// What it gets.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: Length,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Told,
    Untold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    CutAfter(usize),
    StallAfter(usize),
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            length: Length::Told,
            end: End::Whole,
        }
    }

    pub fn ok(body: &[u8]) -> Self {
        Self {
            body: body.to_vec(),
            ..Self::status(200)
        }
    }

    /// The body from `start` on, with the header that says so.
    pub fn part(body: &[u8], start: u64) -> Self {
        let (len, from) = (body.len(), usize::try_from(start).unwrap());
        let reply = Self {
            body: body[from..].to_vec(),
            ..Self::status(206)
        };
        reply.header("Content-Range", &format!("bytes {start}-{}/{len}", len - 1))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The end of the connection ends the body.
    pub fn without_length(mut self) -> Self {
        self.length = Length::Untold;
        self
    }

    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.end = End::CutAfter(bytes);
        self
    }

    pub fn stall_after(mut self, bytes: usize) -> Self {
        self.end = End::StallAfter(bytes);
        self
    }

    fn send(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", self.status);
        if self.length == Length::Told {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        match self.end {
            End::Whole => stream.write_all(&self.body),
            End::CutAfter(bytes) => stream.write_all(&self.body[..bytes]),
            End::StallAfter(bytes) => {
                stream.write_all(&self.body[..bytes])?;
                // Until the client has had enough.
                stream.read(&mut [0]).map(drop)
            }
        }
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// Runs until dropped.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopping: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (log, stop, answer): (_, _, Arc<Answer>) = (requests.clone(), stopping.clone(), Arc::new(answer));
        let listener = thread::spawn(move || {
            for stream in socket.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (log, answer) = (log.clone(), answer.clone());
                // A client may hang up at any point.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &log, &answer)));
            }
        });
        Self {
            address,
            requests,
            stopping,
            listener: Some(listener),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener up.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &Arc<Answer>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut request = Request {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        ..Request::default()
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let start = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                request.range_start = start.and_then(|start| start.parse().ok());
            }
            "cache-control" => request.cache_control = Some(value.to_owned()),
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    {
        let mut log = log.lock().unwrap();
        request.number = log.len();
        log.push(request.clone());
    }
    answer(&request).send(stream)
}
