// follow_book SEGMENT SYMBOL [RUNS]: keeps one instrument's whole book and prints its update id, best bid and
// best ask (price quantity, each) after every change of it, verified by the publisher's checksums. When the
// publisher ends it says how and goes over to the next one of that name; after RUNS publishers it ends.
//
// Over libmdp_shm, with the standard library alone:
//
//	dir=$(dirname "$(mdp --shm-library)")
//	CGO_LDFLAGS="-L$dir -Wl,-rpath,$dir" go build follow_book.go
package main

/*
#cgo LDFLAGS: -lmdp_shm
#include <stdint.h>
#include <stdlib.h>

struct level { int64_t price, quantity; };
// The fields that are used here; the whole entry is as long as mdp_shm_size_of() says.
struct instrument {
  uint64_t seq;
  uint32_t symbol_id;
  uint16_t exchange_id;
  int8_t price_exponent, quantity_exponent;
  uint64_t more[62];
};

uint32_t mdp_shm_abi_version(void);
size_t mdp_shm_size_of(int type);
void* mdp_shm_subscriber_new(void);
void mdp_shm_subscriber_delete(void* feed);
int mdp_shm_open(void* feed, const char* name);
int mdp_shm_reattach(void* feed);
int mdp_shm_find(const void* feed, const char* symbol, struct instrument* out);
int mdp_shm_ended(int status);
const char* mdp_shm_attach_status_text(int status);
const char* mdp_shm_read_status_text(int status);
const char* mdp_shm_decimal(char* out, int64_t mantissa, int8_t exponent);
void* mdp_shm_keeper_new(void);
void mdp_shm_keeper_delete(void* book);
void mdp_shm_keeper_verify(void* book, int on);
int mdp_shm_keeper_follow(void* book, void* feed, uint32_t symbol_id);
int mdp_shm_keeper_wait(void* book, void* feed, void* event, int how, int64_t timeout_ns, int64_t limit_ns);
int mdp_shm_keeper_usable(const void* book);
uint64_t mdp_shm_keeper_update_id(const void* book);
int mdp_shm_keeper_level(const void* book, int side, size_t index, struct level* out);
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"
)

const (
	ok             = 0
	bell           = 3 // how to wait: asleep, until the publisher rings
	bids           = 0
	asks           = 1
	event          = 1 // of mdp_shm_size_of()
	instrument     = 10
	secondNs       = 1_000_000_000
	heartbeatLimit = -1 // what the segment's header asks for
)

// A reader and the book it follows, to be closed.
type follower struct {
	feed, book, event unsafe.Pointer
	symbol            *C.char
	of                C.struct_instrument
}

func open(segment, symbol string) (*follower, error) {
	if C.mdp_shm_abi_version() != 1 || C.mdp_shm_size_of(instrument) != C.sizeof_struct_instrument {
		return nil, errors.New("libmdp_shm is of another version than this program")
	}
	f := &follower{
		feed:   C.mdp_shm_subscriber_new(),
		book:   C.mdp_shm_keeper_new(),
		event:  C.malloc(C.mdp_shm_size_of(event)), // C's memory: Go's may move
		symbol: C.CString(symbol),
	}
	if f.feed == nil || f.book == nil {
		return nil, errors.New("no memory")
	}
	C.mdp_shm_keeper_verify(f.book, 1)
	name := C.CString(segment)
	defer C.free(unsafe.Pointer(name))
	if status := C.mdp_shm_open(f.feed, name); status != ok {
		f.close()
		return nil, errors.New(C.GoString(C.mdp_shm_attach_status_text(status)))
	}
	return f, nil
}

func (f *follower) close() {
	C.mdp_shm_keeper_delete(f.book)
	C.mdp_shm_subscriber_delete(f.feed)
	C.free(f.event)
	C.free(unsafe.Pointer(f.symbol))
}

// Takes the book as it is now. A publisher that has just started may not list it yet: false.
func (f *follower) join() bool {
	return C.mdp_shm_find(f.feed, f.symbol, &f.of) != 0 &&
		C.mdp_shm_keeper_follow(f.book, f.feed, f.of.symbol_id) == ok
}

func (f *follower) best(side C.int) (string, bool) {
	var level C.struct_level
	var price, quantity [160]C.char
	if C.mdp_shm_keeper_level(f.book, side, 0, &level) == 0 {
		return "", false
	}
	C.mdp_shm_decimal(&price[0], level.price, f.of.price_exponent)
	C.mdp_shm_decimal(&quantity[0], level.quantity, f.of.quantity_exponent)
	return C.GoString(&price[0]) + " " + C.GoString(&quantity[0]), true
}

// Update id and best prices, while the book may be used.
func (f *follower) top() (id uint64, line string, usable bool) {
	id = uint64(C.mdp_shm_keeper_update_id(f.book))
	bid, hasBid := f.best(bids)
	ask, hasAsk := f.best(asks)
	usable = C.mdp_shm_keeper_usable(f.book) != 0 && hasBid && hasAsk
	return id, fmt.Sprintf("%d %s %s", id, bid, ask), usable
}

// Prints until the publisher ends, and says how.
func (f *follower) follow() string {
	var last uint64
	for {
		status := C.mdp_shm_keeper_wait(f.book, f.feed, f.event, bell, secondNs, heartbeatLimit)
		if C.mdp_shm_ended(status) != 0 {
			return C.GoString(C.mdp_shm_read_status_text(status))
		}
		if id, line, usable := f.top(); usable && id != last {
			last = id
			fmt.Println(line)
		}
	}
}

// Tries every 50 ms for a minute.
func withinAMinute(attempt func() bool) bool {
	for tries := 0; tries < 1200; tries++ {
		if attempt() {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

func run(segment, symbol string, runs uint64) error {
	f, err := open(segment, symbol)
	if err != nil {
		return err
	}
	defer f.close()
	for n := uint64(0); n < runs; n++ {
		next := n == 0 || withinAMinute(func() bool { return C.mdp_shm_reattach(f.feed) == ok })
		if !next || !withinAMinute(f.join) {
			return fmt.Errorf("%s: no publisher has it", symbol)
		}
		fmt.Println("joined")
		fmt.Println(f.follow())
	}
	return nil
}

func main() {
	runs := ^uint64(0)
	var err error
	if len(os.Args) == 4 {
		runs, err = strconv.ParseUint(os.Args[3], 10, 64)
	}
	if err != nil || len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "usage: follow_book SEGMENT SYMBOL [RUNS]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], runs); err != nil {
		fmt.Fprintf(os.Stderr, "follow_book: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
