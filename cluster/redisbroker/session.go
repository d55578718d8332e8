package redisbroker

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster/redisbroker/internal/resp"
)

// heldShare is the part of Config.QueueBytes that bounds the messages that a
// reserve holds, and pushOverhead the memory of one without its bytes. Beyond
// the bound the reserve is not read, and the messages wait at the server.
const (
	heldShare    = 4
	pushOverhead = 48
)

// subscriberSession is one connection of the subscriber. Its reader and its
// writer are goroutines, so that neither waits for the other.
//
// A session delivers from the start, or it begins as a reserve: the successor
// of a silent session. A reserve subscribes to the same channels, but holds the
// messages. So no message is delivered before one that the silent session may
// still deliver, and none is missed if that is given up.
type subscriberSession struct {
	subscriber *subscriber
	link       *link
	conn       net.Conn
	reader     *resp.Reader
	received   atomic.Uint64 // reads that brought bytes; shows signs of life
	waits      atomic.Bool   // the reader waits for bytes, and does not deliver
	aliveAt    atomic.Int64  // Broker.now of the last one
	slept      atomic.Bool   // the process was stopped: bytes may have arrived before it went on
	wake       chan struct{} // capacity 1

	life    context.Context // ends with the connection
	end     context.CancelFunc
	group   sync.WaitGroup // reader and writer
	failure error          // of the reader, once group has ended

	live     atomic.Bool   // messages are delivered
	released chan struct{} // closed when live is set
	holding  sync.Mutex    // guards held and heldBytes; taken for each push until live is set
	held     []resp.Push
	heldSize int

	// Of a reserve.
	channels []string      // to which it subscribes
	missing  int           // confirmations; owned by the reader
	ready    chan struct{} // closed when none is missing
	full     chan struct{} // closed when it holds as much as it may

	mu          sync.Mutex // guards the rest; taken inside subscriptions.mu
	commands    []subscribeCommand
	unconfirmed int // channels in commands that were sent
	pingDue     bool
	pinged      int  // pings without an answer, sent before all unconfirmed commands
	closed      bool // no goroutine may begin to look for a successor
	looking     bool // one does
	lookers     sync.WaitGroup
	successor   *subscriberSession // once lookers have ended
}

// newSession logs in on a link. The session lives until end, or for as long as
// life. attempt bounds the call.
func (s *subscriber) newSession(life, attempt context.Context, link *link) (*subscriberSession, error) {
	session := &subscriberSession{
		subscriber: s, link: link,
		wake: make(chan struct{}, 1), released: make(chan struct{}), ready: make(chan struct{}), full: make(chan struct{}),
	}
	stop := context.AfterFunc(attempt, link.dialer.end)
	defer stop()
	err := link.client.Conn().Ping(attempt).Err()
	if err == nil || link.introduced && isReply(err) {
		session.conn, err = link.dialer.take()
	}
	if err != nil {
		link.end()
		return nil, link.explain(err)
	}
	session.reader = resp.NewReader(signsOfLife{session}, s.server.config().MaxMessage)
	session.life, session.end = context.WithCancel(life)
	context.AfterFunc(session.life, link.dialer.end)
	session.alive()
	return session, nil
}

// signsOfLife reads the connection and counts the reads that brought bytes. A
// part of a long message counts, too.
type signsOfLife struct{ session *subscriberSession }

// Read implements io.Reader.
func (r signsOfLife) Read(p []byte) (int, error) {
	r.session.waits.Store(true)
	n, err := r.session.conn.Read(p)
	r.session.waits.Store(false)
	if n > 0 {
		r.session.received.Add(1)
		r.session.alive()
	}
	return n, err
}

// start starts the reader and the writer. When one of them fails, both end.
func (session *subscriberSession) start() {
	session.group.Go(func() {
		defer session.end()
		session.failure = session.read()
	})
	session.group.Go(func() {
		defer session.end()
		session.write()
	})
}

// stop ends the session and waits for its goroutines.
func (session *subscriberSession) stop() error {
	session.end()
	session.group.Wait()
	session.link.end()
	return session.failure
}

// read is the reader. It sets no deadlines, which saves a system timer per
// message: the keeper looks after a silent connection.
func (session *subscriberSession) read() error {
	for {
		p, err := session.reader.Read()
		if err != nil {
			if isReply(err) && session.ponged() {
				continue
			}
			return err
		}
		if !session.live.Load() && session.hold(&p) {
			continue
		}
		if err := session.handle(&p); err != nil {
			return err
		}
	}
}

func (session *subscriberSession) handle(p *resp.Push) error {
	switch p.Kind {
	case resp.Message:
		session.subscriber.deliver(p.Channel, p.Payload)
	case resp.Pong:
		session.ponged()
	case resp.TooLarge:
		session.subscriber.dropTooLarge(p)
	case resp.Subscribed, resp.Unsubscribed:
		return session.confirm(p)
	}
	return nil
}

// confirm handles the confirmation of one channel.
func (session *subscriberSession) confirm(p *resp.Push) error {
	server := session.subscriber.server
	prefix := server.prefix
	if len(p.Channel) < len(prefix) {
		return fmt.Errorf("redisbroker: unexpected confirmation of %.100q", p.Channel)
	}
	channel := p.Channel[len(prefix):]
	server.subscriptions.confirm(session, channel, p.Kind == resp.Subscribed)
	if channel == clusterChannel {
		session.subscriber.established(session)
	}
	return nil
}

