//! Blocks of configuration are what they say they are.

use std::fs;

use ipvs_sampler::settings::Sources;

use crate::{finding::Finding, markdown::Block, pages::Pages};

/// A block of TOML that begins so is one for ipvs-sampler.
const OURS: &str = "# /etc/ipvs-sampler/config.toml";

pub(crate) fn check(pages: &Pages) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, page) in &pages.pages {
        for block in &page.blocks {
            if let Err(what) = read(block) {
                findings.push(Finding {
                    page: path.clone(),
                    line: block.line,
                    what,
                });
            }
        }
    }
    findings
}

fn read(block: &Block) -> Result<(), String> {
    let wrong = |error: &dyn std::fmt::Display| format!("not {}: {error}", block.language);
    match block.language.as_str() {
        "toml" => {
            let parsed = block.text.parse::<toml::Table>();
            parsed.map_err(|error| wrong(&error))?;
            match block.text.starts_with(OURS) {
                true => configuration(&block.text),
                false => Ok(()),
            }
        }
        "yaml" => yaml_rust2::YamlLoader::load_from_str(&block.text)
            .map(drop)
            .map_err(|error| wrong(&error)),
        "json" => {
            // One value, or one on each line.
            let values = serde_json::Deserializer::from_str(&block.text);
            let mut values = values.into_iter::<serde_json::Value>();
            values.try_for_each(|value| value.map(drop).map_err(|error| wrong(&error)))
        }
        _ => Ok(()),
    }
}

/// As `ipvs-sampler run` reads it.
fn configuration(text: &str) -> Result<(), String> {
    let folder = tempfile::TempDir::with_prefix("ipvs-sampler-docs-").unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let path = path.into_os_string();
    let arguments = [
        "ipvs-sampler".into(),
        "run".into(),
        "--config".into(),
        path.clone(),
    ];
    let read = Sources::of_arguments(arguments.into()).read();
    let path = path.to_string_lossy();
    read.map(drop)
        .map_err(|problem| problem.to_string().replace(&*path, "config.toml"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::finding::found;

    #[test]
    fn blocks_that_can_be_read_are_fine() {
        let text = "```toml\n# /etc/ipvs-sampler/config.toml\ninterval = \"1s\"\ntag = { rack = \"7\" }\n```\n\
                    ```toml\n[[inputs.execd]]\nanything = 1\n```\n\
                    ```yaml\na: [{b: [\"c\"]}]\n```\n```json\n{\"a\": 1}\n{\"b\": 2}\n```\n```text\n{\n```\n";
        assert_eq!(found(check, text), []);
    }

    #[test]
    fn blocks_that_cannot_be_read_are_found() {
        for (block, why) in [
            ("toml\na = \n", "not toml"),
            ("yaml\na: [\n", "not yaml"),
            ("json\n{\"a\": 1} {\n", "not json"),
            (
                "toml\n# /etc/ipvs-sampler/config.toml\n\nintervall = \"1s\"\n",
                "config.toml:3: unknown key",
            ),
            (
                "toml\n# /etc/ipvs-sampler/config.toml for a test\ninterval = \"1\"\n",
                "config.toml:2: interval: invalid value '1'",
            ),
        ] {
            let found = found(check, &format!("a\n```{block}```\n"));
            assert_eq!(found.len(), 1, "{block}");
            assert!(found[0].0 == 2 && found[0].1.contains(why), "{found:?}");
        }
    }
}
