package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
)

// withHTTP1 returns a copy of the configuration that agrees on HTTP/1.1 only.
func withHTTP1(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(name string) bool { return name == "h2" })
	if !slices.Contains(config.NextProtos, "http/1.1") {
		config.NextProtos = append(config.NextProtos, "http/1.1")
	}
	return config
}

// tlsListener accepts without a handshake. The goroutine that reads the
// connection makes it, within the time for the WebSocket's handshake.
type tlsListener struct {
	net.Listener
	config *tls.Config
}

func (l *tlsListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tlsConn{tls.Server(nc, l.config)}, nil
}

// tlsConn is a connection of a tlsListener.
type tlsConn struct{ *tls.Conn }

// Read implements net.Conn. It answers clients that speak plain HTTP.
func (c *tlsConn) Read(p []byte) (int, error) {
	read, err := c.Conn.Read(p)
	var noTLS tls.RecordHeaderError
	if errors.As(err, &noTLS) && noTLS.Conn != nil && startsHTTP(noTLS.RecordHeader) {
		answerPlainHTTP(noTLS.Conn)
	}
	return read, err
}

// startsHTTP looks at the bytes in place of the head of a TLS record.
func startsHTTP(record [5]byte) bool {
	switch string(record[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// maxPlainRequest bounds how much is read of a request that was answered
// already.
const maxPlainRequest = 64 << 10

// answerPlainHTTP explains the mistake to a client. It reads the rest of the
// request until the client closes, as closing first would reset the connection
// before the client has read the answer; the handshake deadline ends that.
func answerPlainHTTP(nc net.Conn) {
	_, _ = nc.Write(refusalAnswer(http.StatusBadRequest, "this port speaks TLS: use https:// or wss://", refusal{}.header()))
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, nc, maxPlainRequest)
	}
}

// tlsState is the result of the TLS handshake, nil without TLS. It is available
// after the first read from the connection.
func tlsState(nc net.Conn) *tls.ConnectionState {
	secure, ok := nc.(tlsStater)
	if !ok {
		return nil
	}
	state := secure.ConnectionState()
	return &state
}

// tlsStater is a connection over TLS.
type tlsStater interface{ ConnectionState() tls.ConnectionState }

func isTLS(nc net.Conn) bool {
	_, ok := nc.(tlsStater)
	return ok
}

// tlsStateKey is the key of the tlsState in the context of a connection of
// net/http.
type tlsStateKey struct{}

// withTLSState is for http.Server.ConnContext: net/http itself sees TLS only in
// a connection of package tls, and those of loops were read before.
func withTLSState(ctx context.Context, nc net.Conn) context.Context {
	if wrapped, ok := nc.(*prefixedConn); ok {
		if state := tlsState(wrapped.Conn); state != nil {
			return context.WithValue(ctx, tlsStateKey{}, state)
		}
	}
	return ctx
}
