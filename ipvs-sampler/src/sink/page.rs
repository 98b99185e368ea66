//! Pages: the whole state as a text that somebody comes to fetch. The tick puts them in, servers take them
//! out; neither waits for the other longer than it takes to hand over a pointer.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFormat {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl PageFormat {
    /// All formats.
    pub const ALL: [Self; 2] = [Self::Text, Self::OpenMetrics];

    /// Its name in HTTP.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One page.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) text: Vec<u8>,
    /// How many samples it has.
    pub(super) samples: u64,
}

/// Memory for pages of one format: one that is served, one that is made, and one that a slow client may
/// keep. When clients keep them all there is no new page until one lets go.
const PAGES: usize = 3;

/// A format that nobody has asked for in this long is not made any more. Whoever scrapes less often than that gets
/// a page of the next tick, or one in the other format.
const FORGET: Duration = Duration::from_secs(600);

/// Ticks that are further apart are not worth waiting for: who scrapes would give up first.
const FURTHEST_TICKS: Duration = Duration::from_secs(5);
/// Even when ticks are closer, they may be late.
const LATE: Duration = Duration::from_secs(1);

/// The exchange of pages between the tick and the servers.
#[derive(Debug, Default)]
pub struct Pages {
    state: Mutex<State>,
    changed: Condvar,
    /// How long to wait for the page of the next tick, in ns.
    patience: AtomicU64,
    /// How many wait, to be seen without the lock: at most ticks nobody does.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// Ticks that made, or make, a page.
    ticks: u64,
    text: Shelf,
    open_metrics: Shelf,
    closed: bool,
}

/// The pages of one format.
#[derive(Debug, Default)]
struct Shelf {
    pages: [Option<Arc<Page>>; PAGES],
    /// Which one is the latest.
    latest: Option<usize>,
    /// The tick that it is of.
    tick: u64,
    /// How many wait for the next.
    waiting: usize,
    /// When somebody asked for this format last.
    asked: Option<Instant>,
}

/// What a tick has to make.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    tick: u64,
    text: bool,
    open_metrics: bool,
}

impl Wanted {
    fn format(self, format: PageFormat) -> bool {
        match format {
            PageFormat::Text => self.text,
            PageFormat::OpenMetrics => self.open_metrics,
        }
    }
}

impl State {
    fn shelf(&mut self, format: PageFormat) -> &mut Shelf {
        match format {
            PageFormat::Text => &mut self.text,
            PageFormat::OpenMetrics => &mut self.open_metrics,
        }
    }
}

impl Pages {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked holding it left plain data behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the loop: ticks are so far apart.
    pub fn set_period(&self, period: Duration) {
        let patience = if period <= FURTHEST_TICKS {
            period + LATE
        } else {
            Duration::ZERO
        };
        let nanoseconds = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        self.patience.store(nanoseconds, Ordering::Relaxed);
    }

    /// For a server: how long to wait for [`Self::next`].
    pub(super) fn patience(&self) -> Duration {
        Duration::from_nanos(self.patience.load(Ordering::Relaxed))
    }

    /// For the tick, before it reads anything: what to make of it. At an interval each format that was asked for
    /// lately, otherwise those that somebody waits for, which mostly is nobody.
    #[must_use]
    pub fn wanted(&self, interval: bool) -> Option<Wanted> {
        if !interval && self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut state = self.lock();
        let lately = |asked: Instant| asked.elapsed() < FORGET;
        let wanted =
            |shelf: &Shelf| shelf.waiting > 0 || interval && shelf.asked.is_some_and(lately);
        let (text, open_metrics) = (wanted(&state.text), wanted(&state.open_metrics));
        // When nobody has asked for a page lately, the text page is made.
        let text = text || interval && !open_metrics;
        if interval {
            // What is not made any more gets old, and nobody is to have it.
            for (made, format) in [text, open_metrics].into_iter().zip(PageFormat::ALL) {
                if !made {
                    state.shelf(format).empty();
                }
            }
        }
        (text || open_metrics).then(|| {
            state.ticks += 1;
            Wanted {
                tick: state.ticks,
                text,
                open_metrics,
            }
        })
    }

