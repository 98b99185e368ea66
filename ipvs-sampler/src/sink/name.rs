//! The other side's host name, looked up again and again: names move to other addresses while connections
//! to the former ones still seem to work.
//!
//! A lookup may take as long as the resolver's timeouts, so it has a thread of its own, and the last answer
//! stays in use until there is another one. Only the very first lookup is waited for, by the output's writer.

use std::{
    fmt::Display,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{
        Arc,
        mpsc::{self, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

/// Time between two lookups of a name that is in use.
const EVERY: Duration = Duration::from_secs(60);

/// So many lookups in a row have to leave out an address before the name has left it: resolvers answer with
/// some of many addresses, in turns. When an answer has none of the known ones, it has left them all.
const ABSENT: u8 = 3;

/// Looks up `HOST:PORT`.
pub(super) type Resolve = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

type Answer = io::Result<Vec<SocketAddr>>;

/// Host and port of the other side.
pub(super) struct HostName {
    host_and_port: String,
    resolve: Resolve,
    /// The last answer, and behind it what only answers before it had; empty before the first one.
    addresses: Vec<SocketAddr>,
    /// How many lookups in a row have left out each of them.
    absent: Vec<u8>,
    /// When it is time for another lookup.
    due: Instant,
    /// A lookup is wanted before its time.
    wanted: bool,
    under_way: Option<mpsc::Receiver<Answer>>,
    /// Said already.
    failing: bool,
}

impl HostName {
    /// A name that the C library looks up.
    pub(super) fn new(host_and_port: &str) -> Self {
        Self::with_resolver(host_and_port, Arc::new(look_up))
    }

    pub(super) fn with_resolver(host_and_port: &str, resolve: Resolve) -> Self {
        Self {
            host_and_port: host_and_port.into(),
            resolve,
            addresses: Vec::new(),
            absent: Vec::new(),
            due: Instant::now(),
            wanted: false,
            under_way: None,
            failing: false,
        }
    }

    /// Where it is, as far as is known. The first time, this waits for the resolver.
    pub(super) fn addresses(&mut self) -> io::Result<&[SocketAddr]> {
        if self.addresses.is_empty() {
            self.due = Instant::now() + EVERY;
            self.addresses = answered((self.resolve)(&self.host_and_port))?;
            self.absent = vec![0; self.addresses.len()];
        }
        Ok(&self.addresses)
    }

    /// The name may have moved: it is looked up again soon.
    pub(super) fn look_again(&mut self) {
        self.wanted = true;
    }

    /// Takes in the answer of a lookup that has ended, and begins another one when it is time. Never waits.
    /// Whether the name has left an address.
    pub(super) fn follow(&mut self, output: &impl Display) -> bool {
        let mut moved = false;
        if let Some(under_way) = &self.under_way {
            match under_way.try_recv() {
                Err(TryRecvError::Empty) => return false,
                Ok(answer) => moved = self.take(output, answered(answer)),
                Err(TryRecvError::Disconnected) => {
                    self.take(output, Err(io::Error::other("the lookup broke off")));
                }
            }
            self.under_way = None;
        }
        let is_due = self.wanted || Instant::now() >= self.due;
        if is_due && !self.addresses.is_empty() && self.host_and_port.parse::<SocketAddr>().is_err()
        {
            self.begin();
        }
        moved
    }

    /// Whether the name still leads to an address.
    pub(super) fn leads_to(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Says that the connection goes to the new address.
    pub(super) fn say_moved(&self, output: &impl Display) {
        let (name, addresses) = (&self.host_and_port, listed(&self.addresses));
        log::info!("{output}: {name} is now at {addresses}; reconnecting");
    }

    fn begin(&mut self) {
        let (sender, receiver) = mpsc::channel();
        let (resolve, name) = (Arc::clone(&self.resolve), self.host_and_port.clone());
        let spawned = thread::Builder::new()
            .name("lookup".into())
            // Whoever asked may have gone meanwhile.
            .spawn(move || drop(sender.send(resolve(&name))));
        self.due = Instant::now() + EVERY;
        self.wanted = false;
        self.under_way = spawned.ok().map(|_| receiver);
    }

    fn take(&mut self, output: &impl Display, answer: Answer) -> bool {
        match answer {
            Ok(addresses) => {
                let moved = self.replace(addresses);
                let name = &self.host_and_port;
                if std::mem::take(&mut self.failing) {
                    log::info!("{output}: {name} resolves again");
                }
                moved
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let name = &self.host_and_port;
                    let addresses = listed(&self.addresses);
                    log::warn!("{output}: cannot resolve {name}: {error}; still using {addresses}");
                }
                false
            }
        }
    }
}

impl HostName {
    /// Takes over an answer; whether an address is left.
    fn replace(&mut self, answer: Vec<SocketAddr>) -> bool {
        let known = std::mem::take(&mut self.addresses);
        let absent = std::mem::take(&mut self.absent);
        let is_another = !known.iter().any(|old| answer.contains(old));
        self.absent.resize(answer.len(), 0);
        self.addresses = answer;
        let mut left = false;
        for (old, absent) in known.into_iter().zip(absent) {
            if self.addresses.contains(&old) {
                continue;
            }
            if is_another || absent + 1 >= ABSENT {
                left = true;
            } else {
                self.addresses.push(old);
                self.absent.push(absent + 1);
            }
        }
        left
    }
}

fn look_up(host_and_port: &str) -> Answer {
    Ok(host_and_port.to_socket_addrs()?.collect())
}

/// An answer without an address is none.
fn answered(answer: Answer) -> Answer {
    match answer {
        Ok(addresses) if addresses.is_empty() => {
            Err(io::Error::new(io::ErrorKind::NotFound, "no such host"))
        }
        other => other,
    }
}

fn listed(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    addresses.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        io,
        net::SocketAddr,
        sync::{Arc, Mutex},
        thread,
        time::Instant,
    };

    use super::{Answer, EVERY, HostName};

    /// A resolver whose answer can be changed. `None` fails.
    #[derive(Clone, Default)]
    pub(in super::super) struct Played(Arc<Mutex<Option<SocketAddr>>>);

    impl Played {
        pub(in super::super) fn answer(&self, address: Option<SocketAddr>) {
            *self.0.lock().unwrap() = address;
        }

        pub(in super::super) fn name(&self) -> HostName {
            let played = self.clone();
            let resolve = move |_: &str| -> Answer {
                let address = *played.0.lock().unwrap();
                Ok(vec![address.ok_or_else(|| io::Error::other("no answer"))?])
            };
            HostName::with_resolver("there:1", Arc::new(resolve))
        }
    }

    /// Follows it until the lookup that was asked for has ended; whether it moved.
    fn followed(name: &mut HostName) -> bool {
        name.look_again();
        name.follow(&"output");
        loop {
            let moved = name.follow(&"output");
            if name.under_way.is_none() {
                return moved;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_name_that_moved_leads_to_the_new_address_alone() {
        let [old, new]: [SocketAddr; 2] =
            ["192.0.2.1:1", "192.0.2.2:1"].map(|text| text.parse().unwrap());
        let played = Played::default();
        let mut name = played.name();
        assert!(name.addresses().is_err());
        played.answer(Some(old));
        assert_eq!(name.addresses().unwrap(), [old]);
        assert!(!followed(&mut name));
        played.answer(Some(new));
        assert!(!name.follow(&"output"), "it is not time yet");
        assert!(followed(&mut name));
        assert!(name.leads_to(new) && !name.leads_to(old));
    }

    #[test]
    fn a_lookup_that_fails_leaves_the_address_in_use() {
        let old: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let played = Played::default();
        played.answer(Some(old));
        let mut name = played.name();
        name.addresses().unwrap();
        played.answer(None);
        assert!(!followed(&mut name) && name.failing);
        assert_eq!(name.addresses().unwrap(), [old]);
        played.answer(Some(old));
        assert!(!followed(&mut name) && !name.failing);
    }

    #[test]
    fn a_name_in_use_is_looked_up_again_after_a_while() {
        let [old, new]: [SocketAddr; 2] =
            ["192.0.2.1:1", "192.0.2.2:1"].map(|text| text.parse().unwrap());
        let played = Played::default();
        played.answer(Some(old));
        let mut name = played.name();
        name.addresses().unwrap();
        name.follow(&"output");
        assert!(name.under_way.is_none(), "it is not time yet");
        played.answer(Some(new));
        assert!(name.due > Instant::now() && name.due <= Instant::now() + EVERY);
        name.due = Instant::now();
        while !name.follow(&"output") {
            thread::yield_now();
        }
        assert!(name.leads_to(new));
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let mut name = HostName::new("192.0.2.1:1");
        name.addresses().unwrap();
        name.look_again();
        name.follow(&"output");
        assert!(name.under_way.is_none());
    }

    #[test]
    fn an_address_is_left_when_it_stays_away() {
        let address = |last: u8| SocketAddr::from(([127, 0, 0, last], 1));
        let mut name = HostName::with_resolver("there:1", Arc::new(|_: &str| Ok(Vec::new())));
        assert!(!name.replace(vec![address(1), address(2)]));
        // In turns, some of many.
        for answer in [[2, 3], [1, 3], [2, 3], [1, 2]] {
            assert!(!name.replace(answer.map(address).to_vec()), "{answer:?}");
            assert!(name.leads_to(address(1)));
        }
        // 3 stays away.
        assert!(!name.replace(vec![address(1)]));
        assert!(name.replace(vec![address(1)]));
        assert!(!name.leads_to(address(3)));
        // Somewhere else altogether.
        assert!(name.replace(vec![address(9)]));
        assert_eq!(name.addresses, [address(9)]);
    }
}
