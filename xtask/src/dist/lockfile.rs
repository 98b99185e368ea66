//! Cargo.lock in, the checksums of packages out.
//!
//! Cargo writes the file itself and always in the same form, one `key = "value"` per line below each
//! `[[package]]`.

use std::collections::BTreeMap;

/// SHA-256 by name and version, of what came from a registry.
pub(crate) fn checksums(text: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let value = |key: &str| {
            package.lines().find_map(|line| {
                let value = line.strip_prefix(key)?.strip_prefix(" = \"")?;
                value.strip_suffix('"').map(str::to_owned)
            })
        };
        if let (Some(name), Some(version), Some(checksum)) =
            (value("name"), value("version"), value("checksum"))
        {
            found.insert((name, version), checksum);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::checksums;

    #[test]
    fn what_is_our_own_has_no_checksum() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
            source = \"registry+https://registry.example\"\nchecksum = \"00ff\"\n\
            dependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";
        let found = checksums(lock);
        assert_eq!(found.len(), 1);
        assert_eq!(found[&("a".into(), "1.0.0".into())], "00ff");
    }
}