    /// For the tick, at its end: `write` appends a page in a format and says how many samples it has.
    pub fn publish(&self, wanted: Wanted, mut write: impl FnMut(&mut Vec<u8>, PageFormat) -> u64) {
        for format in PageFormat::ALL {
            if !wanted.format(format) {
                continue;
            }
            let Some((place, mut page)) = self.lock().shelf(format).take() else {
                continue;
            };
            if let Some(page) = Arc::get_mut(&mut page) {
                page.text.clear();
                page.samples = write(&mut page.text, format);
            }
            let mut state = self.lock();
            let shelf = state.shelf(format);
            shelf.pages[place] = Some(page);
            shelf.latest = Some(place);
            shelf.tick = wanted.tick;
        }
        self.changed.notify_all();
    }

    /// For a server: the page of a tick that begins after this call, or, when there is none for this long, the
    /// latest; in another format when there is no other. `None` when there is no page at all.
    pub(super) fn next(
        &self,
        format: PageFormat,
        patience: Duration,
    ) -> Option<(PageFormat, Arc<Page>)> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        let before = state.ticks;
        let shelf = state.shelf(format);
        shelf.asked = Some(Instant::now());
        shelf.waiting += 1;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        while state.shelf(format).tick <= before && !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        state.shelf(format).waiting -= 1;
        let found = [format].into_iter().chain(PageFormat::ALL);
        found
            .map(|format| (format, state.shelf(format).latest()))
            .find_map(|(format, page)| Some((format, page?)))
    }

    /// The pages that there are get old from now on: no one is to have them.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        for format in PageFormat::ALL {
            state.shelf(format).empty();
        }
    }

    /// Nobody waits any longer.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

impl Shelf {
    /// Lets go of all pages.
    fn empty(&mut self) {
        self.pages = Default::default();
        self.latest = None;
    }

    fn latest(&self) -> Option<Arc<Page>> {
        self.pages[self.latest?].clone()
    }

