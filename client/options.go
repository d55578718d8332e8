package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// Defaults of Options.
const (
	DefaultReconnectBase   = 200 * time.Millisecond
	DefaultReconnectCap    = 20 * time.Second
	DefaultReconnectFactor = 2
	DefaultBufferMessages  = 256
	DefaultBufferBytes     = 1 << 20
	DefaultDialTimeout     = 10 * time.Second
	DefaultAskTimeout      = 30 * time.Second
	DefaultIdleTimeout     = 60 * time.Second
	DefaultReadLimit       = 1 << 20
	DefaultSendQueue       = 1 << 20
	DefaultReceiveQueue    = 1 << 20
)

// Options of Dial. The zero value is good. Where nothing else is said, zero means
// the default and a negative value none or no limit. Dial keeps the maps and slices:
// they must not change afterwards.
type Options struct {
	// Namespaces are the handlers by namespace. A server may connect the client to
	// these only; the program itself may connect to any.
	Namespaces map[string]Handlers
	// DefaultHandlers are the handlers of all namespaces that are not in Namespaces.
	// If nil, they have none, and the server may not connect the client to them.
	DefaultHandlers *Handlers
	// OnNative handles messages that are not of the protocol. They come only while
	// the namespace "" is connected, or with NativeOnly.
	OnNative NativeHandler
	// NativeOnly is for a server that speaks nothing of the protocol: no
	// acknowledgement, no namespaces, only WriteNative and OnNative.
	NativeOnly bool
	// OnState hears of every Transition. It runs in order with the handlers.
	OnState func(Transition)

	// Header is sent with the upgrade request. "Host" is taken for the request's host.
	Header http.Header
	// Authenticate is called before each attempt to connect; what it returns goes on
	// top of Header. An error fails the attempt, and ends the Conn if it wraps
	// ErrRefused. The context ends with the attempt.
	Authenticate func(ctx context.Context) (http.Header, error)
	// TLS is used for wss; nil means the defaults of crypto/tls.
	TLS *tls.Config
	// Proxy returns the proxy for a request: http or https, with CONNECT for ws and
	// wss alike. Nil means http.ProxyFromEnvironment, which is shown http and https
	// in place of ws and wss; a function that returns nil means none.
	Proxy func(*http.Request) (*url.URL, error)
	// DialContext makes the network connection, to the server or the proxy; nil means
	// that of net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// DialTimeout is how long one attempt may take, acknowledgement included; 10 s.
	DialTimeout time.Duration
	// AskTimeout is how long Ask, Connect, JoinRoom, Leave and Disconnect may take,
	// waiting for a connection included, if their context has no deadline; then the
	// error is wire.ErrTimeout. It is also how long coming back into all namespaces
	// and rooms may take. 30 s.
	AskTimeout time.Duration
	// IdleTimeout is how long nothing may come from the server, or nothing of what is
	// to be sent may leave, before the connection counts as lost; 60 s. After half of
	// it the client pings.
	IdleTimeout time.Duration
	// ReadLimit is the size of the largest message from the server in bytes; 1 MiB.
	ReadLimit int
	// SendQueue is how many bytes of messages may be queued for the socket before Emit
	// blocks; 1 MiB.
	SendQueue int
	// ReceiveQueue is how many bytes of messages may be queued for handlers before the
	// connection is not read; 1 MiB. While an ask is in flight the limit is 16 times
	// higher, as the answer arrives after them.
	ReceiveQueue int

	Reconnect Reconnect
	Buffer    Buffer

	// Logger hears of lost connections (Info), failed handlers (Debug) and panics of
	// handlers (Error). Nil discards.
	Logger *slog.Logger
}

// Reconnect says how a lost connection is replaced. Before attempt n, counted from
// zero, the Conn waits a random time between nothing and a bound, the smaller of Cap and
// Base·Factorⁿ. The count goes back to zero when a connection has lasted longer than the
// bound; so a server that accepts and drops at once is not dialled all the time.
type Reconnect struct {
	// Off: a lost connection closes the Conn, and Dial makes one attempt.
	Off bool
	// Base is 200 ms, Factor 2 and Cap 20 s.
	Base   time.Duration
	Factor float64
	Cap    time.Duration
	// Attempts is how many may fail in a row before the Conn is closed with
	// ErrGaveUp. Zero means no limit.
	Attempts int
}

