package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
)

// ListenTLS is Listen for a port where everything is TLS: WebSockets and whatever
// else Config.HTTP serves. The files hold a certificate, with those that lead to
// its issuer behind it, and its key, in PEM. When they change, new connections get
// the new certificate within about a second, and nothing happens to the others; a
// pair that cannot be used is logged and counted, and the one before stays. The
// errors are ErrCertificate and those of Listen.
//
// These connections are served by goroutines whatever Config.Transport says, and
// speak HTTP/1.1 only. The TLS handshake counts into Timeouts.Handshake.
func (n *Node) ListenTLS(network, address, certFile, keyFile string) error {
	files, err := openCertificate(n, certFile, keyFile)
	if err != nil {
		return err
	}
	return n.ListenTLSConfig(network, address, &tls.Config{GetCertificate: files.certificate})
}

// ListenTLSConfig is ListenTLS for a program that has its certificates from
// elsewhere, or wants to see those of its clients: an accept handler finds them in
// Request.TLS. The configuration is copied; in its NextProtos there is no place
// for HTTP/2.
func (n *Node) ListenTLSConfig(network, address string, config *tls.Config) error {
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return fmt.Errorf("%w: the configuration has none", ErrCertificate)
	}
	config = config.Clone()
	config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(name string) bool { return name == "h2" })
	if !slices.Contains(config.NextProtos, "http/1.1") {
		config.NextProtos = append(config.NextProtos, "http/1.1")
	}
	return n.bind(func() (net.Addr, error) {
		listener, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		n.listener = &tlsListener{listener, config}
		return listener.Addr(), nil
	})
}

// tlsListener accepts without a handshake: that is made when the connection is
// first read, by the goroutine that does so, within the time for the handshake of
// the WebSocket.
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

// Read implements net.Conn. It answers who speaks plain HTTP.
func (c *tlsConn) Read(p []byte) (int, error) {
	read, err := c.Conn.Read(p)
	var noTLS tls.RecordHeaderError
	if errors.As(err, &noTLS) && noTLS.Conn != nil && startsHTTP(noTLS.RecordHeader) {
		answerPlainHTTP(noTLS.Conn)
	}
	return read, err
}

// startsHTTP looks at what should be the head of a TLS record.
func startsHTTP(record [5]byte) bool {
	switch string(record[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// maxPlainRequest bounds what is read of a request that was answered already.
const maxPlainRequest = 64 << 10

// answerPlainHTTP tells a client what is wrong. It reads the rest of the request
// until the client closes, as closing first would reset the connection before the
// client has read the answer; the deadline of the handshake ends that.
func answerPlainHTTP(nc net.Conn) {
	_, _ = nc.Write(refusalAnswer(http.StatusBadRequest, "this port speaks TLS: use https:// or wss://"))
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, nc, maxPlainRequest)
	}
}

// tlsState is what was agreed on with the peer, nil without TLS. It may be asked
// for when something was read from the connection.
func tlsState(nc net.Conn) *tls.ConnectionState {
	secure, ok := nc.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	state := secure.ConnectionState()
	return &state
}

// tlsStateKey is where the context of a connection of net/http has its tlsState.
type tlsStateKey struct{}

// withTLSState is for http.Server.ConnContext: net/http itself sees TLS only in a
// connection of package tls, and those of loops have been read before.
func withTLSState(ctx context.Context, nc net.Conn) context.Context {
	if wrapped, ok := nc.(*readConn); ok {
		if state := tlsState(wrapped.Conn); state != nil {
			return context.WithValue(ctx, tlsStateKey{}, state)
		}
	}
	return ctx
}