    /// A page to write on that nobody reads, and its place. The latest stays until there is a newer one.
    fn take(&mut self) -> Option<(usize, Arc<Page>)> {
        for place in 0..PAGES {
            if self.latest == Some(place) {
                continue;
            }
            let free = |page: &Arc<Page>| Arc::strong_count(page) == 1;
            if self.pages[place].as_ref().is_none_or(free) {
                return Some((place, self.pages[place].take().unwrap_or_default()));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        thread,
        time::{Duration, Instant},
    };

    use super::{FORGET, PageFormat, Pages};

    const LONG: Duration = Duration::from_secs(3600);
    const NONE: Duration = Duration::ZERO;

    fn publish(pages: &Pages, interval: bool, text: &str) -> Vec<PageFormat> {
        let mut made = Vec::new();
        if let Some(wanted) = pages.wanted(interval) {
            pages.publish(wanted, |out, format| {
                made.push(format);
                out.extend_from_slice(text.as_bytes());
                1
            });
        }
        made
    }

    fn latest(pages: &Pages, format: PageFormat) -> String {
        let (_, page) = pages.next(format, NONE).unwrap();
        String::from_utf8(page.text.clone()).unwrap()
    }

    /// Somebody who waits in another thread, and does already.
    fn wait(pages: &Arc<Pages>, format: PageFormat) -> thread::JoinHandle<Vec<u8>> {
        let shared = Arc::clone(pages);
        let handle = thread::spawn(move || shared.next(format, LONG).unwrap().1.text.clone());
        while pages.lock().shelf(format).waiting == 0 {
            thread::yield_now();
        }
        handle
    }

    #[test]
    fn the_next_tick_is_waited_for_unless_it_is_far_off() {
        let pages = Pages::default();
        assert_eq!(pages.patience(), NONE);
        for (period, patience) in [(100, 1100), (5000, 6000), (5001, 0), (10_000, 0)] {
            pages.set_period(Duration::from_millis(period));
            assert_eq!(
                pages.patience(),
                Duration::from_millis(patience),
                "{period}"
            );
        }
    }

    #[test]
    fn nobody_waits_and_nothing_is_made_but_at_intervals() {
        let pages = Pages::default();
        assert!(pages.next(PageFormat::Text, NONE).is_none());
        assert_eq!(publish(&pages, true, "a"), [PageFormat::Text]);
        assert_eq!(publish(&pages, false, "b"), []);
        assert_eq!(latest(&pages, PageFormat::Text), "a");
    }

    #[test]
    fn who_waits_gets_the_page_of_a_tick_that_began_afterwards() {
        let pages = Arc::new(Pages::default());
        let begun = pages.wanted(true).unwrap();
        let waiting = wait(&pages, PageFormat::Text);
        pages.publish(begun, |out, _| {
            out.push(b'1');
            1
        });
        assert_eq!(latest(&pages, PageFormat::Text), "1");
        assert!(!waiting.is_finished());
        assert_eq!(publish(&pages, false, "2"), [PageFormat::Text]);
        assert_eq!(waiting.join().unwrap(), b"2");
    }

    #[test]
    fn only_formats_that_are_asked_for_are_made() {
        let pages = Arc::new(Pages::default());
        publish(&pages, true, "1");
        // There is none yet: it comes in the other format.
        let (format, _) = pages.next(PageFormat::OpenMetrics, NONE).unwrap();
        assert_eq!(format, PageFormat::Text);
        let waiting = wait(&pages, PageFormat::OpenMetrics);
        assert_eq!(publish(&pages, false, "2"), [PageFormat::OpenMetrics]);
        assert_eq!(waiting.join().unwrap(), b"2");
        assert_eq!(latest(&pages, PageFormat::Text), "1");
        assert_eq!(publish(&pages, true, "3"), PageFormat::ALL);
    }

    #[test]
    fn a_format_that_is_not_asked_for_any_more_is_not_made_any_more() {
        let pages = Pages::default();
        for format in PageFormat::ALL {
            pages.next(format, NONE);
        }
        assert_eq!(publish(&pages, true, "1"), PageFormat::ALL);
        let forget = |format| {
            let long_ago = Instant::now().checked_sub(FORGET);
            pages.lock().shelf(format).asked = long_ago;
        };
        forget(PageFormat::Text);
        assert_eq!(publish(&pages, true, "2"), [PageFormat::OpenMetrics]);
        // Nobody gets the old one.
        let (format, _) = pages.next(PageFormat::Text, NONE).unwrap();
        assert_eq!(format, PageFormat::OpenMetrics);
        assert_eq!(publish(&pages, true, "3"), PageFormat::ALL);
        PageFormat::ALL.into_iter().for_each(forget);
        assert_eq!(
            publish(&pages, true, "4"),
            [PageFormat::Text],
            "one to begin with"
        );
    }

    #[test]
    fn memory_goes_round_and_what_is_read_stays_as_it_is() {
        let pages = Pages::default();
        let mut kept = Vec::new();
        for text in ["1", "2"] {
            publish(&pages, true, text);
            kept.push(pages.next(PageFormat::Text, NONE).unwrap().1);
        }
        publish(&pages, true, "3");
        // The first two are kept by somebody, the third is the latest: there is no fourth.
        assert_eq!(publish(&pages, true, "4"), []);
        assert_eq!(latest(&pages, PageFormat::Text), "3");
        assert_eq!(kept[0].text, b"1");
        let place = kept[0].text.as_ptr();
        kept.remove(0);
        publish(&pages, true, "5");
        let (_, page) = pages.next(PageFormat::Text, NONE).unwrap();
        assert_eq!(
            (page.text.as_slice(), page.text.as_ptr()),
            (&b"5"[..], place)
        );
    }

    #[test]
    fn the_end_is_the_end_of_all_waiting() {
        let pages = Arc::new(Pages::default());
        publish(&pages, true, "1");
        let waiting = wait(&pages, PageFormat::Text);
        pages.close();
        assert_eq!(waiting.join().unwrap(), b"1");
    }
}
