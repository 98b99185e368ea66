use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::CommandFactory as _;

use super::{Configuration, Problem, Sources, show};
use crate::cli::{Command, Settings};

/// A file in a folder of its own, gone with it.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!(
            "ipvs-sampler-{name}-{}-{number}",
            std::process::id()
        ));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("c.toml"), text).unwrap();
        Self(directory)
    }

    fn path(&self) -> String {
        self.0.join("c.toml").display().to_string()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read(arguments: &str, variables: &[(&str, &str)]) -> Result<Configuration, Problem> {
    let arguments = format!("ipvs-sampler {arguments}");
    let variables = variables
        .iter()
        .map(|(name, value)| (format!("IPVS_SAMPLER_{name}"), (*value).into()));
    Sources {
        arguments: arguments.split_whitespace().map(Into::into).collect(),
        variables: variables.collect(),
    }
    .read()
}

fn run(arguments: &str, variables: &[(&str, &str)]) -> Settings {
    match read(arguments, variables).unwrap().cli.command {
        Command::Run(run) => run.settings,
        other => panic!("{other:?}"),
    }
}

fn wrong(text: &str) -> String {
    let file = File::new("wrong", text);
    let path = file.path();
    match read(&format!("run --config {path}"), &[]) {
        Err(Problem::Wrong(why)) => why.replace(&path, "FILE"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let file = File::new(
        "layers",
        "interval = \"3s\"\nresolution = \"30ms\"\noutput = [\"file:/a\", \"file:/b\"]\n\
         ebpf-ring = 8192\ninclude = \"tcp\"\n[tag]\nrack = \"7\"\nroom = 2\n",
    );
    let path = file.path();
    let run = run(
        "run --interval 1s",
        &[
            ("CONFIG", &path),
            ("INTERVAL", "2s"),
            ("RESOLUTION", "20ms"),
            ("NETNS", "red blue"),
            ("LIVE", ""),
        ],
    );
    assert_eq!(
        (
            run.reloadable.interval.as_secs(),
            run.reloadable.resolution.as_millis()
        ),
        (1, 20)
    );
    assert_eq!(run.reloadable.output.len(), 2);
    assert_eq!(run.fixed.ebpf_ring, 8192);
    assert_eq!(run.reloadable.selection.include.len(), 1);
    assert_eq!(run.fixed.place.netns, ["red", "blue"]);
    let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(run.reloadable.tag, [tag("rack", "7"), tag("room", "2")]);
}

#[test]
fn what_is_repeated_replaces_what_was_said_elsewhere() {
    let run = run("run --output file:/c", &[("OUTPUT", "file:/a file:/b")]);
    assert_eq!(run.reloadable.output.len(), 1);
    assert_eq!(run.reloadable.output[0].to_string(), "file:/c");
}

#[test]
fn a_wrong_file_is_told_by_line_and_key() {
    assert_eq!(
        wrong("interval = \"1s\"\n\nintervall = \"2s\"\n"),
        "FILE:3: unknown key intervall; did you mean interval?"
    );
    assert!(wrong("[ipvs]\n").starts_with("FILE:1: unknown key ipvs; known keys are "));
    assert!(wrong("telegraf-execd = \"none\"").contains("unknown key telegraf-execd"));
    let text = wrong("# a comment\ninterval = \"10\"\n");
    assert!(
        text.starts_with("FILE:2: interval: invalid value '10' for '--interval <TIME>':"),
        "{text}"
    );
    assert!(wrong("live = \"maybe\"").contains("[possible values: auto, off]"));
    assert!(wrong("interval = [\"1s\"]").contains("takes one value, not several"));
    assert!(wrong("output = []").contains("output: is empty"));
    assert!(wrong("interval = 1.5").contains("a quoted string or a decimal number"));
    assert!(wrong("interval = \n").starts_with("FILE:1: "));
    let secret = wrong("output = \"influx+http://me:word@host/?db=lb\"");
    assert!(!secret.contains("word@"), "{secret}");
    let secret = wrong("output = \"influx2+http://host/?org=o&bucket=b&token=two words\"");
    assert!(!secret.contains("words"), "{secret}");
}

#[test]
fn a_variable_of_nothing_but_spaces_says_nothing() {
    let run = run("run", &[("OUTPUT", " "), ("INTERVAL", "\t")]);
    assert_eq!(
        (
            run.reloadable.output.len(),
            run.reloadable.interval.as_secs()
        ),
        (1, 10)
    );
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let Err(Problem::Wrong(why)) = read("run", &[("LOG_FORMAT", "xml")]) else {
        panic!("it was accepted");
    };
    assert!(
        why.starts_with("IPVS_SAMPLER_LOG_FORMAT: log-format: "),
        "{why}"
    );
}

#[test]
fn a_variable_that_is_not_utf8_is_refused_by_its_name() {
    for name in ["OUTPUT", "HOST", "CONFIG", "TAG"] {
        let name = format!("IPVS_SAMPLER_{name}");
        let sources = Sources {
            arguments: ["ipvs-sampler".into(), "run".into()].into(),
            variables: vec![(name.clone(), OsString::from_vec(b"file:/a\xff".to_vec()))],
        };
        let Err(Problem::Wrong(why)) = sources.read() else {
            panic!("{name} was accepted");
        };
        assert_eq!(why, format!("{name}: \"file:/a\\xFF\" is not valid UTF-8"));
    }
}

#[test]
fn control_characters_are_refused_wherever_they_stand() {
    for text in [
        "[tag]\nrack = \"a\\u0000\"",
        "[tag]\n\"a\\nb\" = \"1\"",
        "host = \"lb\\n1\"",
        "output = [\"file:/a\\u001b[31m\"]",
        "output = \"influx+http://host/?db=a\\tb\"",
        "netns = \"red\\u0085\"",
        "user = \"\\u0000\"",
    ] {
        let why = wrong(text);
        assert!(why.contains("contains a control character (U+00"), "{why}");
        assert!(!why.contains(char::is_control), "{why:?}");
    }
    for (name, value) in [("HOST", "lb1\n"), ("CONFIG", "/a\x1b"), ("TAG", "a=\x07")] {
        let Err(Problem::Wrong(why)) = read("run", &[(name, value)]) else {
            panic!("{name} was accepted");
        };
        assert!(why.starts_with(&format!("IPVS_SAMPLER_{name}: ")), "{why}");
    }
    for argument in [
        "--tag=a=\x01",
        "--output=file:/\x07",
        "--netns=\x7f",
        "--config=\x02",
    ] {
        for command in ["run", "config check"] {
            let Err(Problem::Usage(usage)) = read(&format!("{command} {argument}"), &[]) else {
                panic!("{argument:?} was accepted");
            };
            assert!(usage.to_string().contains("control character"), "{usage}");
        }
    }
    assert!(matches!(
        read("once --netns=\x01", &[]),
        Err(Problem::Usage(_))
    ));
}

#[test]
fn a_tag_has_one_value_on_each_level() {
    let why = wrong("tag = [\"a=1\", \"a=2\"]");
    assert_eq!(
        why,
        "FILE:1: tag: the tag a has two values; remove one of them"
    );
    let Err(Problem::Wrong(why)) = read("run", &[("TAG", "a=1 b=1 a=1")]) else {
        panic!("it was accepted");
    };
    assert!(
        why.starts_with("IPVS_SAMPLER_TAG: tag: the tag a has"),
        "{why}"
    );
    for command in ["run", "config check"] {
        let twice = read(&format!("{command} --tag a=1 --tag a=2"), &[]);
        assert!(matches!(twice, Err(Problem::Usage(_))), "{twice:?}");
    }
    // From above it is replaced.
    let run = run("run --tag a=2", &[("TAG", "a=1")]);
    assert_eq!(run.reloadable.tag, [("a".to_owned(), "2".to_owned())]);
}

#[test]
fn a_tag_is_not_named_like_a_field() {
    let why = wrong("[tag]\nweight = 1");
    assert!(
        why.contains("weight is already a field of ipvs_real_server"),
        "{why}"
    );
    for name in [
        "mode",
        "version",
        "weight",
        "cps",
        "reason",
        "bytes_waiting",
        "sched",
    ] {
        for command in ["run", "config check"] {
            let taken = read(&format!("{command} --tag {name}=x"), &[]);
            let Err(Problem::Usage(usage)) = taken else {
                panic!("{name} was accepted");
            };
            assert!(usage.to_string().contains(" of ipvs_"), "{usage}");
        }
    }
}

#[test]
fn a_file_that_was_named_has_to_be_there() {
    let Err(Problem::Wrong(why)) = read("run --config /nowhere/c.toml", &[]) else {
        panic!("it was accepted");
    };
    assert!(why.contains("/nowhere/c.toml"), "{why}");
    assert!(matches!(
        read("run --interval 10", &[]),
        Err(Problem::Usage(_))
    ));
}

#[test]
fn what_is_shown_says_where_it_comes_from_and_can_be_read_again() {
    let file = File::new("show", "interval = \"3s\"\n[tag]\nrack = 'a \"b\"'\n");
    let path = file.path();
    let arguments = format!("config show --config {path} --live off");
    let text = show(&read(&arguments, &[("EBPF", "off")]).unwrap());
    for line in [
        &format!("# With the configuration file {path}"),
        &format!("interval = \"3s\" # {path}:1"),
        "resolution = \"100ms\" # default",
        "ebpf = \"off\" # IPVS_SAMPLER_EBPF",
        "live = \"off\" # command line",
        &format!("tag = [\"rack=a \\\"b\\\"\"] # {path}:2"),
        "# user is not set",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    std::fs::write(Path::new(&path), &text).unwrap();
    let again = show(&read(&format!("config show --config {path}"), &[]).unwrap());
    let values = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split(" # ").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&text), values(&again));
}

#[test]
fn a_user_who_is_not_there_is_refused_wherever_the_name_stands() {
    let why = "invalid value 'no-such-user' for '--user <USER>': no such user in /etc/passwd";
    assert_eq!(
        wrong("user = \"no-such-user\""),
        format!("FILE:1: user: {why}")
    );
    for command in ["run", "config check", "config show"] {
        let Err(Problem::Usage(usage)) = read(&format!("{command} --user no-such-user"), &[])
        else {
            panic!("it was accepted");
        };
        let expected = format!("error: {why}\n\nFor more information, try '--help'.\n");
        assert_eq!((usage.to_string(), usage.exit_code()), (expected, 2));
    }
    let user = read("run --user 65534", &[]).unwrap().user;
    assert_eq!(user.map(|user| user.id), Some(65534));
}

#[test]
fn what_was_not_taken_over_stays_a_difference() {
    let values = |arguments: &str| read(arguments, &[]).unwrap().values();
    let mut current = values("run");
    let next = values("run --interval 1s --ebpf off");
    let different: Vec<_> = next.differences(&current).collect();
    assert_eq!(different, ["interval", "ebpf"]);
    current.take_over(&next, &["interval".to_owned()]);
    let different: Vec<_> = next.differences(&current).collect();
    assert_eq!(different, ["ebpf"]);
    assert_eq!(
        values("run --interval 1s").differences(&current).count(),
        0,
        "taken back"
    );
}

#[test]
fn variables_of_no_option_are_found() {
    let sources = Sources {
        arguments: Vec::new(),
        variables: ["IPVS_SAMPLER_INTERVAL", "IPVS_SAMPLER_INTERVALL"]
            .map(|name| (name.to_owned(), "1s".into()))
            .into(),
    };
    let unknown: Vec<_> = sources.unknown_variables().collect();
    assert_eq!(unknown, ["IPVS_SAMPLER_INTERVALL"]);
}

#[test]
fn the_variables_that_help_names_are_those_that_are_read() {
    let program = crate::cli::Cli::command();
    let run = program.find_subcommand("run").unwrap();
    let options = run.get_arguments().filter_map(clap::Arg::get_long);
    let variables: Vec<_> = options.filter_map(crate::cli::variable).collect();
    assert!(variables.len() > 20);
    let read = Sources {
        arguments: Vec::new(),
        variables: variables
            .iter()
            .map(|name| (name.clone(), "".into()))
            .collect(),
    };
    assert_eq!(read.unknown_variables().count(), 0);
    assert_eq!(crate::cli::variable("telegraf-execd"), None);
}
