package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// maxRefusalText is the number of bytes kept of the body of an HTTP error.
const maxRefusalText = 512

// headerReconnect carries the number of the attempt (protocol.md section 1, 9).
const headerReconnect = "X-Websocket-Reconnect"

// Dial connects to a server and returns when the server has acknowledged the
// connection. The address is a ws, wss, http or https URL.
//
// Temporary failures (no route, no server, status 503) are retried until ctx is
// done, unless Options.Reconnect says otherwise; OnState receives each attempt.
// A refusal, a certificate that cannot be verified and status 4xx fail at once.
// The error contains that of the last attempt, also when ctx is done.
//
// Afterwards ctx has no effect on the Conn, except that Authenticate and the
// handlers see its values.
func Dial(ctx context.Context, address string, o Options) (*Conn, error) {
	parsed, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.useNamespaces()
	c := newConn(ctx, parsed, o)
	go c.supervise()
	select {
	case <-c.opened:
		return c, nil
	case <-c.done:
	case <-ctx.Done():
		c.mu.Lock()
		if c.state == StateConnecting {
			c.finish(gaveUp(context.Cause(ctx), c.lastErr))
		}
		open := c.state != StateClosed
		c.mu.Unlock()
		if open {
			return c, nil // it was connected at the same moment
		}
	}
	<-c.finished
	select {
	case <-c.opened:
		return c, nil // and lost at once; OnState reports it like any loss
	default:
		return nil, c.Err()
	}
}

// gaveUp returns the error of a Dial whose ctx is done.
func gaveUp(cause, last error) error {
	if last == nil {
		return fmt.Errorf("client: dial: %w", cause)
	}
	return fmt.Errorf("client: dial: %w; the last attempt: %w", cause, last)
}

func newConn(ctx context.Context, address *url.URL, o Options) *Conn {
	c := &Conn{
		options: o, address: address, state: StateConnecting,
		opened: make(chan struct{}), done: make(chan struct{}), finished: make(chan struct{}),
		changed: make(chan struct{}), buffer: buffer{options: o.Buffer},
		// A client trusts its server; the size of a message bounds its parts.
		sessions: session.Config{
			Role: session.Client, MaxNamespaces: -1, MaxRooms: -1,
			Limits: wire.Limits{Message: -1, Token: -1, Namespace: -1, Room: -1, Event: -1},
			Native: o.OnNative != nil, NativeOnly: o.NativeOnly,
		}.WithDefaults(),
	}
	c.backoff.attempt = 1
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.handlers.init(c.ctx, o.Logger)
	return c
}

// parseAddress parses the URL of a server.
func parseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	switch u.Scheme {
	case "ws", "wss":
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	default:
		return nil, fmt.Errorf("%w: address %q: want a ws, wss, http or https URL", ErrOptions, address)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%w: address %q has no host", ErrOptions, address)
	}
	u.Fragment = ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

// dial makes one connection and upgrades it. The reader, if not nil, holds the
// bytes that arrived together with the handshake.
func (c *Conn) dial(ctx context.Context) (net.Conn, *bufio.Reader, error) {
	header, err := c.header(ctx)
	if err != nil {
		return nil, nil, err
	}
	proxy, err := c.proxy(header)
	if err != nil {
		return nil, nil, err
	}
	refused := new(RefusedError)
	dialer := ws.Dialer{
		Host:      header.Get("Host"),
		Header:    ws.HandshakeHeaderHTTP(withoutHost(header)),
		NetDial:   c.options.DialContext,
		TLSConfig: c.tls(),
		OnStatusError: func(status int, _ []byte, response io.Reader) {
			refused = readRefusal(status, response)
		},
	}
	if proxy != nil {
		dialer.NetDial = c.throughProxy(proxy)
	}
	// The user info belongs into the header; gobwas/ws would take it for the
	// host.
	address := *c.address
	address.User = nil
	socket, buffered, _, err := dialer.Dial(ctx, address.String())
	if err != nil {
		var status ws.StatusError
		if errors.As(err, &status) {
			return nil, nil, refused
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, nil, fmt.Errorf("client: dial: %w", err)
	}
	return socket, buffered, nil
}

// header returns the header of the upgrade request. Authenticate runs on a
// goroutine of its own, so Close never waits for it.
func (c *Conn) header(ctx context.Context) (http.Header, error) {
	header := c.options.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if user := c.address.User; user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		header.Set("Authorization", basicAuth(user.Username(), password))
	}
	c.mu.Lock()
	if c.state == StateReconnecting {
		header.Set(headerReconnect, strconv.Itoa(c.backoff.attempt))
	}
	c.mu.Unlock()
	if c.options.Authenticate == nil {
		return header, nil
	}
	more, err := c.authenticate(ctx)
	if err == nil {
		err = checkHeader(more)
	}
	if err != nil {
		return nil, fmt.Errorf("client: authenticate: %w", err)
	}
	for name, values := range more {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header, nil
}

func (c *Conn) authenticate(ctx context.Context) (http.Header, error) {
	type result struct {
		header http.Header
		err    error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: wire.ErrInternal}
		defer func() {
			// A panic must not end the process, as with handlers.
			if cause := recover(); cause != nil {
				c.handlers.reportPanic("authenticate", cause)
			}
			done <- r
		}()
		r.header, r.err = c.options.Authenticate(ctx)
	}()
	select {
	case r := <-done:
		return r.header, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// withoutHost removes the field that the handshake writes itself.
func withoutHost(header http.Header) http.Header {
	header.Del("Host")
	return header
}

// tls returns the TLS configuration of a connection to the server.
func (c *Conn) tls() *tls.Config {
	config := c.options.TLS.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	// A server that also supports HTTP/2 must not choose it: it has no upgrade.
	config.NextProtos = []string{"http/1.1"}
	return config
}

// readRefusal reads the response of a server that did not upgrade.
func readRefusal(status int, response io.Reader) *RefusedError {
	refused := &RefusedError{Status: status}
	read, err := http.ReadResponse(bufio.NewReader(response), nil)
	if err != nil {
		return refused
	}
	defer func() { _ = read.Body.Close() }()
	// A truncated or slow response still has its status.
	text, _ := io.ReadAll(io.LimitReader(read.Body, maxRefusalText))
	refused.Text = string(text)
	if seconds, err := strconv.Atoi(read.Header.Get("Retry-After")); err == nil && seconds > 0 {
		refused.retryAfter = time.Duration(min(seconds, 24*60*60)) * time.Second
	}
	return refused
}

func basicAuth(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}
