package session

import (
	"sync"

	"github.com/stoa-io/stoa/wire"
)

// scratch holds what a driver is shown during one call. These values escape
// through the Driver interface, so on the stack they would cost an allocation
// per message, and inside the session their size for every idle connection.
type scratch struct {
	message wire.Message
	event   Event
	request Request
	publish wire.PublishRequest
	// position is that of the emit being received.
	position []byte
	// volatile says that the message being received is a volatile emit.
	volatile bool
	// payload is the message being sent, names are its namespace, room and
	// event.
	payload, names []byte
}

// maxKept is the largest buffer that goes back into the pool: one huge reply
// must not pin its size for good.
const maxKept = 64 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func borrow() *scratch { return scratches.Get().(*scratch) }

// release gives back a scratch without the views into other people's memory.
func (c *scratch) release() {
	payload, names := c.payload[:0], c.names[:0]
	if cap(payload) > maxKept {
		payload = nil
	}
	if cap(names) > maxKept {
		names = nil
	}
	*c = scratch{payload: payload, names: names}
	scratches.Put(c)
}

// bytes returns the bytes of a name, valid until release.
func (c *scratch) bytes(name string) []byte {
	start := len(c.names)
	c.names = append(c.names, name...)
	return c.names[start:]
}
