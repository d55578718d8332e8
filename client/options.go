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
	DefaultIdleTimeout     = 45 * time.Second
	DefaultReadLimit       = 1 << 20
	DefaultMessageLimit    = wire.DefaultMessageLimit
	DefaultSendQueue       = 1 << 20
	DefaultReceiveQueue    = 1 << 20
	DefaultMaxNamespaces   = 64
	DefaultMaxRooms        = 1024
)

// Options are the options of Dial. The zero value is usable. Unless stated
// otherwise, zero means the default and a negative value no limit or off. Dial
// keeps the maps and pointers: they must not change afterwards.
type Options struct {
	// Namespaces holds the declared namespaces by name. A server may connect
	// the client to these only; the application may connect to any.
	Namespaces map[string]*Namespace
	// DefaultNamespace declares all namespaces that are not in Namespaces. If
	// nil, they have no handlers, and the server may not connect the client to
	// them.
	DefaultNamespace *Namespace
	// OnRefused is notified of emits that the server has refused: by an error
	// of a handler, for lack of one, or by a rule of the protocol. Servers
	// report them only to clients with this handler. A report arrives before
	// the answer to a later request to join, leave, connect or disconnect.
	OnRefused RefusedHandler
	// OnNative handles messages outside of the protocol. They arrive only while
	// the namespace "" is connected, or with NativeOnly.
	OnNative NativeHandler
	// NativeOnly is for servers that do not speak the protocol: the client has
	// no acknowledgement and no namespaces, only WriteNative and OnNative.
	NativeOnly bool
	// OnState is notified of every change of the state. It runs in order with
	// the handlers.
	OnState StateHandler

	// Header is sent with the upgrade request. Its "Host" replaces the
	// request's host.
	Header http.Header
	// Authenticate is called before each attempt to connect; its result is
	// added to Header. An error fails the attempt, and closes the Conn if it
	// wraps ErrRefused or wire.ErrUnauthorized. The context is canceled with
	// the attempt. See Bearer for a token.
	//
	// It is also called when the server announces that the identity of the open
	// connection is about to end; the bearer token of the field Authorization
	// then replaces the old one. After a failure this is repeated, with growing
	// pauses, until the end. Then the server closes the connection with
	// wire.CodeExpired, and the Conn reconnects; without Authenticate it is
	// closed.
	Authenticate func(ctx context.Context) (http.Header, error)
	// OnRenewal is notified of each attempt to renew the identity of an open
	// connection. It runs in order with the handlers.
	OnRenewal RenewalHandler
	// TLS is used for wss; nil means the defaults of crypto/tls.
	TLS *tls.Config
	// Proxy returns the proxy for a request: http or https, with CONNECT for ws
	// and wss alike. Nil means http.ProxyFromEnvironment, which receives http
	// and https in place of ws and wss; a function that returns nil means no
	// proxy.
	Proxy func(*http.Request) (*url.URL, error)
	// DialContext makes the network connection to the server or the proxy; nil
	// means that of net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// DialTimeout bounds one attempt, including the acknowledgement; 10 s.
	DialTimeout time.Duration
	// AskTimeout bounds Ask, Connect, JoinRoom, Leave and Disconnect if their
	// context has no deadline, including the wait for a connection; then the
	// error is wire.ErrTimeout. It also bounds the restoring of all namespaces
	// and rooms. 30 s.
	AskTimeout time.Duration
	// IdleTimeout is how long the server may send nothing, or accept no bytes,
	// before the connection counts as lost; 45 s, a negative value turns it
	// off. After half of it the client sends a ping.
	IdleTimeout time.Duration
	// ReadLimit is the maximum size of a message from the server in bytes; 1
	// MiB.
	ReadLimit int
	// MessageLimit is the maximum size of a message to the server in bytes,
	// with its names; 64 KiB, that of a node. Longer ones are not sent and fail
	// with ErrTooBig: a node would close the connection for good. An ask, which
	// has a token, may be 21 bytes shorter.
	MessageLimit int
	// SendQueue is how many bytes of messages may be queued for the socket
	// before Emit blocks; 1 MiB.
	SendQueue int
	// ReceiveQueue is how many bytes of messages may be queued for handlers
	// before the connection is not read; 1 MiB. While an ask is in flight the
	// limit is 16 times higher, as the answer arrives after them.
	ReceiveQueue int
	// MaxNamespaces and MaxRooms bound what the server brings the client into:
	// a connect or join of the server is refused if the client would then be in
	// more namespaces, or in more rooms over all namespaces; 64 and 1,024. They
	// do not bound what the application asks for.
	MaxNamespaces, MaxRooms int

	Reconnect Reconnect
	Buffer    Buffer

	// Logger logs lost connections (Info), errors of handlers (Debug) and
	// panics of handlers (Error). Nil discards.
	Logger *slog.Logger
}

