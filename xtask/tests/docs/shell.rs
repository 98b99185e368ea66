//! As much of a shell as the rules need: the commands that stand in a block, word by word.

use crate::markdown::Block;

/// A command without what it is joined to, and the line that it begins in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) words: Vec<String>,
}

/// The commands of a block of `sh`, or of a `console` with prompts and output.
pub(crate) fn commands(block: &Block) -> Vec<Command> {
    let prompted = match block.language.as_str() {
        "sh" | "bash" | "shell" => false,
        "console" => true,
        _ => return Vec::new(),
    };
    let mut commands = Vec::new();
    let mut lines = block.text.lines().zip(block.line + 1..);
    while let Some((text, line)) = lines.next() {
        let mut command = match prompted {
            false => text.to_owned(),
            true => match text.strip_prefix("$ ").or(text.strip_prefix("# ")) {
                Some(command) => command.to_owned(),
                None => continue,
            },
        };
        while let Some(head) = command.strip_suffix('\\') {
            let next = lines.next().map_or("", |(text, _)| text);
            command = format!("{head}{}", next.trim_start());
        }
        let split = split(&command)
            .into_iter()
            .filter(|words| !words.is_empty());
        commands.extend(split.map(|words| Command { line, words }));
    }
    commands
}

/// The words of each command in a line. What a redirection names is none of them.
pub(crate) fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut redirected = false;
    let mut quote = None;
    let end = |word: &mut Option<String>, commands: &mut Vec<Vec<String>>, redirected: bool| {
        if let (Some(word), false) = (word.take(), redirected) {
            commands.last_mut().unwrap().push(word);
        }
    };
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '&') => {
                end(&mut word, &mut commands, redirected);
                redirected = false;
                commands.push(Vec::new());
            }
            (None, '<' | '>') => {
                // `2>`
                word = word.filter(|word| word.parse::<u8>().is_err());
                end(&mut word, &mut commands, redirected);
                redirected = true;
            }
            (None, blank) if blank.is_whitespace() => end(&mut word, &mut commands, redirected),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    end(&mut word, &mut commands, redirected);
    commands
}

#[cfg(test)]
mod tests {
    use super::{Command, commands};
    use crate::markdown::Block;

    fn words(language: &str, text: &str) -> Vec<(usize, Vec<String>)> {
        let block = Block {
            line: 10,
            language: language.to_owned(),
            text: text.to_owned(),
        };
        let commands = commands(&block).into_iter();
        commands
            .map(|Command { line, words }| (line, words))
            .collect()
    }

    #[test]
    fn a_line_is_split_at_operators_and_quotes_hold_words_together() {
        let text = "# comment\na 'b c' \"d;e\" f#g | h --x=\"y z\" > out.txt # more\n\ni \\\n  j && k 2> l; m <n\n";
        let expected: [(usize, &[&str]); 5] = [
            (12, &["a", "b c", "d;e", "f#g"]),
            (12, &["h", "--x=y z"]),
            (14, &["i", "j"]),
            (14, &["k"]),
            (14, &["m"]),
        ];
        let expected = expected.map(|(line, words)| {
            let words = words.iter().map(|word| (*word).to_owned());
            (line, words.collect::<Vec<_>>())
        });
        assert_eq!(words("sh", text), expected);
    }

    #[test]
    fn in_a_console_commands_follow_a_prompt() {
        let found = words("console", "$ a b\noutput of a\n# c \\\n  d\n");
        assert_eq!(
            found,
            [
                (11, vec!["a".into(), "b".into()]),
                (13, vec!["c".into(), "d".into()])
            ]
        );
        assert_eq!(words("text", "$ a\n"), []);
    }
}