// hold keeps a push of a reserve for later. It returns false when the session
// has become live.
func (session *subscriberSession) hold(p *resp.Push) bool {
	switch p.Kind {
	case resp.Pong:
		session.ponged()
		return true
	case resp.Subscribed:
		if session.missing > 0 {
			session.confirmed()
			if session.missing--; session.missing == 0 {
				close(session.ready)
			}
			return true
		}
	case resp.Message:
		// Messages between brokers that have no number have no order either,
		// and some of them ask whether this connection is subscribed.
		if session.subscriber.handleUnnumbered(p) {
			return true
		}
	}
	session.holding.Lock()
	if session.live.Load() {
		session.holding.Unlock()
		return false
	}
	if session.heldSize < session.subscriber.server.config().QueueBytes/heldShare {
		session.held = append(session.held, *p)
		session.heldSize += len(p.Channel) + len(p.Payload) + pushOverhead
		session.holding.Unlock()
		return true
	}
	session.holding.Unlock()
	if session.life.Err() != nil {
		return true
	}
	close(session.full) // once: now it waits to become live, or for its end
	select {
	case <-session.released:
		return false
	case <-session.life.Done():
		return true
	}
}

// goLive delivers the held messages, and from now on all others at once.
func (session *subscriberSession) goLive() {
	session.holding.Lock()
	defer session.holding.Unlock()
	for i := range session.held {
		// A bad confirmation is the only failure; the reader finds the next.
		_ = session.handle(&session.held[i])
	}
	session.held, session.heldSize, session.channels = nil, 0, nil
	session.live.Store(true)
	close(session.released)
}

// subscribeAsReserve subscribes to the channels.
func (session *subscriberSession) subscribeAsReserve(channels []string) {
	session.channels, session.missing = channels, len(channels)
	for _, channel := range channels {
		session.add(false, channel)
	}
}

// add queues a command for a channel. It is called with subscriptions.mu held,
// or by the only user of the session.
func (session *subscriberSession) add(ending bool, channel string) {
	session.mu.Lock()
	defer session.mu.Unlock()
	last := len(session.commands) - 1
	if last < 0 || session.commands[last].ending != ending || len(session.commands[last].channels) >= subscribeBatch {
		session.commands = append(session.commands, subscribeCommand{ending: ending})
		last++
	}
	command := &session.commands[last]
	command.channels = append(command.channels, channel)
	session.signal()
}

// ping asks the server for a sign of life.
func (session *subscriberSession) ping() {
	session.mu.Lock()
	defer session.mu.Unlock()
	session.pingDue = true
	session.signal()
}

// ponged counts the answer to a ping, and returns false if there was none. A
// server that cannot save, loads or runs a script answers with an error, which
// is a sign of life as well.
func (session *subscriberSession) ponged() bool {
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.pinged == 0 {
		return false
	}
	session.pinged--
	if session.pinged == 0 && !session.pingDue {
		session.slept.Store(false)
	}
	return true
}

// confirmed counts a confirmation.
func (session *subscriberSession) confirmed() {
	session.mu.Lock()
	defer session.mu.Unlock()
	session.unconfirmed--
	session.signal()
}

// signal is called with mu held.
func (session *subscriberSession) signal() {
	select {
	case session.wake <- struct{}{}:
	default:
	}
}

// next returns the next command: a ping, or a subscription if not too many are
// unconfirmed. While one is unconfirmed, the server owes a sign of life anyway;
// without a ping an error can only be its answer.
func (session *subscriberSession) next() (ping bool, command subscribeCommand) {
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.pingDue && session.unconfirmed == 0 {
		session.pingDue = false
		session.pinged++
		return true, command
	}
	if len(session.commands) == 0 || session.unconfirmed >= maxUnconfirmed {
		return false, command
	}
	command = session.commands[0]
	session.commands[0] = subscribeCommand{}
	session.commands = session.commands[1:]
	session.unconfirmed += len(command.channels)
	return false, command
}

// write is the writer. It sets no deadline: a connection that takes nothing is
// silent, too.
func (session *subscriberSession) write() {
	var buffer []byte
	for {
		ping, command := session.next()
		switch {
		case ping:
			buffer = resp.AppendCommand(buffer[:0], "ping", "", nil)
		case len(command.channels) > 0:
			name := "subscribe"
			if command.ending {
				name = "unsubscribe"
			}
			buffer = resp.AppendCommand(buffer[:0], name, session.subscriber.server.prefix, command.channels)
		default:
			select {
			case <-session.life.Done():
				return
			case <-session.wake:
			}
			continue
		}
		if _, err := session.conn.Write(buffer); err != nil {
			return
		}
		if cap(buffer) > resp.MaxIdleScratch {
			buffer = nil
		}
	}
}

// look starts a goroutine that looks for a successor, unless one does or the
// session is at its end.
func (session *subscriberSession) look(life context.Context) {
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.closed || session.looking {
		return
	}
	session.looking = true
	session.lookers.Go(func() {
		successor := session.subscriber.replace(life, session)
		session.mu.Lock()
		defer session.mu.Unlock()
		session.successor, session.looking = successor, false
	})
}

// takeSuccessor returns the successor of a session that has ended, or nil.
func (session *subscriberSession) takeSuccessor() *subscriberSession {
	session.mu.Lock()
	session.closed = true
	session.mu.Unlock()
	session.lookers.Wait()
	return session.successor
}