// BufferPolicy says what becomes of an emit while there is no connection.
type BufferPolicy uint8

// The policies. The zero value means BufferKeep.
const (
	// BufferKeep keeps it and sends it after coming back into all namespaces and rooms,
	// in order. It fails with ErrBufferFull above the limits.
	BufferKeep BufferPolicy = iota + 1
	// BufferDrop drops it without an error.
	BufferDrop
	// BufferFail fails it with ErrDisconnected.
	BufferFail
)

// String returns the policy as one lower-case word.
func (p BufferPolicy) String() string {
	switch p {
	case BufferKeep:
		return "keep"
	case BufferDrop:
		return "drop"
	case BufferFail:
		return "fail"
	}
	return "invalid"
}

// Buffer holds what is emitted while there is no connection.
type Buffer struct {
	Policy BufferPolicy
	// Messages and Bytes are how much is kept: 256 and 1 MiB.
	Messages, Bytes int
}

// withDefaults returns a copy in which every zero is replaced by its default.
func (o Options) withDefaults() Options {
	o.DialTimeout = orDefault(o.DialTimeout, DefaultDialTimeout)
	o.AskTimeout = orDefault(o.AskTimeout, DefaultAskTimeout)
	o.IdleTimeout = orDefault(o.IdleTimeout, DefaultIdleTimeout)
	o.ReadLimit = orDefault(o.ReadLimit, DefaultReadLimit)
	o.SendQueue = orDefault(o.SendQueue, DefaultSendQueue)
	o.ReceiveQueue = orDefault(o.ReceiveQueue, DefaultReceiveQueue)
	o.Reconnect.Base = orDefault(o.Reconnect.Base, DefaultReconnectBase)
	o.Reconnect.Factor = orDefault(o.Reconnect.Factor, DefaultReconnectFactor)
	o.Reconnect.Cap = orDefault(o.Reconnect.Cap, DefaultReconnectCap)
	o.Buffer.Policy = orDefault(o.Buffer.Policy, BufferKeep)
	o.Buffer.Messages = orDefault(o.Buffer.Messages, DefaultBufferMessages)
	o.Buffer.Bytes = orDefault(o.Buffer.Bytes, DefaultBufferBytes)
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.DialContext == nil {
		o.DialContext = new(net.Dialer).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

// validate reports what cannot work in options with their defaults.
func (o *Options) validate() error {
	var errs []error
	if r := o.Reconnect; r.Base < 0 || r.Cap < 0 || r.Factor < 1 || r.Attempts < 0 {
		errs = append(errs, fmt.Errorf("%w: Reconnect: want no negative values and a Factor of 1 or more", ErrOptions))
	}
	if o.Buffer.Policy > BufferFail {
		errs = append(errs, fmt.Errorf("%w: Buffer.Policy %d is unknown", ErrOptions, o.Buffer.Policy))
	}
	for name, h := range o.Namespaces {
		errs = append(errs, h.validate(name))
	}
	if o.DefaultHandlers != nil {
		errs = append(errs, o.DefaultHandlers.validate("(default handlers)"))
	}
	return errors.Join(append(errs, checkHeader(o.Header))...)
}

// validate reports handlers that could never run.
func (h *Handlers) validate(namespace string) error {
	for event, handler := range h.OnEmit {
		if handler == nil || wire.IsSystemEvent([]byte(event)) {
			return fmt.Errorf("%w: namespace %q: OnEmit %q is nil or a system event", ErrOptions, namespace, event)
		}
	}
	for event, handler := range h.OnAsk {
		if handler == nil || wire.IsSystemEvent([]byte(event)) {
			return fmt.Errorf("%w: namespace %q: OnAsk %q is nil or a system event", ErrOptions, namespace, event)
		}
	}
	return nil
}

// checkHeader reports fields that belong to the handshake (RFC 6455 section 4.1): a
// second one would make every server refuse.
func checkHeader(h http.Header) error {
	for name := range h {
		canonical := http.CanonicalHeaderKey(name)
		if canonical == "Upgrade" || canonical == "Connection" || strings.HasPrefix(canonical, "Sec-Websocket-") {
			return fmt.Errorf("%w: header %q belongs to the handshake", ErrOptions, canonical)
		}
	}
	return nil
}
