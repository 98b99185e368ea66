//! Values without their secrets.

/// An address without the secrets that somebody may have put into it, although none belongs there.
pub(super) fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    let Some((path, query)) = rest.split_once('?') else {
        return format!("{scheme}://{authority}{rest}");
    };
    let pairs: Vec<_> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key @ ("p" | "password" | "token"), _)) => format!("{key}={HIDDEN}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{scheme}://{authority}{path}?{}", pairs.join("&"))
}

const HIDDEN: &str = "[hidden]";

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        for (text, shown) in [
            ("stdout", "stdout"),
            ("tcp://[::1]:8094", "tcp://[::1]:8094"),
            (
                "influx+http://me:secret@host:8086/?db=lb&p=secret&token-file=/t",
                "influx+http://[hidden]@host:8086/?db=lb&p=[hidden]&token-file=/t",
            ),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
