package node

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// The keys of the node's log lines.
const (
	logError     = "error"
	logLoop      = "loop"
	logConn      = "conn"
	logPeer      = "peer"
	logCode      = "code"
	logInitiator = "initiator"
	logReason    = "reason"
	logAddress   = "address"
	logNode      = "node"
	logOpen      = "connections"
	logHandler   = "handler"
	logNamespace = "namespace"
	logEvent     = "event"
	logStack     = "stack"
	logCount     = "count"
	logExpires   = "expires"
)

// logDebug logs what happens to one connection, if anybody wants to know.
// Nothing above Debug is logged per connection or message: a flood of either must
// not become a flood of lines.
func (l *loop) logDebug(message string, c *conn, args ...any) {
	if !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	l.log.Debug(message, append([]any{logConn, c.ID(), logPeer, c.remoteAddr()}, args...)...)
}

// logHandler logs what a handler of the program has done.
func (l *loop) logHandler(level slog.Level, message string, c *Conn, h *handlerCall, args ...any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	about := []any{logConn, c.ID(), logHandler, h.kind.String(), logEvent, h.event}
	if h.namespace != nil {
		about = append(about, logNamespace, h.namespace.name)
	}
	l.log.Log(context.Background(), level, message, append(about, args...)...)
}

// httpErrorLog brings what net/http complains about into the node's log, at the
// level of what peers do.
func (n *Node) httpErrorLog() *log.Logger {
	return log.New(httpLogWriter{n.log}, "", 0)
}

type httpLogWriter struct{ log *slog.Logger }

func (w httpLogWriter) Write(line []byte) (int, error) {
	w.log.Debug("http server", logReason, strings.TrimSpace(string(line)))
	return len(line), nil
}
