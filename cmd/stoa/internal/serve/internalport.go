package serve

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// internalPort serves the pages for operators on an address of their own.
type internalPort struct {
	server   *http.Server
	listener net.Listener
	ended    chan struct{}
}

// listenInternal binds the address. The port serves until close.
func listenInternal(address string, pages http.Handler, logger *slog.Logger) (*internalPort, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, cli.Failure(explainListen(err, "internal-listen"))
	}
	p := &internalPort{
		listener: listener,
		ended:    make(chan struct{}),
		server: &http.Server{
			Handler:           pages,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			WriteTimeout:      time.Minute, // profiles extend it
			IdleTimeout:       2 * time.Minute,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}
	go func() {
		defer close(p.ended)
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the internal port has failed", "error", err)
		}
	}()
	return p, nil
}

// address returns the bound address, nil without an internal port.
func (p *internalPort) address() net.Addr {
	if p == nil {
		return nil
	}
	return p.listener.Addr()
}

// close ends the requests that are being served, which are scrapes and
// profiles.
func (p *internalPort) close() {
	if p == nil {
		return
	}
	_ = p.server.Close() // all that it closes is at an end anyway
	<-p.ended
}
