//! The target of a request, in each form that it may have (RFC 9112, section 3.2).

use ureq::http::{Uri, uri::Authority};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestTarget {
    /// A resource: origin-form, or absolute-form of what is served here.
    Path(String),
    /// The server as a whole: asterisk-form.
    Server,
    /// Another host to be connected to: authority-form.
    Host,
    /// A resource that cannot be served by this connection: absolute-form with another scheme.
    Elsewhere,
}

impl RequestTarget {
    /// `None` when it has none of these forms.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // What has a fragment is not a target, and would be taken for one without.
        if text.contains('#') {
            return None;
        }
        if text == "*" {
            return Some(Self::Server);
        }
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority().filter(|authority| is_host(authority));
        match (uri.scheme_str(), authority) {
            (None, None) if text.starts_with('/') => Some(Self::Path(uri.path().into())),
            (None, Some(_)) => Some(Self::Host),
            (Some("http"), Some(_)) => Some(Self::Path(uri.path().into())),
            (Some(_), Some(_)) => Some(Self::Elsewhere),
            _ => None,
        }
    }
}

/// Whether a request's `Host` is as it has to be: from HTTP/1.1 on there is one, never more than one, with a host
/// and perhaps a port in it, or nothing. Which host does not matter: all names of this server have the same
/// pages.
pub(super) fn is_right_host<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    required: bool,
) -> bool {
    let Some(value) = values.next() else {
        return !required;
    };
    let is_right = value.is_empty() || Authority::try_from(value).is_ok_and(|host| is_host(&host));
    is_right && values.next().is_none()
}

/// A host and perhaps a port, without a user's name before it.
fn is_host(authority: &Authority) -> bool {
    let text = authority.as_str();
    let port = text.strip_prefix(authority.host()).unwrap_or("no port");
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    !authority.host().is_empty() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::{RequestTarget, is_right_host};

    #[test]
    fn every_form_of_a_target() {
        let path = |path: &str| Some(RequestTarget::Path(path.into()));
        for (text, expected) in [
            ("/metrics", path("/metrics")),
            ("/metrics?name=x", path("/metrics")),
            ("//metrics", path("//metrics")),
            ("http://127.0.0.1:10117/metrics", path("/metrics")),
            ("HTTP://[::1]:10117/metrics?name=x", path("/metrics")),
            ("http://any.example/metrics", path("/metrics")),
            ("http://any.example", path("/")),
            ("http://any.example?name=x", path("/")),
            (
                "https://127.0.0.1:10117/metrics",
                Some(RequestTarget::Elsewhere),
            ),
            ("*", Some(RequestTarget::Server)),
            ("any.example:443", Some(RequestTarget::Host)),
            ("", None),
            ("/metrics#part", None),
            ("http://me:word@any.example/metrics", None),
            ("http:///metrics", None),
            ("http://any.example:port/metrics", None),
            ("metrics/all", None),
        ] {
            assert_eq!(RequestTarget::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn there_is_one_host_and_it_is_one() {
        for (values, with_1_0, with_1_1) in [
            (&[][..], true, false),
            (&["any.example"], true, true),
            (&["127.0.0.1:10117"], true, true),
            (&["[::1]:10117"], true, true),
            (&["any.example:"], true, true),
            (&[""], true, true),
            (&["a", "a"], false, false),
            (&["a b"], false, false),
            (&["a/metrics"], false, false),
            (&["me@a"], false, false),
            (&["a:port"], false, false),
        ] {
            for (required, right) in [(false, with_1_0), (true, with_1_1)] {
                let bytes = values.iter().map(|value: &&str| value.as_bytes());
                assert_eq!(is_right_host(bytes, required), right, "{values:?}");
            }
        }
    }
}
