use std::{
    io,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use super::{Output, PageFormat, Queue, Sink, Sinks};

struct Collect(mpsc::Sender<Vec<u8>>);

impl Output for Collect {
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        self.0
            .send(batch.to_vec())
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        queue.written(super::lines::lines(batch));
        Ok(())
    }
}

fn collect() -> (Box<dyn Output>, mpsc::Receiver<Vec<u8>>) {
    let (sender, written) = mpsc::channel();
    (Box::new(Collect(sender)), written)
}

fn sinks(outputs: Vec<Box<dyn Output>>) -> Sinks {
    let failed = Arc::default();
    let sink = |output| Sink::new("test".into(), output, &failed, usize::MAX).unwrap();
    Sinks {
        sinks: outputs.into_iter().map(sink).collect(),
        servers: Vec::new(),
        pages: Arc::default(),
        pulse: Arc::default(),
        former: Vec::new(),
        dropped_formerly: 0,
        failed,
        most_bytes: usize::MAX,
    }
}

#[test]
fn each_output_gets_everything_and_closing_writes_what_waits() {
    let ((one, first), (two, second)) = (collect(), collect());
    let sinks = sinks(vec![one, two]);
    for line in ["one\n", "two\n"] {
        let mut batch = line.as_bytes().to_vec();
        sinks.push(&mut batch);
        assert!(batch.is_empty());
    }
    sinks.close(Duration::from_secs(60)).unwrap();
    for report in sinks.reports() {
        assert_eq!((report.counts.written, report.waiting), (2, 0));
    }
    drop(sinks);
    for written in [first, second] {
        assert_eq!(written.iter().collect::<Vec<_>>().concat(), b"one\ntwo\n");
    }
}

#[test]
fn one_that_stalls_delays_no_other() {
    struct Stalled;
    impl Output for Stalled {
        fn write(&mut self, _: &[u8], queue: &Queue) -> io::Result<()> {
            while queue.pause(Duration::from_secs(3600)) {}
            Ok(())
        }
    }
    let (other, written) = collect();
    let sinks = sinks(vec![Box::new(Stalled), other]);
    let begin = Instant::now();
    sinks.push(&mut b"line\n".to_vec());
    assert_eq!(written.recv().unwrap(), b"line\n");
    sinks.close(Duration::from_secs(60)).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(3600));
}

#[test]
fn an_output_that_is_let_go_of_writes_what_waits_and_ends() {
    let (output, written) = collect();
    let sinks = sinks(vec![output]);
    sinks.push(&mut b"line\n".to_vec());
    drop(sinks);
    assert_eq!(written.iter().collect::<Vec<_>>(), [b"line\n"]);
}

#[test]
fn an_output_that_is_named_twice_is_written_once() {
    let mut sinks = sinks(Vec::new());
    let target = "unix:/run/nobody".parse::<super::Target>().unwrap();
    for _ in 0..2 {
        sinks.change_to(&[target.clone(), target.clone()]).unwrap();
        assert_eq!(sinks.reports().count(), 1);
    }
}

#[test]
fn a_server_that_comes_back_has_no_page_of_its_former_time() {
    let mut sinks = sinks(Vec::new());
    let server = "prometheus://127.0.0.1:0".parse::<super::Target>().unwrap();
    sinks.change_to(std::slice::from_ref(&server)).unwrap();
    let wanted = sinks.pages.wanted(true).unwrap();
    sinks.pages.publish(wanted, |_, _| 0);
    let page = |sinks: &Sinks| sinks.pages.next(PageFormat::Text, Duration::ZERO);
    sinks.change_to(std::slice::from_ref(&server)).unwrap();
    assert!(page(&sinks).is_some(), "it has stayed");
    sinks.change_to(&[]).unwrap();
    sinks.change_to(&[server]).unwrap();
    assert!(page(&sinks).is_none());
}

#[test]
fn a_former_output_that_fails_ends_nothing_and_its_lines_are_counted() {
    let ((output, written), (other, _written)) = (collect(), collect());
    drop(written);
    let mut sinks = sinks(vec![output, other]);
    let former = sinks.sinks.remove(0);
    former.queue.push(&mut b"one\ntwo\n".to_vec());
    former.queue.close();
    while !former.queue.has_finished() {
        std::thread::yield_now();
    }
    sinks.former.push(former);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            () = sinks.failed() => true,
            () = std::future::ready(()) => false,
        }
    });
    assert!(!ended);
    assert_eq!(sinks.dropped_lines(), 2);
    let target = "unix:/run/nobody".parse().unwrap();
    sinks.change_to(&[target]).unwrap();
    assert_eq!((sinks.former.len(), sinks.dropped_lines()), (1, 2));
    sinks.close(Duration::from_secs(60)).unwrap();
}

#[test]
fn a_failure_is_told_and_kept() {
    let (output, written) = collect();
    drop(written);
    let sinks = sinks(vec![output]);
    sinks.push(&mut b"lost\n".to_vec());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(sinks.failed());
    let (label, error) = sinks.close(Duration::from_secs(60)).unwrap_err();
    assert_eq!(
        (label.as_str(), error.kind()),
        ("test", io::ErrorKind::BrokenPipe)
    );
}
