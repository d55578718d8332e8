package client

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Conn is a client's hold on its server. It outlives the connections that it is made
// of: one that is lost is replaced by another, with another ID, in the same namespaces
// and rooms. All methods may be called from any goroutine and from any handler.
type Conn struct {
	options  Options        // immutable; with defaults
	address  *url.URL       // immutable
	sessions session.Config // immutable

	ctx      context.Context // ends when the Conn is closed
	cancel   context.CancelFunc
	opened   chan struct{} // closed at the first connection
	done     chan struct{} // closed when the Conn is closed
	finished chan struct{} // closed when supervise has ended
	handlers handlerQueue

	mu         sync.Mutex
	state      State         // guarded by mu
	id         string        // guarded by mu; of the newest connection
	err        error         // guarded by mu; why the Conn is closed
	lastErr    error         // guarded by mu; of the newest attempt that failed
	unsent     bool          // guarded by mu; closed with something left to send
	namespaces []*NSConn     // guarded by mu; in the order of connecting
	transport  *transport    // guarded by mu; nil while there is none
	changed    chan struct{} // guarded by mu; closed and replaced at every change
	buffer     buffer        // guarded by mu
	backoff    backoff       // guarded by mu
}

// ID identifies the connection on the server; it changes with every reconnect. While
// there is none it is that of the last one.
func (c *Conn) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// State returns what the Conn is doing at the moment.
func (c *Conn) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// IsClosed reports whether the Conn is closed for good.
func (c *Conn) IsClosed() bool { return c.State() == StateClosed }

// Done is closed when the Conn is closed for good. Handlers may still be running then.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns nil until Done is closed, and then why: ErrClosed if by Close, else a
// CloseError, a RefusedError, or what else ended the last connection or attempt.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Connect connects to a namespace and waits until it is. If it is connected already,
// that is all. While there is no connection it waits for one, until ctx ends. The
// error is the server's, ErrDisconnected if the connection was lost meanwhile,
// ErrClosed, or that of ctx; see Options.AskTimeout for a ctx without a deadline.
func (c *Conn) Connect(ctx context.Context, namespace string) (*NSConn, error) {
	if ns := c.Namespace(namespace); ns != nil {
		return ns, nil
	}
	if err := checkName(namespace); err != nil {
		return nil, err
	}
	made := newNSConn(c, namespace)
	result, err := c.call(ctx, scope{}, func(s *session.Session) (uint64, error) {
		return s.AskConnect(nsRef{made}, nil)
	})
	if err != nil {
		return nil, err
	}
	return result.namespace, nil
}

// WaitServerConnect waits until the namespace is connected: by the server, or by
// anybody else in this program. If it is already, it returns at once. The errors are
// ErrClosed and that of ctx; without a deadline it waits for ever.
func (c *Conn) WaitServerConnect(ctx context.Context, namespace string) (*NSConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.state == StateClosed {
			return nil, ErrClosed
		}
		if ns := c.find(namespace); ns != nil {
			return ns, nil
		}
		if err := c.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Namespace returns the namespace if it is connected, else nil. While the Conn is
// reconnecting that are the namespaces which it comes back to.
func (c *Conn) Namespace(name string) *NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(name)
}

// Namespaces returns all of them, in the order of connecting. The slice is the
// caller's.
func (c *Conn) Namespaces() []*NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.namespaces)
}

// DisconnectAll disconnects from all namespaces at once. It tries all and returns
// what went wrong.
func (c *Conn) DisconnectAll(ctx context.Context) error {
	return each(c.Namespaces(), func(ns *NSConn) error { return ns.Disconnect(ctx) })
}

// Write emits a message. The namespace must be connected and the room, if it names
// one, joined: else the error is wire.ErrBadNamespace or wire.ErrBadRoom. See
// NSConn.Emit.
func (c *Conn) Write(m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	return c.emit(&m, c.Namespace(m.Namespace), nil)
}

// WriteNative sends a message that is not one of the protocol, in a text frame or a
// binary one. It is neither kept nor dropped while there is no connection: then the
// error is ErrDisconnected. The payload is not kept.
func (c *Conn) WriteNative(payload []byte, binary bool) error {
	if err := checkBody(payload, binary); err != nil {
		return err
	}
	return c.send(&queuedEmit{payload: slices.Clone(payload), binary: binary, native: true})
}

// Ask asks the server and waits for its answer. The namespace must be connected and
// the room, if it names one, joined. While there is no connection it waits for one,
// until ctx ends. The error is the server's: one of package wire's or a
// wire.RemoteError; or ErrDisconnected if the connection was lost meanwhile,
// ErrClosed, or that of ctx; see Options.AskTimeout for a ctx without a deadline.
func (c *Conn) Ask(ctx context.Context, m Message) (Message, error) {
	ns := c.Namespace(m.Namespace)
	if ns == nil {
		return Message{}, c.missing(wire.ErrBadNamespace)
	}
	return ns.ask(ctx, m)
}

// Close sends what was emitted before, and closes the connection for good. It returns
// when that is done, at the latest after five seconds. Asks in flight fail with
// ErrClosed; OnLeft and OnDisconnected of everything joined and connected are called,
// forced, and then OnState. Close does not wait for handlers, so it may be called in one. The
// error is ErrUnsent if what was emitted could not all be sent. Calling it again does
// nothing else.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.finish(ErrClosed)
	c.mu.Unlock()
	c.handlers.discard()
	<-c.finished
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unsent {
		return ErrUnsent
	}
	return nil
}

// find is Namespace with mu held.
func (c *Conn) find(name string) *NSConn {
	for _, ns := range c.namespaces {
		if ns.name == name {
			return ns
		}
	}
	return nil
}

// missing is the error for something that the program is not in: if the Conn is
// closed it is in nothing.
func (c *Conn) missing(err error) error {
	if c.IsClosed() {
		return ErrClosed
	}
	return err
}

// wait waits for a change, with mu held before and after.
func (c *Conn) wait(ctx context.Context) error {
	changed := c.changed
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// change wakes whoever waits, with mu held.
func (c *Conn) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// each calls all at once and joins their errors in order.
func each[T any](all []T, call func(T) error) error {
	errs := make([]error, len(all))
	var calls sync.WaitGroup
	for i, one := range all {
		calls.Go(func() { errs[i] = call(one) })
	}
	calls.Wait()
	return errors.Join(errs...)
}
