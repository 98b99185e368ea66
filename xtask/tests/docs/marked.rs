//! Markdown of the plain texts that help and tables have.

/// Code where a plain text has what is typed or read by programs.
pub(crate) fn marked(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let begin = word.len() - word.trim_start_matches('(').len();
        let inner = word
            .trim_end_matches([',', '.', ';', ':'])
            .trim_end_matches("'s");
        let inner = match inner.contains('(') && begin == 0 {
            true => inner,
            false => inner.trim_end_matches(')'),
        };
        let (before, code, after) = (
            &word[..begin],
            &word[begin..inner.len().max(begin)],
            &word[inner.len().max(begin)..],
        );
        let is_code = code.starts_with("--")
            || code.ends_with("()")
            || code.contains(['_', '*', '=', '/', ':']);
        match is_code && code.len() > 1 {
            true => format!("{before}`{code}`{after}"),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn what_is_typed_becomes_code() {
        for (text, with_code) in [
            ("Highest pps_in of any tick", "Highest `pps_in` of any tick"),
            (
                "as --netmask says, or (E!, W!)",
                "as `--netmask` says, or (E!, W!)",
            ),
            (
                "influx+http://HOST:PORT/?db=NAME (InfluxDB 1)",
                "`influx+http://HOST:PORT/?db=NAME` (InfluxDB 1)",
            ),
            ("rate() of it. Mode: live", "`rate()` of it. Mode: live"),
            (
                "address=CIDR, port=N or FROM-TO",
                "`address=CIDR`, `port=N` or FROM-TO",
            ),
            ("(see CAP_BPF).", "(see `CAP_BPF`)."),
            ("node_exporter's names", "`node_exporter`'s names"),
        ] {
            assert_eq!(marked(text), with_code);
        }
    }
}
