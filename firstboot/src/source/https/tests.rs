use super::*;

const PIN_TEXT: &str = "sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3";

fn device() -> Device {
    Device {
        serial: Some("PF 12".into()),
        ..Device::default()
    }
}

fn request(words: &str) -> Result<Option<Request>, HttpsError> {
    Request::from_cmdline(words, &device())
}

#[test]
fn a_command_line_with_url_and_pins_makes_a_request() {
    let words = format!(
        "quiet skerry.join-url=https://boot.example:8443/j/{{serial}}?v=1 skerry.join-pin={PIN_TEXT},{PIN_TEXT}"
    );
    let request = request(&words).unwrap().unwrap();
    assert_eq!(request.url, "https://boot.example:8443/j/PF-12?v=1");
    assert_eq!(request.pins.len(), 2);
}

#[test]
fn a_command_line_without_these_words_asks_for_nothing() {
    assert_eq!(request("quiet roothash=00"), Ok(None));
}

#[test]
fn a_request_that_would_be_unsafe_or_impossible_is_refused() {
    let with_pin = |url: &str| request(&format!("skerry.join-url={url} skerry.join-pin={PIN_TEXT}"));
    for (url, expected) in [
        ("http://boot.example/", HttpsError::NotHttps),
        ("boot.example", HttpsError::NotHttps),
        ("https://me:pw@boot.example/", HttpsError::Url(EndpointError::UserInfo)),
        ("https:///x", HttpsError::Url(EndpointError::Host)),
        ("https://a/\u{e4}", HttpsError::Characters),
        ("https://a/x#y", HttpsError::Characters),
        ("https://a/{uuid}", HttpsError::Placeholder),
        ("https://a/{mac}", HttpsError::Placeholder),
        ("https://a/?Token=x", HttpsError::SecretInUrl),
        ("https://a/abcdef.0123456789abcdef", HttpsError::SecretInUrl),
        ("https://a/?id=abcdef.0123456789abcdef", HttpsError::SecretInUrl),
    ] {
        assert_eq!(with_pin(url), Err(expected), "{url}");
    }
    assert_eq!(request("skerry.join-url=https://a/"), Err(HttpsError::NoPin));
    assert_eq!(request(&format!("skerry.join-pin={PIN_TEXT}")), Err(HttpsError::NoUrl));
    assert_eq!(
        request("skerry.join-url=https://a/ skerry.join-pin=sha256:12"),
        Err(HttpsError::Pin(PinError))
    );
}

#[test]
fn a_token_on_the_command_line_is_told_and_neither_used_nor_repeated() {
    for word in ["skerry.token", "skerry.join-token"] {
        let words = format!("quiet {word}=abcdef.0123456789abcdef");
        let error = exposed_secret(&words).unwrap();
        assert_eq!(error, HttpsError::SecretWord(word));
        assert!(!format!("{error} {error:?} {}", error.advice()).contains("0123456789abcdef"));
        assert_eq!(request(&words), Ok(None));
    }
    assert_eq!(exposed_secret("skerry.join-url=https://a skerry.joiner=1"), None);
}
