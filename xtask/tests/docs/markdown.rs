//! As much of Markdown as the rules need: fenced blocks, headings, links and inline code, each with its line.

/// A page, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) lines: usize,
    pub(crate) blocks: Vec<Block>,
    /// What links with `#` can lead to: GitHub's names for headings.
    pub(crate) anchors: Vec<String>,
    /// The same before equal ones were told apart.
    slugs: Vec<String>,
    /// Where links lead.
    pub(crate) links: Vec<(usize, String)>,
    pub(crate) code: Vec<(usize, String)>,
    /// Rows of tables.
    pub(crate) rows: Vec<(usize, String)>,
}

/// What stands between two fences.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// The line of the fence that begins it.
    pub(crate) line: usize,
    /// The first word behind that fence.
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn read(text: &str) -> Self {
        let mut page = Self::default();
        // The open block, its fence and its indentation.
        let mut open: Option<(Block, String, usize)> = None;
        // The lines of text since the last block or empty line: what is inline may go over several.
        let mut paragraph = Vec::new();
        for (index, line) in text.lines().enumerate() {
            page.lines = index + 1;
            let trimmed = line.trim_start();
            if open.is_none() && trimmed.starts_with('|') {
                page.rows.push((page.lines, trimmed.to_owned()));
            }
            let indent = line.len() - trimmed.len();
            match &mut open {
                Some((block, fence, _)) if trimmed.trim_end() == *fence => {
                    page.blocks.push(std::mem::take(block));
                    open = None;
                }
                Some((block, _, indented)) => {
                    let cut = indent.min(*indented);
                    block.text.push_str(&line[cut..]);
                    block.text.push('\n');
                }
                None if trimmed.starts_with("```") => {
                    page.end_paragraph(&mut paragraph);
                    let word = trimmed.trim_start_matches('`');
                    let fence = trimmed[..trimmed.len() - word.len()].to_owned();
                    let block = Block {
                        line: page.lines,
                        language: word.split_whitespace().next().unwrap_or_default().into(),
                        text: String::new(),
                    };
                    open = Some((block, fence, indent));
                }
                None if trimmed.is_empty() => page.end_paragraph(&mut paragraph),
                None => {
                    if let Some(heading) = heading(line) {
                        page.end_paragraph(&mut paragraph);
                        let anchor = slug(heading);
                        let again = page.slugs.iter().filter(|known| **known == anchor).count();
                        page.slugs.push(anchor.clone());
                        let anchor = match again {
                            0 => anchor,
                            times => format!("{anchor}-{times}"),
                        };
                        page.anchors.push(anchor);
                    }
                    paragraph.push((page.lines, line));
                }
            }
        }
        page.end_paragraph(&mut paragraph);
        // A fence that nobody closes goes on to the end.
        page.blocks.extend(open.map(|(block, ..)| block));
        page
    }

    fn end_paragraph(&mut self, paragraph: &mut Vec<(usize, &str)>) {
        let mut text = String::new();
        let mut starts = Vec::new();
        for (line, part) in paragraph.drain(..) {
            starts.push((text.len(), line));
            text.push_str(part);
            text.push('\n');
        }
        let line_at = |offset: usize| {
            let before = starts.iter().take_while(|(start, _)| *start <= offset);
            before.last().map_or(0, |(_, line)| *line)
        };
        let (code, rest) = code_spans(&text);
        for (offset, span) in code {
            self.code.push((line_at(offset), span));
        }
        for (offset, target) in links(&rest) {
            self.links.push((line_at(offset), target));
        }
    }
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let text = text.strip_prefix(' ').filter(|_| (1..=6).contains(&level));
    text.map(str::trim)
}

/// As GitHub makes it: lower case, without punctuation, with a hyphen for each space. Of a link only its text counts.
pub(crate) fn slug(heading: &str) -> String {
    let mut text = heading.to_owned();
    while let Some((before, after)) = text.split_once("](") {
        let (_, after) = after.split_once(')').unwrap_or(("", after));
        text = format!("{before}{after}");
    }
    let kept = text.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        other if other.is_alphanumeric() => Some(other),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// Spans between equal runs of backticks, and the text with blanks in their place.
fn code_spans(text: &str) -> (Vec<(usize, String)>, String) {
    let mut spans = Vec::new();
    let mut rest = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let begin = at + found;
        let ticks = text[begin..].len() - text[begin..].trim_start_matches('`').len();
        let inside = begin + ticks;
        rest.push_str(&text[at..begin]);
        let fence = &text[begin..inside];
        let mut end = inside;
        let closing = loop {
            let Some(next) = text[end..].find(fence) else {
                break None;
            };
            let next = end + next;
            let run = text[next..].len() - text[next..].trim_start_matches('`').len();
            if run == ticks {
                break Some(next);
            }
            end = next + run;
        };
        match closing {
            Some(end) => {
                let words: Vec<_> = text[inside..end].split_whitespace().collect();
                spans.push((begin, words.join(" ")));
                rest.extend(std::iter::repeat_n(' ', end + ticks - begin));
                at = end + ticks;
            }
            None => {
                rest.push_str(fence);
                at = inside;
            }
        }
    }
    rest.push_str(&text[at..]);
    (spans, rest)
}

/// Targets of `[text](target)` and of `[text]: target`.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (offset, _) in text.match_indices("](") {
        let target = &text[offset + 2..];
        if let Some(end) = target.find(')') {
            let target = target[..end].split_whitespace().next().unwrap_or_default();
            links.push((offset, target.to_owned()));
        }
    }
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if let Some((_, target)) = line
            .strip_prefix('[')
            .and_then(|line| line.split_once("]: "))
        {
            links.push((offset, target.trim().to_owned()));
        }
        offset += line.len();
    }
    links
}

#[cfg(test)]
mod tests {
    use super::{Page, slug};

    #[test]
    fn blocks_headings_links_and_code_are_found_with_their_lines() {
        let page = Page::read(
            "# A `b` c\n\n- text [one](x.md#y) and `--for\n  TIME`\n\n  ```sh\n  run\n    more\n  ```\n\n````text\n```\n````\n\
             ## A b c\n[two]: z.md\n`[no](link)`\n",
        );
        assert_eq!(page.lines, 16);
        assert_eq!(page.anchors, ["a-b-c", "a-b-c-1"]);
        let blocks: Vec<_> = page
            .blocks
            .iter()
            .map(|block| (block.line, &*block.language, &*block.text))
            .collect();
        assert_eq!(blocks, [(6, "sh", "run\n  more\n"), (11, "text", "```\n")]);
        assert_eq!(
            page.links,
            [(3, "x.md#y".to_owned()), (15, "z.md".to_owned())]
        );
        let code: Vec<_> = page
            .code
            .iter()
            .map(|(line, code)| (*line, &**code))
            .collect();
        assert_eq!(code, [(1, "b"), (3, "--for TIME"), (16, "[no](link)")]);
    }

    #[test]
    fn anchors_are_githubs() {
        for (heading, anchor) in [
            (
                "What `connections` means: mode `events`",
                "what-connections-means-mode-events",
            ),
            ("`--interval TIME`", "--interval-time"),
            ("`ipvs_real_server`", "ipvs_real_server"),
            ("The sampler's own", "the-samplers-own"),
            ("A & b", "a--b"),
            ("[text](page.md)", "text"),
        ] {
            assert_eq!(slug(heading), anchor, "{heading}");
        }
    }
}
