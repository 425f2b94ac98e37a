//! What of a message concerns one connection only (RFC 9110 §7.6.1, RFC 9113 §8.2.2), and where a request goes.

use hyper::Uri;
use hyper::header::{CONNECTION, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use hyper::header::{TE, TRANSFER_ENCODING, UPGRADE};

use crate::client::proxy::authority;
use crate::join_config::Endpoint;

const OF_ONE_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes what is not passed on.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    for name in named.iter().chain(&OF_ONE_CONNECTION) {
        headers.remove(name);
    }
}

/// What `uri` is at `endpoint`; none if that is no URI.
pub(super) fn at_endpoint(uri: &Uri, endpoint: &Endpoint) -> Option<Uri> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Uri::builder()
        .scheme("https")
        .authority(authority(endpoint))
        .path_and_query(format!("{}{path}", endpoint.path))
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn what_concerns_one_connection_is_removed_and_the_rest_stays() {
        let pairs = [
            ("connection", "close, X-Gone"),
            ("connection", "keep-alive,bad name,"),
            ("keep-alive", "timeout=5"),
            ("x-gone", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "SPDY/3.1"),
            ("accept", "application/vnd.kubernetes.protobuf"),
            ("warning", "299 - \"old\""),
            ("warning", "299 - \"older\""),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let mut left: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "warning", "warning"]);
    }

    #[test]
    fn a_path_goes_below_the_endpoints_own() {
        let mut endpoint = Endpoint {
            host: "2001:db8::1".to_owned(),
            port: 6443,
            path: String::new(),
        };
        let uri = "https://127.0.0.1:6444/api/v1/nodes?watch=true&x=%2F".parse().unwrap();
        let at = |endpoint: &Endpoint| at_endpoint(&uri, endpoint).unwrap().to_string();
        assert_eq!(
            at(&endpoint),
            "https://[2001:db8::1]:6443/api/v1/nodes?watch=true&x=%2F"
        );
        endpoint.path = "/k8s/clusters/c-x".to_owned();
        assert_eq!(
            at(&endpoint),
            "https://[2001:db8::1]:6443/k8s/clusters/c-x/api/v1/nodes?watch=true&x=%2F"
        );
        assert_eq!(
            at_endpoint(&Uri::from_static("/version"), &endpoint).unwrap().path(),
            "/k8s/clusters/c-x/version"
        );
    }
}
