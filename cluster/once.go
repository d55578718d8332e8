package cluster

import (
	"fmt"
	"time"
)

// MaxOnceID is the size of the longest ID of a message that is published once,
// in bytes.
const MaxOnceID = 512

// Once makes a message one that is published a single time, however often it is
// tried: its ID is an idempotency key.
type Once struct {
	// ID is the publisher's name for the message in its channel: 1 to MaxOnceID
	// bytes of any value. Subscribers do not see it.
	ID string
	// Window is for how long the broker remembers the ID, greater than 0. A
	// copy that comes later is a new message.
	Window time.Duration
}

// Validate returns nil, or the reason why such a message cannot be published
// once, which matches ErrInvalidOnce. The messages to a node and to all nodes
// have no history.
func (o *Once) Validate(channel string, env *Envelope) error {
	switch kind := KindOf(channel); {
	case len(o.ID) == 0 || len(o.ID) > MaxOnceID:
		return fmt.Errorf("%w: the ID has %d bytes, not 1 to %d", ErrInvalidOnce, len(o.ID), MaxOnceID)
	case o.Window <= 0:
		return fmt.Errorf("%w: the window is %v", ErrInvalidOnce, o.Window)
	case env.Keep == nil:
		return fmt.Errorf("%w: it is not for a history", ErrInvalidOnce)
	case kind == KindNode || kind == KindCluster:
		return fmt.Errorf("%w: the channel has no history", ErrInvalidOnce)
	}
	return nil
}

// OncePublisher is implemented by Historians that can publish a message once,
// and confirm it.
type OncePublisher interface {
	// PublishOnce is like Publish for an envelope with Keep, and calls done
	// exactly once, when the message is in the history, with its position. If a
	// message with this ID was published to the channel within its window, by
	// any node, then nothing is published, and done gets the position of that
	// one. If the two have different payloads, done gets ErrIDReused. If
	// Once.Validate returns an error, done gets it, and nothing is published.
	//
	// After any other error the message may have been published or not: the
	// caller finds out, and makes sure, by calling again with the same ID. A
	// message that cannot be kept is not published.
	//
	// The order of a channel holds for messages that are published once, too.
	// The call of done may come before PublishOnce returns, on any goroutine;
	// done must neither block nor call the broker.
	PublishOnce(channel string, env *Envelope, once Once, done func(p Position, err error))
}

// Fingerprint tells the payloads of messages with the same ID apart.
func Fingerprint(env *Envelope) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset)
	if env.Binary {
		h = (h ^ 1) * prime
	}
	for _, c := range env.Payload {
		h = (h ^ uint64(c)) * prime
	}
	return h
}
