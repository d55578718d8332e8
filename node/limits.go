package node

import (
	"fmt"

	"github.com/stoa-io/stoa/internal/addresses"
	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Limits bounds what one peer may cost. Zero means the default; negative means
// no limit.
type Limits struct {
	// Message is the size of the largest message, all fragments together, in
	// bytes; 64 KiB by default. A broker may have a limit, too, such as
	// redisbroker.Config.MaxMessage.
	Message int
	// Names bounds the lengths of names and tokens. Its Message is ignored.
	Names wire.Limits
	// Header is the size of an HTTP request head in bytes; 8 KiB by default.
	Header int
	// Namespaces and Rooms of one connection; 16 and 128 by default.
	Namespaces, Rooms int
	// SendQueue is the size in bytes, overhead included, of the frames that are
	// queued for one connection; 1 MiB by default. Beyond it the connection is
	// closed as a slow consumer.
	SendQueue int
	// ReceiveQueue is the size in bytes of the messages of one connection that
	// are queued behind one that is being handled; 64 KiB by default. Beyond it
	// the connection is not read.
	ReceiveQueue int
	// LoopQueue is the size in bytes of the deliveries that are queued for one
	// loop; 16 MiB by default. Beyond it publishing connections are not read.
	LoopQueue int
	// QueueMemory is the size in bytes of all queues of the node together: send
	// queues, messages and deliveries that wait, and those of handlers, each
	// with its overhead. By default it is a quarter of the memory that the
	// process may use, as New finds it: that of the machine, the limits of its
	// control groups, or GOMEMLIMIT; 1 GiB where that is unknown. Above three
	// quarters of it clients that publish are not read, and Node.Emit waits,
	// for at most a second. Beyond it the connection with the largest send
	// queue is closed as a slow consumer, then the next one, until the rest is
	// within the limit.
	//
	// A frame counts once for each queue, although its memory is shared. So
	// connections are closed only while the heap of the process exceeds the
	// limit, too.
	QueueMemory int
	// HistoryMemory is the size in bytes of the recent messages of all rooms
	// with history that the node holds, so that most clients that come back
	// need nothing of the broker; the frames of the messages not included. The
	// default is 64 MiB.
	HistoryMemory int
	// InvalidPayloads is how many malformed messages a connection may send in
	// ten seconds before it is closed; 100 by default.
	InvalidPayloads int
	// Connections is how many connections the node holds; further ones are
	// answered with 503. By default it is the limit of open files of the
	// process, as New finds it, less a reserve of 64 and 4 for each loop, but
	// at least half of it. In any case the last 24 descriptors are left to the
	// broker and to files: until one more is free, new connections wait
	// unaccepted.
	Connections int
	// PendingHandshakes is how many accepted sockets may be without a whole
	// request; by default a quarter of the limit of open files of the process,
	// as New finds it. Each loop has an equal share. Beyond it, and while
	// descriptors run out, the socket that has been open for longest is closed
	// once it is a quarter of a second old; until then new ones wait. So a
	// client that opens many and sends nothing keeps no other client from the
	// node.
	PendingHandshakes int
	// Asks is how many asks of one connection to other clients may be in
	// flight; 64 by default.
	Asks int
	// AsksToClient is how many asks of a room's members to one of them may wait
	// for its answer; 256 by default. Beyond it an ask to the room leaves this
	// member out.
	AsksToClient int
	// ConnectionsPerUser is how many connections a user may have in the whole
	// cluster; any number by default. UserOverflow says what happens beyond it.
	// It is exact within a second, if the clocks of the nodes agree. Each
	// connection then costs a question to the nodes that have others of the
	// user.
	ConnectionsPerUser int
	// UserOverflow is the outcome for connections beyond ConnectionsPerUser;
	// UserOverflowClose by default.
	UserOverflow UserOverflow
	// DrainPerSecond is how many connections Shutdown closes per second; 1,000
	// by default, negative: all at once.
	DrainPerSecond int
	// Authentications is how many tokens a client may hand in per minute over
	// its open connection; 10 by default. Beyond it the connection is closed.
	// Each of at most 8 KiB, one after the other.
	Authentications int

	// Messages and Bytes are the rates of what one connection sends. A message
	// is a frame of any kind but close, and its bytes include the header.
	// Answers to asks of the node and of its clients do not count. Above a rate
	// the connection is not read, so that TCP slows the client down; see
	// OverRate. No limit by default.
	Messages, Bytes Rate
	// UserMessages and UserBytes are the rates of what all connections of one
	// user to this node send together. They hold for connections whose Identity
	// has a User. No limit by default.
	UserMessages, UserBytes Rate
	// OverRate is the policy for a connection that stays above one of these
	// rates; OverRatePause by default.
	OverRate OverRate
	// Joins is the rate of the requests of one connection: joins and leaves,
	// connects and disconnects. Further ones wait, in order, and so do the
	// messages after them, within ReceiveQueue. A client that reconnects joins
	// all its rooms at once, which the burst should allow. No limit by default.
	Joins Rate

	// Handshakes is the rate of upgrade requests to the node, and
	// AddressHandshakes that of one client address. Only requests count that
	// are good and find the node with room, before the accept handlers see
	// them. Above a rate they are answered with 429 and Retry-After; pages get
	// wire.CodeTryAgainLater, see Refusal. No limit by default.
	Handshakes, AddressHandshakes Rate
	// AddressConnections is how many connections one client address has to this
	// node, those included that accept handlers decide on. Further ones are
	// answered likewise. No limit by default.
	AddressConnections int
	// AddressPrefix is how many bits of an IPv6 address are the client's
	// address in these limits, as a client can have all others: 64 by default,
	// at most 128.
	AddressPrefix int
}

// Rate limits how often something may occur. The zero value is no limit.
type Rate struct {
	// PerSecond is the number per second that is possible for any length of
	// time, 0.001 to 1e12, with three decimals. Zero is no limit.
	PerSecond float64
	// Burst is the number that is possible at once after a quiet time, at most
	// 2^31 - 1. Zero is that of one second, at least 1.
	Burst int
}

// check returns why the rate cannot be used.
func (r Rate) check(name string) error {
	switch {
	case r.PerSecond == 0 && r.Burst == 0:
		return nil
	case r.PerSecond == 0:
		return fmt.Errorf("node: Limits.%s: has a Burst and no PerSecond", name)
	case !(r.PerSecond >= bucket.MinPerSecond && r.PerSecond <= bucket.MaxPerSecond):
		return fmt.Errorf("node: Limits.%s: PerSecond %v: want %v to %v, or 0 for no limit", name, r.PerSecond, bucket.MinPerSecond, bucket.MaxPerSecond)
	case r.Burst < 0 || r.Burst > bucket.MaxBurst:
		return fmt.Errorf("node: Limits.%s: Burst %d: want 0 to %d", name, r.Burst, bucket.MaxBurst)
	}
	return nil
}

func (r Rate) bucket() bucket.Rate { return bucket.NewRate(r.PerSecond, r.Burst) }

// OverRate is a policy for connections that send more than their rates allow.
type OverRate uint8

// The policies. The zero value, OverRatePause, slows such a connection down.
const (
	OverRatePause OverRate = iota
	// OverRateClose closes it with wire.CodeRateExceeded when it was slowed
	// down for Timeouts.OverRate longer than it was not.
	OverRateClose
)

// String returns the policy as one lower-case word.
func (o OverRate) String() string {
	switch o {
	case OverRatePause:
		return "pause"
	case OverRateClose:
		return "close"
	}
	return "unknown"
}

// check returns every rate that cannot be used.
func (l *Limits) check() []error {
	errs := []error{
		l.Messages.check("Messages"), l.Bytes.check("Bytes"),
		l.UserMessages.check("UserMessages"), l.UserBytes.check("UserBytes"), l.Joins.check("Joins"),
	}
	errs = append(errs, l.Handshakes.check("Handshakes"), l.AddressHandshakes.check("AddressHandshakes"))
	if l.AddressPrefix < 1 || l.AddressPrefix > 128 {
		errs = append(errs, fmt.Errorf("node: Limits.AddressPrefix %d: want 1 to 128", l.AddressPrefix))
	}
	if l.OverRate > OverRateClose {
		errs = append(errs, fmt.Errorf("node: Limits.OverRate %d is unknown", l.OverRate))
	}
	return errs
}

// addresses returns the limits of addresses for the engine.
func (l *Limits) addresses() addresses.Limits {
	return addresses.Limits{
		Handshakes: l.Handshakes.bucket(), AddressHandshakes: l.AddressHandshakes.bucket(),
		Connections: max(l.AddressConnections, 0), Prefix: l.AddressPrefix,
	}
}

// rates returns the rates of messages for the engine.
func (c *Config) rates() bucket.Limits {
	l := &c.Limits
	rates := bucket.Limits{
		Messages: l.Messages.bucket(), Bytes: l.Bytes.bucket(),
		GroupMessages: l.UserMessages.bucket(), GroupBytes: l.UserBytes.bucket(),
	}
	if l.OverRate == OverRateClose {
		rates.CloseAfter = uint32(min(max(c.Timeouts.OverRate.Milliseconds(), 1), 1<<30))
	}
	return rates
}

const (
	defaultHeader       = 8 << 10
	defaultSendQueue    = 1 << 20
	defaultReceiveQueue = 64 << 10
	defaultLoopQueue    = 16 << 20
	defaultInvalid      = 100
	defaultAsks         = 64
	defaultAsksToClient = 256
	defaultDrain        = 1000
	defaultTokens       = 10
	defaultPrefix       = 64
)

func (l Limits) withDefaults() Limits {
	l.Names.Message = l.Message
	l.Names = l.Names.WithDefaults()
	l.Message = l.Names.Message
	setDefault(&l.Header, defaultHeader)
	setDefault(&l.Namespaces, session.DefaultMaxNamespaces)
	setDefault(&l.Rooms, session.DefaultMaxRooms)
	setDefault(&l.SendQueue, defaultSendQueue)
	setDefault(&l.ReceiveQueue, defaultReceiveQueue)
	setDefault(&l.LoopQueue, defaultLoopQueue)
	setDefault(&l.InvalidPayloads, defaultInvalid)
	setDefault(&l.Asks, defaultAsks)
	setDefault(&l.AsksToClient, defaultAsksToClient)
	setDefault(&l.DrainPerSecond, defaultDrain)
	setDefault(&l.Authentications, defaultTokens)
	setDefault(&l.AddressPrefix, defaultPrefix)
	return l
}
