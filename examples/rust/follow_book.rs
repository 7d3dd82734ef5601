// follow_book SEGMENT SYMBOL [RUNS]: keeps one instrument's whole book and prints its update id, best bid and
// best ask (price quantity, each) after every change of it, verified by the publisher's checksums. When the
// publisher ends it says how and goes over to the next one of that name; after RUNS publishers it ends.
//
// Over libmdp_shm, with the standard library alone:
//   dir=$(dirname "$(mdp --shm-library)")
//   rustc --edition 2021 -O -L native="$dir" -C link-arg=-Wl,-rpath,"$dir" follow_book.rs
use std::ffi::{c_void, CStr, CString};
use std::io::Write;
use std::os::raw::{c_char, c_int};
use std::thread::sleep;
use std::time::Duration;

const OK: c_int = 0;
const BELL: c_int = 3; // how to wait: asleep, until the publisher rings
const BIDS: c_int = 0;
const ASKS: c_int = 1;
const SECOND_NS: i64 = 1_000_000_000;
const HEARTBEAT_LIMIT: i64 = -1; // what the segment's header asks for

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Level {
    price: i64,
    quantity: i64,
}

// The fields that are used here; the whole entry is as long as mdp_shm_size_of() says.
#[repr(C)]
struct Instrument {
    seq: u64,
    symbol_id: u32,
    exchange_id: u16,
    price_exponent: i8,
    quantity_exponent: i8,
    more: [u64; 62],
}

#[link(name = "mdp_shm")]
extern "C" {
    fn mdp_shm_abi_version() -> u32;
    fn mdp_shm_size_of(kind: c_int) -> usize;
    fn mdp_shm_subscriber_new() -> *mut c_void;
    fn mdp_shm_subscriber_delete(feed: *mut c_void);
    fn mdp_shm_open(feed: *mut c_void, name: *const c_char) -> c_int;
    fn mdp_shm_reattach(feed: *mut c_void) -> c_int;
    fn mdp_shm_find(feed: *const c_void, symbol: *const c_char, out: *mut Instrument) -> c_int;
    fn mdp_shm_ended(status: c_int) -> c_int;
    fn mdp_shm_attach_status_text(status: c_int) -> *const c_char;
    fn mdp_shm_read_status_text(status: c_int) -> *const c_char;
    fn mdp_shm_decimal(out: *mut c_char, mantissa: i64, exponent: i8) -> *const c_char;
    fn mdp_shm_keeper_new() -> *mut c_void;
    fn mdp_shm_keeper_delete(book: *mut c_void);
    fn mdp_shm_keeper_verify(book: *mut c_void, on: c_int);
    fn mdp_shm_keeper_follow(book: *mut c_void, feed: *mut c_void, symbol_id: u32) -> c_int;
    fn mdp_shm_keeper_wait(
        book: *mut c_void,
        feed: *mut c_void,
        event: *mut u64,
        how: c_int,
        timeout_ns: i64,
        heartbeat_limit_ns: i64,
    ) -> c_int;
    fn mdp_shm_keeper_usable(book: *const c_void) -> c_int;
    fn mdp_shm_keeper_update_id(book: *const c_void) -> u64;
    fn mdp_shm_keeper_level(book: *const c_void, side: c_int, index: usize, out: *mut Level) -> c_int;
}

const EVENT: c_int = 1; // of mdp_shm_size_of()
const INSTRUMENT: c_int = 10;

fn text(of: *const c_char) -> String {
    unsafe { CStr::from_ptr(of) }.to_string_lossy().into_owned()
}

/// A reader and the book it follows; both end with it.
struct Follower {
    feed: *mut c_void,
    book: *mut c_void,
    event: Vec<u64>,
    of: Instrument,
    symbol: CString,
}

