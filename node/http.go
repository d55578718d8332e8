package node

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/stoa-io/stoa/internal/certwatch"
)

// ServeHTTP is the endpoint as an http.Handler: it takes an upgraded connection
// over from net/http, and answers everything else as the endpoint does. The
// node must have been started with Start or Serve. A plain TCP connection moves
// onto an event loop; any other, such as TLS, is served by goroutines. The
// application's server does not know of the connection any more: Shutdown of
// the node ends it.
//
// A WebSocket needs HTTP/1.1, and a ResponseWriter that can be hijacked:
// middleware that wraps it needs a method Unwrap, as [http.ResponseController]
// explains.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) { n.server.ServeHTTP(w, r) }

// ListenTLS is Listen for a port where everything is TLS: WebSockets and the
// requests that Config.HTTP serves. The files hold a certificate, followed
// by those that lead to its issuer, and its key, in PEM; both are regular
// files of at most 1 MiB. When they change, new connections get the new
// certificate within about a second, and existing ones are not affected; an
// unusable pair is logged and counted, and the previous one stays. The
// errors are ErrCertificate and those of Listen.
//
// These connections are served by goroutines for any Config.Transport, and
// speak HTTP/1.1 only. The TLS handshake counts into Timeouts.Handshake.
func (n *Node) ListenTLS(network, address, certFile, keyFile string) error {
	files, err := certwatch.Open(certFile, keyFile, n.log)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := n.ListenTLSConfig(network, address, &tls.Config{GetCertificate: files.GetCertificate}); err != nil {
		return err
	}
	n.certificate.Store(files)
	return nil
}

// ListenTLSConfig is ListenTLS for an application that gets its certificates
// from elsewhere, or wants to see those of its clients: an accept handler finds
// them in Request.TLS. The configuration is copied; HTTP/2 is removed from its
// NextProtos.
func (n *Node) ListenTLSConfig(network, address string, config *tls.Config) error {
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return fmt.Errorf("%w: the configuration has none", ErrCertificate)
	}
	return n.bind(func() (net.Addr, error) { return n.server.ListenTLS(network, address, config) })
}
