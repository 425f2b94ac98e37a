//! Join files from web servers that are recognised by pins.

use super::failure::{judge, refused};
use super::{Asked, Client, Purpose};
use crate::control_plane::{ApiError, ApiErrorKind};
use crate::join_config::{CaPin, Endpoint, MAX_BYTES};
use crate::tls::Check;

pub(super) async fn get(client: &Client, url: &str, pins: &[CaPin]) -> Result<Option<Vec<u8>>, ApiError> {
    let (server, path) = split(url).ok_or_else(|| not_a_url(url))?;
    let asked = Asked {
        endpoint: &server,
        server_name: None,
        purpose: Purpose::JoinFile,
        secrets: Vec::new(),
    };
    let (reply, _) = client.get_once(Check::Pins(pins.to_vec()), path, &asked).await?;
    if reply.status == 404 {
        return Ok(None);
    }
    let body = judge(reply, &asked)?.body;
    match body.len() > MAX_BYTES {
        true => Err(refused(
            ApiErrorKind::BadAnswer,
            "the answer is longer than a join file",
            &asked,
        )),
        false => Ok(Some(body.into())),
    }
}

/// The server, and the path with its query. A fragment is not for servers.
fn split(url: &str) -> Option<(Endpoint, &str)> {
    let url = url.split('#').next()?;
    let rest = url.strip_prefix("https://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let server = format!("https://{authority}").parse().ok()?;
    let in_path = |byte: u8| byte.is_ascii_graphic();
    let is_whole = path.is_empty() || path.starts_with('/');
    (is_whole && path.bytes().all(in_path)).then_some((server, path))
}

fn not_a_url(url: &str) -> ApiError {
    ApiError {
        kind: ApiErrorKind::BadAnswer,
        endpoint: super::failure::clean(url, &[]),
        detail: "this is no URL of a join file".to_owned(),
        advice: "write `https://HOST/PATH`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_and_a_path_with_its_query() {
        let (server, path) = split("https://boot.example.com/join?serial=42#top").unwrap();
        assert_eq!(
            (server.to_string().as_str(), path),
            ("https://boot.example.com:443", "/join?serial=42")
        );
        let (server, path) = split("https://[2001:db8::1]:8443").unwrap();
        assert_eq!((server.to_string().as_str(), path), ("https://[2001:db8::1]:8443", ""));
    }

    #[test]
    fn what_is_no_url_of_a_file_is_refused() {
        for url in [
            "http://a/b",
            "https://",
            "https://a b/c",
            "https://a/b c",
            "https://u:p@a/b",
            "https://a?b",
            "ftp://a",
        ] {
            assert_eq!(split(url), None, "{url}");
        }
    }
}