// Reconnect configures how a lost connection is replaced. Before attempt n,
// counted from zero, the Conn waits a random time between zero and a bound, the
// smaller of Cap and Base·Factorⁿ. The count is reset when a connection has
// lasted longer than the bound, so a server that accepts and drops its clients
// at once is not dialed in a tight loop.
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

// BufferPolicy is how emits are treated while the Conn is not connected.
type BufferPolicy uint8

// The policies. The zero value means BufferKeep.
const (
	// BufferKeep keeps the emit and sends it in order, after all namespaces and
	// rooms are restored. Above the limits it fails with ErrBufferFull.
	BufferKeep BufferPolicy = iota + 1
	// BufferDrop drops the emit without an error.
	BufferDrop
	// BufferFail fails with ErrDisconnected.
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

// Buffer configures the emits made while the Conn is not connected.
type Buffer struct {
	Policy BufferPolicy
	// Messages and Bytes bound the kept emits: 256 and 1 MiB.
	Messages, Bytes int
}

// withDefaults returns a copy in which every zero is replaced by its default.
func (o Options) withDefaults() Options {
	o.DialTimeout = orDefault(o.DialTimeout, DefaultDialTimeout)
	o.AskTimeout = orDefault(o.AskTimeout, DefaultAskTimeout)
	o.IdleTimeout = orDefault(o.IdleTimeout, DefaultIdleTimeout)
	o.ReadLimit = orDefault(o.ReadLimit, DefaultReadLimit)
	o.MessageLimit = orDefault(o.MessageLimit, DefaultMessageLimit)
	o.SendQueue = orDefault(o.SendQueue, DefaultSendQueue)
	o.ReceiveQueue = orDefault(o.ReceiveQueue, DefaultReceiveQueue)
	o.MaxNamespaces = orDefault(o.MaxNamespaces, DefaultMaxNamespaces)
	o.MaxRooms = orDefault(o.MaxRooms, DefaultMaxRooms)
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

// validate reports options that cannot work. They have their defaults.
func (o *Options) validate() error {
	var errs []error
	if r := o.Reconnect; r.Base < 0 || r.Cap < 0 || r.Factor < 1 || r.Attempts < 0 {
		errs = append(errs, fmt.Errorf("%w: Reconnect: want no negative values and a Factor of 1 or more", ErrOptions))
	}
	if o.Buffer.Policy > BufferFail {
		errs = append(errs, fmt.Errorf("%w: Buffer.Policy %d is unknown", ErrOptions, o.Buffer.Policy))
	}
	for name, ns := range o.Namespaces {
		if ns == nil {
			errs = append(errs, fmt.Errorf("%w: Namespaces: %q is nil", ErrOptions, name))
		}
	}
	return errors.Join(append(errs, checkHeader(o.Header))...)
}

// useNamespaces marks the namespaces as used by a Conn.
func (o *Options) useNamespaces() {
	for _, ns := range o.Namespaces {
		ns.use()
	}
	if o.DefaultNamespace != nil {
		o.DefaultNamespace.use()
	}
}

// checkHeader reports fields that belong to the handshake (RFC 6455 section
// 4.1): servers refuse a second one.
func checkHeader(h http.Header) error {
	for name := range h {
		canonical := http.CanonicalHeaderKey(name)
		if canonical == "Upgrade" || canonical == "Connection" || strings.HasPrefix(canonical, "Sec-Websocket-") {
			return fmt.Errorf("%w: header %q belongs to the handshake", ErrOptions, canonical)
		}
	}
	return nil
}
