//! The Dockerfile.

use crate::{check_command_line, read};

/// Instructions with their arguments: comments left out, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = read("container/Dockerfile");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = |line: &str| {
        let (instruction, arguments) = line.split_once(' ').unwrap();
        (instruction.to_owned(), arguments.trim().to_owned())
    };
    joined
        .lines()
        .filter(|line| !line.is_empty())
        .map(split)
        .collect()
}

fn one(instruction: &str) -> String {
    let all = instructions();
    let mut found = all.into_iter().filter(|(name, _)| name == instruction);
    let (_, arguments) = found.next().unwrap();
    assert!(found.next().is_none(), "{instruction} twice");
    arguments
}

fn words(instruction: &str) -> Vec<String> {
    serde_json::from_str(&one(instruction)).unwrap()
}

#[test]
fn instructions_are_those_of_docker() {
    const KNOWN: [&str; 7] = [
        "FROM",
        "LABEL",
        "COPY",
        "USER",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    ];
    let all = instructions();
    assert_eq!(all[0].0, "FROM");
    for (name, _) in all {
        assert!(KNOWN.contains(&&*name), "{name}");
    }
}

#[test]
fn there_is_nothing_in_it_but_the_sampler() {
    assert_eq!(one("FROM"), "scratch");
    // That the file is in target/dist, `cargo xtask package-test` checks.
    assert_eq!(one("COPY"), "--chmod=0755 ipvs-sampler /ipvs-sampler");
    assert_eq!(words("ENTRYPOINT"), ["/ipvs-sampler"]);
    assert!(one("LABEL").contains("org.opencontainers.image.licenses=\"MIT OR Apache-2.0\""));
}

#[test]
fn the_sampler_takes_the_command() {
    let command = words("CMD");
    check_command_line(command.iter().map(String::as_str));
}
