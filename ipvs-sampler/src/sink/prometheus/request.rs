//! The head of a request in, what to answer out. Nothing of a request ever goes into an answer.

mod target;

use target::{RequestTarget, is_right_host};

use crate::sink::PageFormat;

/// Headers that a request may have.
const MOST_HEADERS: usize = 64;

/// A head, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// What to answer.
    pub(super) answer: Answer,
    /// Whether only the head of the answer is wanted.
    pub(super) head_only: bool,
    /// Whether another request may follow.
    pub(super) keep_alive: bool,
    /// How long the head was.
    pub(super) length: usize,
}

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The metrics.
    Page(PageFormat),
    /// Whether ticks come.
    Health,
    /// Which methods there are.
    Methods,
    /// There is nothing here.
    Refusal(Refusal),
}

/// Why a request has no page for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    NotFound,
    NotAllowed,
    TooSlow,
    WithBody,
    Misdirected,
    TooLarge,
    NotImplemented,
    TooMany,
    NoPage,
}

/// The methods that there are.
pub(super) const ALLOW: &str = "Allow: GET, HEAD, OPTIONS\r\n";

impl Refusal {
    /// Status line, further headers, and a word for people.
    pub(super) fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Malformed => ("400 Bad Request", "", "not an HTTP request"),
            Self::NotFound => ("404 Not Found", "", "metrics are at /metrics"),
            Self::NotAllowed => ("405 Method Not Allowed", ALLOW, "only GET and HEAD"),
            Self::TooSlow => ("408 Request Timeout", "", "the request took too long"),
            Self::WithBody => (
                "413 Content Too Large",
                "",
                "requests with a body are not accepted",
            ),
            Self::Misdirected => ("421 Misdirected Request", "", "only http is served here"),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                "",
                "the request head is too long",
            ),
            Self::NotImplemented => ("501 Not Implemented", "", "only GET and HEAD"),
            Self::TooMany => (
                "503 Service Unavailable",
                "Retry-After: 1\r\n",
                "too many connections",
            ),
            Self::NoPage => (
                "503 Service Unavailable",
                "Retry-After: 1\r\n",
                "nothing has been sampled yet",
            ),
        }
    }

    /// Whether the connection is good for another request.
    fn is_mild(self) -> bool {
        matches!(self, Self::NotFound | Self::NoPage)
    }
}

/// Reads a head. `None` when it is not whole yet.
pub(super) fn parse(text: &[u8]) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let refusal = |refusal| Request {
        answer: Answer::Refusal(refusal),
        head_only: false,
        keep_alive: false,
        length: text.len(),
    };
    let length = match request.parse(text) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return None,
        Err(httparse::Error::TooManyHeaders) => return Some(refusal(Refusal::TooLarge)),
        Err(_) => return Some(refusal(Refusal::Malformed)),
    };
    let values = |name: &'static str| {
        let headers = request.headers.iter();
        headers
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    };
    let has_body = values("transfer-encoding").next().is_some()
        || values("content-length").any(|value| value != b"0");
    let is_1_1 = request.version == Some(1);
    let target = RequestTarget::parse(request.path.unwrap_or_default());
    let answer = match (request.method.unwrap_or_default(), target) {
        _ if !is_right_host(values("host"), is_1_1) => Answer::Refusal(Refusal::Malformed),
        ("GET" | "HEAD" | "OPTIONS", _) if has_body => Answer::Refusal(Refusal::WithBody),
        (_, None) => Answer::Refusal(Refusal::Malformed),
        ("OPTIONS", Some(RequestTarget::Server)) => Answer::Methods,
        (method @ ("GET" | "HEAD" | "OPTIONS"), Some(target)) => match target {
            RequestTarget::Path(path) => match (path.as_str(), method) {
                ("/metrics" | "/healthz", "OPTIONS") => Answer::Methods,
                ("/metrics", _) => Answer::Page(format(
                    values("accept").filter_map(|value| str::from_utf8(value).ok()),
                )),
                ("/healthz", _) => Answer::Health,
                _ => Answer::Refusal(Refusal::NotFound),
            },
            RequestTarget::Elsewhere => Answer::Refusal(Refusal::Misdirected),
            RequestTarget::Server | RequestTarget::Host => Answer::Refusal(Refusal::Malformed),
        },
        ("POST" | "PUT" | "PATCH" | "DELETE" | "TRACE", _) => Answer::Refusal(Refusal::NotAllowed),
        // CONNECT among them: this is not a proxy.
        _ => Answer::Refusal(Refusal::NotImplemented),
    };
    let mut connection = values("connection")
        .filter_map(|value| str::from_utf8(value).ok())
        .flat_map(|value| value.split(','));
    let keeps = is_1_1 && !connection.any(|word| word.trim().eq_ignore_ascii_case("close"));
    let mild = match answer {
        Answer::Page(_) | Answer::Health | Answer::Methods => true,
        Answer::Refusal(refusal) => refusal.is_mild(),
    };
    Some(Request {
        answer,
        head_only: request.method == Some("HEAD"),
        keep_alive: keeps && mild,
        length,
    })
}

