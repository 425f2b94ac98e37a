//! Answers: as the API server gives them, and as they arrive from bad networks and other people's servers.

use serde_json::{Value, json};

/// A page as hotels and trains show it.
const PORTAL_PAGE: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please log in.</body></html>";

/// What goes wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokenAnswer {
    /// A `Status` object with this code.
    Status {
        /// The code.
        code: u16,
        /// The value of `Retry-After`.
        retry_after: Option<String>,
    },
    /// 200 with a web page.
    WebPage,
    /// 302 to this URL.
    Redirect(String),
    /// 200 with these bytes in place of the object.
    Body(Vec<u8>),
    /// The connection ends in the middle of the body.
    Cut,
    /// The body stops in its middle, and the connection stays.
    Stall,
    /// Nothing comes, not even a status.
    Silence,
    /// A byte every tenth of a second.
    Slow,
    /// A body without an end.
    Endless,
    /// Another `Date`.
    Date(DateHeader),
}

/// What the header `Date` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DateHeader {
    /// There is none.
    Absent,
    /// Seconds since 1970.
    At(u64),
    /// This text.
    Text(String),
}

impl BrokenAnswer {
    /// A `Status` object with `code`.
    pub fn status(code: u16) -> Self {
        Self::Status {
            code,
            retry_after: None,
        }
    }

    /// 429 with `Retry-After`.
    pub fn too_many(retry_after: &str) -> Self {
        Self::Status {
            code: 429,
            retry_after: Some(retry_after.to_owned()),
        }
    }
}

/// How a body gets to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// At once.
    Whole,
    /// Half of it; then the connection ends.
    Cut,
    /// Half of it; then nothing.
    Stall,
    /// A byte every tenth of a second.
    Slow,
    /// Over and over.
    Endless,
}

/// An answer on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; 0: none is ever sent.
    pub status: u16,
    /// Headers besides length and date.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it is sent.
    pub delivery: Delivery,
    /// What `Date` says, if not the mock's time.
    pub date: Option<DateHeader>,
}

impl Answer {
    /// An object.
    pub fn json(status: u16, object: &Value) -> Self {
        Self::new(status, "application/json", object.to_string().into_bytes())
    }

    /// Some text, as `/healthz` says `ok`.
    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
    }

    /// A `Status` object (`apimachinery/pkg/apis/meta/v1`).
    pub fn failure(code: u16, reason: &str, message: &str) -> Self {
        let object = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        });
        Self::json(code, &object)
    }

    /// The refusal of a user who may not do this.
    pub fn forbidden(user: &str, verb: &str, resource: &str) -> Self {
        let message = format!(r#"{resource} is forbidden: User "{user}" cannot {verb} resource at the cluster scope"#);
        Self::failure(403, "Forbidden", &message)
    }

    /// The refusal of a credential that nobody knows.
    pub fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized")
    }

    /// The same answer with one more header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type", content_type.to_owned()),
                ("cache-control", "no-cache, private".to_owned()),
            ],
            body,
            delivery: Delivery::Whole,
            date: None,
        }
    }

    /// What arrives of this answer under `fault`.
    pub fn broken(mut self, fault: &BrokenAnswer) -> Self {
        self.delivery = match fault {
            BrokenAnswer::Status { code, retry_after } => {
                let failed = Self::failure(*code, reason(*code), "the mock was told to fail");
                return retry_after
                    .iter()
                    .fold(failed, |failed, value| failed.header("retry-after", value));
            }
            BrokenAnswer::WebPage => return Self::new(200, "text/html", PORTAL_PAGE.as_bytes().to_vec()),
            BrokenAnswer::Redirect(url) => {
                return Self::new(302, "text/html", PORTAL_PAGE.as_bytes().to_vec()).header("location", url);
            }
            BrokenAnswer::Body(body) => {
                self.body.clone_from(body);
                Delivery::Whole
            }
            BrokenAnswer::Silence => {
                self.status = 0;
                Delivery::Whole
            }
            BrokenAnswer::Date(date) => {
                self.date = Some(date.clone());
                self.delivery
            }
            BrokenAnswer::Cut => Delivery::Cut,
            BrokenAnswer::Stall => Delivery::Stall,
            BrokenAnswer::Slow => Delivery::Slow,
            BrokenAnswer::Endless => Delivery::Endless,
        };
        self
    }
}

/// The reasons of `metav1.StatusReason`.
fn reason(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "AlreadyExists",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}
