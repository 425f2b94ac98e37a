use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::client::Purpose;
use crate::join_config::Endpoint;

fn endpoint() -> Endpoint {
    Endpoint {
        host: "cp.example.com".to_owned(),
        port: 6443,
        path: String::new(),
    }
}

fn reply(status: u16, content_type: &str, body: &str) -> Reply {
    Reply {
        status,
        date: None,
        retry_after: Some(Duration::from_secs(7)),
        location: None,
        content_type: content_type.to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        shown: Some("the certificate of CN=portal, issued by CN=portal,".to_owned()),
    }
}

fn judged(reply: Reply) -> ApiError {
    let (endpoint, token) = (endpoint(), Secret::new("0123456789abcdef"));
    let asked = Asked {
        endpoint: &endpoint,
        server_name: None,
        purpose: Purpose::SigningRequest,
        secrets: vec![&token],
    };
    judge(reply, &asked).unwrap_err()
}

fn status(code: u16, message: &str) -> Reply {
    let body = serde_json::json!({"kind": "Status", "message": message}).to_string();
    reply(code, "application/json", &body)
}

#[test]
fn every_status_has_its_class() {
    let retry_after = Some(Duration::from_secs(7));
    for (code, kind) in [
        (401, ApiErrorKind::Unauthorized),
        (403, ApiErrorKind::Forbidden),
        (404, ApiErrorKind::NotFound),
        (429, ApiErrorKind::Throttled { retry_after }),
        (301, ApiErrorKind::NotKubernetes),
        (302, ApiErrorKind::NotKubernetes),
        (511, ApiErrorKind::NotKubernetes),
    ] {
        assert_eq!(judged(status(code, "")).kind, kind, "{code}");
    }
    for code in [400, 409, 422, 500, 502, 503, 504] {
        let kind = ApiErrorKind::Server {
            status: code,
            retry_after,
        };
        assert_eq!(judged(status(code, "")).kind, kind, "{code}");
    }
}

#[test]
fn a_page_for_people_is_not_kubernetes_and_its_certificate_is_named() {
    for page in [
        reply(200, "text/html; charset=utf-8", "Welcome"),
        reply(200, "", "  \n<!DOCTYPE html>"),
        reply(403, "text/html", "blocked"),
        reply(404, "text/html", "nothing here"),
    ] {
        let error = judged(page);
        assert_eq!(error.kind, ApiErrorKind::NotKubernetes);
        assert!(error.detail.contains("CN=portal"), "{}", error.detail);
        assert!(error.advice.contains("captive portal"), "{}", error.advice);
    }
}

#[test]
fn a_gateways_page_about_a_server_that_is_down_is_the_servers_trouble() {
    let kind = judged(reply(502, "text/html", "<html>Bad Gateway")).kind;
    assert!(matches!(kind, ApiErrorKind::Server { status: 502, .. }), "{kind:?}");
}

#[test]
fn a_redirect_tells_whereto() {
    let error = judged(Reply {
        location: Some("http://login.hotel.example/?mac=1".to_owned()),
        ..reply(302, "", "")
    });
    assert!(error.detail.contains("login.hotel.example"), "{}", error.detail);
}

#[test]
fn the_servers_words_are_repeated_without_secrets_and_control_characters() {
    let error = judged(status(403, "user abcdef.0123456789abcdef\u{1b}[31m\nmay\u{202e} not"));
    assert_eq!(error.detail, "status 403: user abcdef.(redacted) [31m may not");
    let long = judged(status(403, &"x".repeat(5000)));
    assert!(long.detail.chars().count() <= MAX_WORDS_CHARS);
}

#[test]
fn a_failure_is_told_without_others_control_characters() {
    let failure = Failure::Proxy("it answers `HTTP/1.1 503 \u{1b}[2Jgone\r\n`".to_owned());
    let told = failure.told();
    assert_eq!(told, "the proxy does not connect: it answers `HTTP/1.1 503 [2Jgone `");
}

#[test]
fn the_words_of_an_error_are_one_sentence() {
    let error = judged(status(401, "Unauthorized"));
    let expected = "https://cp.example.com:6443: the token is unknown or has expired: status 401: Unauthorized";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn only_kubernetes_own_word_says_that_something_is_not_there() {
    assert!(says(&status(404, "not found"), 404));
    assert!(!says(&status(409, "conflict"), 404));
    assert!(!says(&reply(404, "text/plain", "404 page not found"), 404));
}

#[test]
fn dates_are_told_as_people_write_them() {
    assert_eq!(date(1_780_272_000), "2026-06-01 00:00 UTC");
    assert_eq!(date(u64::MAX), "beyond all calendars");
}
