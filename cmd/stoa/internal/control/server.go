package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Server serves a control socket.
type Server struct {
	path   string
	file   fs.FileInfo // of the socket, to remove no other one
	server *http.Server
	ended  chan struct{}
}

// Listen serves a control socket until Close. A socket of a process that has
// ended is replaced; that of a running one is an error.
func Listen(path string, reload func() *Result, logger *slog.Logger) (*Server, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("the control socket %s belongs to a running process", path)
	}
	listener, err := listenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	file, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the control socket: %w", err), listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(reload()) // the command may have ended
	})
	s := &Server{path: path, file: file, ended: make(chan struct{}), server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}
	go func() {
		defer close(s.ended)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the control socket has failed", "error", err)
		}
	}()
	return s, nil
}

// listenPrivate binds a socket that only the user of the process can connect
// to. Between bind and chmod others could, so it is made in a private
// directory.
func listenPrivate(path string) (net.Listener, error) {
	if file, err := os.Lstat(path); err == nil && file.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s exists and is no socket", path)
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".stoa")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	bound := filepath.Join(private, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: bound, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(bound, 0o600), os.Rename(bound, path)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// Close removes the socket and waits for a reload in flight, a second at most.
func (s *Server) Close() {
	if s == nil {
		return
	}
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.file) {
		_ = os.Remove(s.path) // a file that stays is recognized as stale
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // clients that send no request
	}
	<-s.ended
}