impl Follower {
    fn open(segment: &str, symbol: &str) -> Result<Follower, String> {
        let name = CString::new(segment).map_err(|_| "a segment's name has no NUL")?;
        let symbol = CString::new(symbol).map_err(|_| "a symbol has no NUL")?;
        unsafe {
            if mdp_shm_abi_version() != 1 || mdp_shm_size_of(INSTRUMENT) != std::mem::size_of::<Instrument>() {
                return Err("libmdp_shm is of another version than this program".into());
            }
            let follower = Follower {
                feed: mdp_shm_subscriber_new(),
                book: mdp_shm_keeper_new(),
                event: vec![0; mdp_shm_size_of(EVENT) / 8],
                of: std::mem::zeroed(),
                symbol,
            };
            if follower.feed.is_null() || follower.book.is_null() {
                return Err("no memory".into());
            }
            mdp_shm_keeper_verify(follower.book, 1);
            match mdp_shm_open(follower.feed, name.as_ptr()) {
                OK => Ok(follower),
                status => Err(text(mdp_shm_attach_status_text(status))),
            }
        }
    }

    /// Takes the book as it is now. A publisher that has just started may not list it yet: false.
    fn join(&mut self) -> bool {
        unsafe {
            mdp_shm_find(self.feed, self.symbol.as_ptr(), &mut self.of) != 0
                && mdp_shm_keeper_follow(self.book, self.feed, self.of.symbol_id) == OK
        }
    }

    fn wait(&mut self) -> c_int {
        unsafe { mdp_shm_keeper_wait(self.book, self.feed, self.event.as_mut_ptr(), BELL, SECOND_NS, HEARTBEAT_LIMIT) }
    }

    fn best(&self, side: c_int) -> Option<String> {
        let mut level = Level::default();
        let mut buffer = [0 as c_char; 160];
        unsafe {
            if mdp_shm_keeper_level(self.book, side, 0, &mut level) == 0 {
                return None;
            }
            let price = text(mdp_shm_decimal(buffer.as_mut_ptr(), level.price, self.of.price_exponent));
            let quantity = text(mdp_shm_decimal(buffer.as_mut_ptr(), level.quantity, self.of.quantity_exponent));
            Some(format!("{price} {quantity}"))
        }
    }

    /// Update id and best prices, while the book may be used.
    fn top(&self) -> Option<(u64, String)> {
        if unsafe { mdp_shm_keeper_usable(self.book) } == 0 {
            return None;
        }
        let update_id = unsafe { mdp_shm_keeper_update_id(self.book) };
        Some((update_id, format!("{update_id} {} {}", self.best(BIDS)?, self.best(ASKS)?)))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        unsafe {
            mdp_shm_keeper_delete(self.book);
            mdp_shm_subscriber_delete(self.feed);
        }
    }
}

/// Tries every 50 ms for a minute.
fn within_a_minute(mut attempt: impl FnMut() -> bool) -> bool {
    (0..1200).any(|_| {
        attempt() || {
            sleep(Duration::from_millis(50));
            false
        }
    })
}

fn run(segment: &str, symbol: &str, runs: u64) -> Result<(), String> {
    let mut follower = Follower::open(segment, symbol)?;
    let mut out = std::io::stdout();
    let mut say = |line: &str| writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string());
    for run in 0.. {
        let next = run == 0 || within_a_minute(|| unsafe { mdp_shm_reattach(follower.feed) } == OK);
        if !next || !within_a_minute(|| follower.join()) {
            return Err(format!("{symbol}: no publisher has it"));
        }
        say("joined")?;
        let mut last = 0;
        let status = loop {
            let status = follower.wait();
            if unsafe { mdp_shm_ended(status) } != 0 {
                break status;
            }
            if let Some((update_id, line)) = follower.top().filter(|top| top.0 != last) {
                last = update_id;
                say(&line)?;
            }
        };
        say(&text(unsafe { mdp_shm_read_status_text(status) }))?;
        if run + 1 == runs {
            break;
        }
    }
    Ok(())
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runs = words.get(2).map_or(Ok(u64::MAX), |word| word.parse());
    let (segment, symbol, runs) = match (words.as_slice(), runs) {
        ([segment, symbol] | [segment, symbol, _], Ok(runs)) => (segment, symbol, runs),
        _ => {
            eprintln!("usage: follow_book SEGMENT SYMBOL [RUNS]");
            std::process::exit(2)
        }
    };
    if let Err(why) = run(segment, symbol, runs) {
        eprintln!("follow_book: {segment}: {why}");
        std::process::exit(1);
    }
}
