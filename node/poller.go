package node

// A poller tells one loop what happened on its sockets and lets it sleep
// meanwhile. Each system has its own (poller_linux.go, poller_other.go), with
// this contract:
//
//   - add registers a socket once and for good, edge-triggered, for reading and
//     writing. The event carries the slot and the generation given here, so an
//     event for a socket that was closed in the same batch is told from one of
//     the socket that took its slot. Closing the socket unregisters it.
//   - wait returns the events there are. With park it sleeps until there is an
//     event, wake was called, or the deadline has passed. It may return no event.
//   - wake ends one wait, now or the next. It may be called from any goroutine;
//     calls while the loop is awake cost one atomic read.
//   - Everything but wake belongs to the loop.
//
// The loop parks in Go's own poller rather than in a system call, so that a
// parked loop holds no thread and everything else in the process (broker
// connections, net/http) is scheduled beside it; ARCHITECTURE.md has the
// measurements.

// event is what happened on one socket.
type event struct {
	slot       int32
	generation uint32
	flags      eventFlags
}

type eventFlags uint8

const (
	eventRead   eventFlags = 1 << iota // readable, or the peer has closed its side
	eventWrite                         // writable again
	eventHangup                        // no more will come after what can be read
)

// Slots that are not connections.
const (
	slotListener int32 = -1
	slotWake     int32 = -2
)

// maxEvents is how many events one wait returns: enough to spread the cost of
// the system call, few enough that what the first one brought leaves before the
// last one waits for long. With 256 a connection set up cost a sixth more CPU.
const maxEvents = 32
