//! The licenses of the crates inside, with their notices: who hands the binary on hands these on, too.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};

use super::components::{Components, Id};

/// How files with a license or a notice are called.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// A list of the crates, then each text once, below the names of those that come with it.
pub(crate) fn write(components: &Components) -> Result<String> {
    let mut crates_of: BTreeMap<String, Vec<&Id>> = BTreeMap::new();
    let mut list = String::new();
    // What has no checksum is our own, and has the licenses of the whole.
    for (id, component) in components.iter().filter(|(_, c)| c.checksum.is_some()) {
        let texts = texts(&component.sources)?;
        let remark = if texts.is_empty() {
            ", whose text its sources lack"
        } else {
            ""
        };
        let (name, version) = id;
        list.push_str(&format!(
            "  {name} {version}: {}{remark}\n",
            component.license
        ));
        for text in texts {
            let crates = crates_of.entry(text).or_default();
            // Some have the same text under two names.
            if crates.last() != Some(&id) {
                crates.push(id);
            }
        }
    }
    let mut by_crates: Vec<_> = crates_of.into_iter().collect();
    by_crates.sort_by(|(text, crates), (other, others)| (crates, text).cmp(&(others, other)));
    let mut notices = format!(
        "ipvs-sampler has these crates inside, and the standard library of Rust (MIT OR\n\
         Apache-2.0, https://github.com/rust-lang/rust) and the GNU C Library (LGPL-2.1-or-later,\n\
         https://www.gnu.org/software/libc/). Where a license is to be chosen, any of them may be.\n\n{list}"
    );
    for (text, crates) in by_crates {
        let names: Vec<_> = crates.iter().map(|(name, _)| name.as_str()).collect();
        notices.push_str(&format!(
            "\n{}\n{}\n\n{}\n",
            "-".repeat(80),
            names.join(", "),
            text.trim_end()
        ));
    }
    Ok(notices)
}

/// What lies at the top of a crate's sources, in the order of names.
fn texts(sources: &Path) -> Result<Vec<String>> {
    let read = || format!("cannot read {}", sources.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(sources).with_context(read)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if NAMES.iter().any(|prefix| name.starts_with(prefix)) && entry.file_type()?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::dist::components::Component;

    #[test]
    fn a_text_is_there_once_and_a_missing_one_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut components = Components::new();
        for (name, text) in [("a", "same"), ("b", "same\n"), ("c", "other")] {
            let sources = dir.path().join(name);
            fs::create_dir(&sources).unwrap();
            fs::write(sources.join("LICENSE-MIT"), text.trim_end()).unwrap();
            let component = Component {
                license: "MIT".into(),
                checksum: Some("00".into()),
                needs: BTreeSet::new(),
                sources,
            };
            components.insert((name.into(), "1.0.0".into()), component);
        }
        let text = write(&components).unwrap();
        assert!(
            text.contains("  a 1.0.0: MIT\n  b 1.0.0: MIT\n  c 1.0.0: MIT\n"),
            "{text}"
        );
        assert!(text.contains("\na, b\n\nsame\n"), "{text}");
        assert!(text.contains("\nc\n\nother\n"), "{text}");
        assert_eq!(text.matches("same").count(), 1);

        fs::remove_file(dir.path().join("c/LICENSE-MIT")).unwrap();
        let text = write(&components).unwrap();
        assert!(
            text.contains("  c 1.0.0: MIT, whose text its sources lack\n"),
            "{text}"
        );
    }
}
