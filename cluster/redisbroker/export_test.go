package redisbroker

import (
	"context"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// Access for the tests of the package.

const (
	DedupeWindow = dedupeWindow
	MaxPipeline  = maxPipeline
	MaxGrowth    = maxGrowth
	MaxKept      = maxKept
	MaxKeptBytes = maxKeptBytes
	MaxOrigins   = maxOrigins
	LogBurst     = logBurst
	MaxAhead     = maxAhead
)

// ClusterChannel is the channel of all nodes.
var ClusterChannel = clusterChannel

var (
	ErrEnvelopeVersion   = errEnvelopeVersion
	ErrEnvelopeMalformed = errEnvelopeMalformed
)

// Header is the part that brokers add to an envelope.
type Header struct {
	Node                string
	Incarnation, Number uint64
	Internal            bool
}

func AppendEnvelope(dst []byte, s Header, env *cluster.Envelope) []byte {
	return appendEnvelope(dst, s.inside(), env)
}

func EnvelopeSize(s Header, env *cluster.Envelope) int { return envelopeSize(s.inside(), env) }

func (s Header) inside() *header {
	return &header{node: s.Node, incarnation: s.Incarnation, number: s.Number, internal: s.Internal}
}

func DecodeEnvelope(data string, scratch []byte) (s Header, env cluster.Envelope, _ []byte, err error) {
	var inside header
	scratch, err = decodeEnvelope(data, scratch, &inside, &env)
	return Header{Node: inside.node, Incarnation: inside.incarnation, Number: inside.number, Internal: inside.internal},
		env, scratch, err
}

// Dedupe is the filter of repeats.
type Dedupe struct{ dedupe dedupe }

func (d *Dedupe) Accept(s Header) bool { return d.dedupe.accept(s.inside()) == verdictNew }
func (d *Dedupe) Interrupt()           { d.dedupe.interrupt() }
func (d *Dedupe) Missed() uint64       { return d.dedupe.missed }
func (d *Dedupe) Origins() int         { return len(d.dedupe.origins) }

// ServerFacts are the parts of a URL.
type ServerFacts struct {
	Identity, Master, Username, Password string
	SentinelUsername, SentinelPassword   string
	Addresses                            []string
	Database                             int
	TLS                                  bool
}

func ParseURL(text string) (ServerFacts, error) {
	s, err := parseURL(text)
	if err != nil {
		return ServerFacts{}, err
	}
	return ServerFacts{
		Identity: s.identity, Master: s.master, Username: s.username, Password: s.password,
		SentinelUsername: s.sentinelUsername, SentinelPassword: s.sentinelPassword,
		Addresses: s.addresses, Database: s.database, TLS: s.tls != nil,
	}, nil
}

// Trace is the information that a connection leaves to its successor.
type Trace struct {
	ID        int64
	Name, Run string
}

// Introduce opens a connection to the server of a URL as the successor of
// another one, and returns its trace. alive reports whether it still answers.
func Introduce(ctx context.Context, url string, name string, previous Trace) (own Trace, alive func() bool, end func(), err error) {
	config := Config{Servers: []string{url}}.WithDefaults()
	servers, err := config.servers()
	if err != nil {
		return Trace{}, nil, nil, err
	}
	link, err := newLink(ctx, &config, servers[0], linkOptions{
		name: name, timeout: config.DialTimeout, previous: &linkTrace{id: previous.ID, name: previous.Name, run: previous.Run},
	})
	if err != nil {
		return Trace{}, nil, nil, err
	}
	alive = func() bool { return link.client.Ping(ctx).Err() == nil }
	err = link.client.Ping(ctx).Err()
	return Trace{link.trace.id, link.trace.name, link.trace.run}, alive, link.end, err
}

// Replace adds connections that the subscription of the first server is to have
// replaced.
func (b *Broker) Replace(connections ...Trace) {
	s := b.servers[0].subscriber
	by := s.current.Load().link.trace
	for _, c := range connections {
		s.addReplaced(replacedLink{trace: linkTrace{id: c.ID, name: c.Name, run: c.Run}, by: by})
	}
}

// Kept is a queue with acknowledged messages.
type Kept struct{ queue *publishQueue }

func NewKept() Kept { return Kept{newPublishQueue("", header{node: "node"}, 16<<20)} }

// Acknowledge puts messages into the queue and acknowledges them.
func (k Kept) Acknowledge(count, size int, now, age time.Duration) (bytes, fresh int) {
	for range count {
		_, _, _ = k.queue.push("channel", &cluster.Envelope{Payload: make([]byte, size)}, false, now, nil, nil)
	}
	return k.queue.acknowledge(count, now, age)
}

// Queue puts messages into the queue, and returns how many of them a
// transaction of the size takes.
func (k Kept) Queue(count, growth int) (taken int) {
	for range count {
		_, _, _ = k.queue.push("channel", &cluster.Envelope{}, false, time.Hour, nil, nil)
	}
	return len(k.queue.peek(nil, growth))
}

// Suspect returns how many messages wait again. Forget drops the kept ones.
func (k Kept) Suspect() int { return k.queue.suspect() }
func (k Kept) Forget()      { k.queue.forget() }

// AcknowledgeAgain is for messages that wait again.
func (k Kept) AcknowledgeAgain(count int, now, age time.Duration) (bytes, fresh int) {
	return k.queue.acknowledge(count, now, age)
}

// Usage is the size of the queue, and whether it holds no memory.
func (k Kept) Usage() (messages, bytes int, empty bool) {
	messages, bytes = k.queue.usage()
	return messages, bytes, len(k.queue.entries) == 0 && k.queue.keeping == 0
}

// ScratchBytes returns a function for the sizes of the buffers of the current
// subscription, which may be called once the broker is closed.
func ScratchBytes(b *Broker) func() (reader, payload int) {
	s := b.servers[0].subscriber
	session := s.current.Load()
	return func() (reader, payload int) { return session.reader.ScratchBytes(), cap(s.scratch) }
}

// Asleep is a broker that is not started, whose clock the test moves.
type Asleep struct {
	broker    *Broker
	publisher *publisher
}

func NewAsleep(config Config) (*Asleep, error) {
	b, err := New(config)
	if err != nil {
		return nil, err
	}
	return &Asleep{broker: b, publisher: newPublisher(b.servers[0])}, nil
}

// Queue queues a message.
func (a *Asleep) Queue(channel string) error {
	s := a.publisher.server
	size, _, err := s.queue.push(channel, &cluster.Envelope{}, false, s.now(), nil, nil)
	s.congestion.pending.Add(int64(size))
	return err
}

// Pass moves the clock, and then drops old messages. It returns the number
// of messages that are left.
func (a *Asleep) Pass(time time.Duration) (left int) {
	a.broker.epoch = a.broker.epoch.Add(-time)
	a.publisher.expire()
	left, _ = a.publisher.server.queue.usage()
	return left
}

// Subscription is a connection without a socket, on a broker that is not
// started.
type Subscription struct {
	asleep  *Asleep
	session *subscriberSession
}

// Subscribe makes the connection, with a sign of life.
func (a *Asleep) Subscribe() Subscription {
	s := a.publisher.server
	session := &subscriberSession{subscriber: s.subscriber, wake: make(chan struct{}, 1)}
	session.live.Store(true)
	s.awake()
	session.alive()
	s.subscriber.current.Store(session)
	s.subscribing.set(context.Background(), nil)
	return Subscription{a, session}
}

// Interrupted is that of the broker.
func (s Subscription) Interrupted() bool { return s.asleep.broker.Interrupted(0) }

// Receive is the arrival of some bytes, and Check that of the keeper.
func (s Subscription) Receive() { s.session.alive() }
func (s Subscription) Check()   { s.asleep.publisher.server.awake() }

// Pong sends the ping that is due and answers it; it returns false without one.
func (s Subscription) Pong() bool {
	ping, _ := s.session.next()
	return ping && s.session.ponged()
}

// Wait moves the clock only.
func (a *Asleep) Wait(time time.Duration) { a.broker.epoch = a.broker.epoch.Add(-time) }

// Suspects is the number of messages for histories that the publisher of the
// first server would send after a crash, those of the queue included.
func (b *Broker) Suspects() (count int) {
	q := b.servers[0].queue
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.entries[q.head:] {
		if q.entries[q.head+i].keep != nil {
			count++
		}
	}
	return count
}
