package netpoll

import "errors"

// A Poller reports events on the sockets of one loop and lets the loop sleep
// until there is one. Each system has its own (poller_linux.go,
// poller_other.go), with this contract:
//
//   - Add registers a socket for its whole life, edge-triggered, for reading and
//     writing. The event carries the slot and the generation given here, so a
//     stale event of a closed socket cannot be taken for one of the socket that
//     got its slot. Closing the socket unregisters it.
//   - Wait returns the pending events. With park it sleeps until an event
//     arrives, Wake is called, or the deadline passes. It may return no event.
//   - Wake ends one Wait, the current or the next. It may be called from any
//     goroutine; calls while the loop is awake cost one atomic read.
//   - All other methods belong to the loop.

// Event is what happened on one socket.
type Event struct {
	Slot       int32
	Generation uint32
	Flags      Flags
}

// Flags say what happened.
type Flags uint8

// The flags of an event. They may come together.
const (
	Readable Flags = 1 << iota // bytes to read, or the peer has closed its side
	Writable                   // takes bytes again
	HungUp                     // nothing follows the bytes that can still be read
)

// Slots that are not connections.
const (
	// SlotListener is the slot of a listening socket.
	SlotListener int32 = -1
	slotWake     int32 = -2
)

// MaxEvents is how many events one Wait returns: enough to spread the cost of
// the system call, few enough that the output of the first one leaves soon.
// With 256 the set-up of a connection cost a sixth more CPU.
const MaxEvents = 32

// ErrAgain means that a socket has nothing to give or takes nothing now. An
// event follows when that changes.
var ErrAgain = errors.New("netpoll: would block")
