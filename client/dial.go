package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" // the handshake of RFC 6455 uses it, not for secrecy
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// maxRefusalText is the number of bytes kept of the body of an HTTP error,
// maxAnswer that of an answer to the handshake that are read.
const (
	maxRefusalText = 512
	maxAnswer      = 64 << 10
)

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
	extended, cancel := forgiving(ctx)
	defer cancel()
	select {
	case <-c.opened:
		return c, nil
	case <-c.done:
	case <-extended.Done():
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
		// The size of a message bounds its parts, limitName those that stay.
		sessions: session.Config{
			Role: session.Client, MaxNamespaces: o.MaxNamespaces, MaxRooms: o.MaxRooms,
			Limits:   wire.Limits{Message: -1, Token: -1, Namespace: -1, Room: -1, Event: -1},
			Features: features(&o), Native: o.OnNative != nil, NativeOnly: o.NativeOnly,
		}.WithDefaults(),
	}
	c.backoff.attempt = 1
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.handlers.init(c.ctx, o.Logger)
	return c
}

// features are those that the hello names.
func features(o *Options) wire.Features {
	features := wire.FeaturePositions | wire.FeatureVolatile
	if o.Authenticate != nil {
		features |= wire.FeatureExpiry
	}
	if o.hasPresence() {
		features |= wire.FeaturePresence
	}
	return features
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

// dial makes one connection and upgrades it. The reader holds the bytes that
// arrived together with the handshake.
func (c *Conn) dial(ctx context.Context) (net.Conn, *bufio.Reader, error) {
	header, err := c.header(ctx)
	if err != nil {
		return nil, nil, err
	}
	proxy, err := c.proxy(header)
	if err != nil {
		return nil, nil, err
	}
	extended, cancel := forgiving(ctx)
	defer cancel()
	socket, err := c.dialSocket(extended, proxy)
	if err != nil {
		return nil, nil, dialError(ctx, err)
	}
	stop := context.AfterFunc(extended, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
	buffered, err := upgrade(socket, c.address, header)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = socket.Close()
		return nil, nil, dialError(ctx, err)
	}
	return socket, buffered, nil
}

// dialError is the error of a failed attempt. A refusal counts even if ctx
// ended while its text was read.
func dialError(ctx context.Context, err error) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("client: dial: %w", err)
}

// dialSocket makes the connection that carries the handshake.
func (c *Conn) dialSocket(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	dial := c.options.DialContext
	if proxy != nil {
		dial = c.throughProxy(proxy)
	}
	port := c.address.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[c.address.Scheme]
	}
	socket, err := dial(ctx, "tcp", net.JoinHostPort(c.address.Hostname(), port))
	if err != nil || c.address.Scheme != "wss" {
		return socket, err
	}
	config := c.tls()
	if config.ServerName == "" {
		config.ServerName = c.address.Hostname()
	}
	return tls.Client(socket, config), nil
}

// upgrade sends the request of RFC 6455 section 4.1 and checks the answer. The
// reader may have read beyond it. A refusal is a RefusedError.
func upgrade(socket io.ReadWriter, address *url.URL, header http.Header) (*bufio.Reader, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	request := &http.Request{Method: http.MethodGet, URL: address, Host: header.Get("Host"), Header: header.Clone()}
	request.Header.Del("Host") // it has a field of its own
	if _, given := header["User-Agent"]; !given {
		request.Header.Set("User-Agent", "") // else it would be Go's
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13",
	} {
		request.Header[name] = []string{value} // with the capitals of the RFC
	}
	var head bytes.Buffer
	if err := request.Write(&head); err != nil {
		return nil, err
	}
	if _, err := socket.Write(head.Bytes()); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: socket, N: maxAnswer}
	reader := bufio.NewReader(limited)
	response, err := readAnswer(reader, request)
	if err != nil {
		if limited.N <= 0 {
			err = fmt.Errorf("%w: the answer to the handshake has more than %d bytes", ErrTooBig, maxAnswer)
		}
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, readRefusal(response)
	}
	return reader, checkUpgrade(response, key)
}

// readAnswer reads the head of the answer, after informational ones such as
// 103 (RFC 9110 section 15.2).
func readAnswer(reader *bufio.Reader, request *http.Request) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(reader, request)
		if err != nil || response.StatusCode == http.StatusSwitchingProtocols || response.StatusCode >= http.StatusOK {
			return response, err
		}
	}
}

// checkUpgrade is the check of RFC 6455 section 4.1. A proxy may add elements
// to Connection and Upgrade, which are lists over all their lines (RFC 9110
// section 5.3).
func checkUpgrade(response *http.Response, key string) error {
	header := response.Header
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	var field string
	switch accepts := header.Values("Sec-WebSocket-Accept"); {
	case !response.ProtoAtLeast(1, 1):
		return fmt.Errorf("%w: the answer to the handshake is %s", ErrProtocol, response.Proto)
	case !hasElement(header.Values("Upgrade"), "websocket"):
		field = "Upgrade"
	case !hasElement(header.Values("Connection"), "upgrade"):
		field = "Connection"
	case len(accepts) != 1 || accepts[0] != base64.StdEncoding.EncodeToString(sum[:]):
		field = "Sec-WebSocket-Accept"
	case header.Get("Sec-WebSocket-Extensions") != "":
		field = "Sec-WebSocket-Extensions" // none was offered
	case header.Get("Sec-WebSocket-Protocol") != "":
		field = "Sec-WebSocket-Protocol" // likewise
	default:
		return nil
	}
	return fmt.Errorf("%w: the answer to the handshake has %s %q", ErrProtocol, field, header.Values(field))
}

// hasElement looks for an element of a list without regard to case.
func hasElement(lines []string, want string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(element, " \t"), want) {
				return true
			}
		}
	}
	return false
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

// readRefusal reads the response of a server that did not upgrade. A truncated
// or slow one still has its status.
func readRefusal(response *http.Response) *RefusedError {
	refused := &RefusedError{Status: response.StatusCode}
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusalText))
	refused.Text = string(text)
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		refused.retryAfter = time.Duration(min(seconds, 24*60*60)) * time.Second
	}
	return refused
}

func basicAuth(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}