/// What `Accept` would rather have. Only who names OpenMetrics gets it.
fn format<'a>(accept: impl Iterator<Item = &'a str>) -> PageFormat {
    let mut open_metrics = 0.0;
    let mut text = 0.0;
    for choice in accept.flat_map(|value| value.split(',')) {
        let mut parts = choice.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut weight = 1.0;
        let mut version = "1.0.0";
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "q" => weight = value.trim().parse().unwrap_or(0.0),
                "version" => version = value.trim().trim_matches('"'),
                _ => {}
            }
        }
        match kind.as_str() {
            "application/openmetrics-text" if version == "1.0.0" => {
                open_metrics = f32::max(open_metrics, weight);
            }
            "text/plain" => text = f32::max(text, weight),
            _ => {}
        }
    }
    if open_metrics > 0.0 && open_metrics >= text {
        PageFormat::OpenMetrics
    } else {
        PageFormat::Text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Answer, PageFormat, Refusal, format, parse};

    fn answer(head: &str) -> Answer {
        parse(head.as_bytes()).unwrap().answer
    }

    #[test]
    fn only_metrics_are_served_and_only_to_read() {
        let page = Answer::Page(PageFormat::Text);
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", page),
            ("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", page),
            ("GET /metrics?name=x HTTP/1.0\r\n\r\n", page),
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                page,
            ),
            (
                "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Answer::Refusal(Refusal::NotFound),
            ),
            (
                "GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Answer::Refusal(Refusal::NotFound),
            ),
            (
                "POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                Answer::Refusal(Refusal::NotAllowed),
            ),
            (
                "get /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                Answer::Refusal(Refusal::NotImplemented),
            ),
            (
                "GET /metrics HTTP/1.1\r\n\r\n",
                Answer::Refusal(Refusal::Malformed),
            ),
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
                Answer::Refusal(Refusal::Malformed),
            ),
            ("GET /metrics HTTP/1.0\r\n\r\n", page),
            (
                "GET http://127.0.0.1:10117/metrics HTTP/1.1\r\nHost: other\r\n\r\n",
                page,
            ),
            (
                "GET https://127.0.0.1:10117/metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                Answer::Refusal(Refusal::Misdirected),
            ),
            ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", Answer::Health),
            ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Answer::Methods),
            (
                "OPTIONS /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                Answer::Methods,
            ),
            (
                "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
                Answer::Refusal(Refusal::Malformed),
            ),
            (
                "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
                Answer::Refusal(Refusal::NotImplemented),
            ),
            (
                "GET x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
                Answer::Refusal(Refusal::Malformed),
            ),
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
                Answer::Refusal(Refusal::WithBody),
            ),
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                Answer::Refusal(Refusal::WithBody),
            ),
            ("\x16\x03\x01 hello", Answer::Refusal(Refusal::Malformed)),
        ] {
            assert_eq!(answer(head), expected, "{head}");
        }
        assert_eq!(parse(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"), None);
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(65));
        assert_eq!(answer(&many), Answer::Refusal(Refusal::TooLarge));
    }

    #[test]
    fn a_connection_is_kept_as_the_version_and_the_client_say() {
        for (head, kept) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", true),
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: TE, Close\r\n\r\n",
                false,
            ),
            ("GET /metrics HTTP/1.0\r\n\r\n", false),
            ("GET /other HTTP/1.1\r\nHost: x\r\n\r\n", true),
            ("PUT /metrics HTTP/1.1\r\nHost: x\r\n\r\n", false),
        ] {
            let request = parse(head.as_bytes()).unwrap();
            assert_eq!(
                (request.keep_alive, request.length),
                (kept, head.len()),
                "{head}"
            );
        }
    }

    #[test]
    fn open_metrics_is_for_who_asks_for_it() {
        for (accept, open_metrics) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("application/openmetrics-text", true),
            (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                true,
            ),
            ("application/openmetrics-text;version=0.0.1", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=0.4,text/plain;q=0.5", false),
            // Prometheus itself.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            // And one that was told to use the older one.
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4",
                false,
            ),
        ] {
            let found = format([accept].into_iter()) == PageFormat::OpenMetrics;
            assert_eq!(found, open_metrics, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn no_head_is_longer_than_what_came(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            begin in 0_usize..40,
        ) {
            let mut text = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: ;q==,;\r\n\r\n"[..begin].to_vec();
            text.extend_from_slice(&bytes);
            if let Some(request) = parse(&text) {
                prop_assert!(request.length <= text.len());
            }
        }

        #[test]
        fn any_accept_has_an_answer(accept in "[ -~]{0,80}") {
            let found = format([accept.as_str()].into_iter());
            let named = accept.to_ascii_lowercase().contains("application/openmetrics-text");
            prop_assert!(named || found == PageFormat::Text);
        }
    }
}
