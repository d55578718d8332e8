package engine

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// The keys of the engine's log lines.
const (
	logError     = "error"
	logLoop      = "loop"
	logConn      = "conn"
	logPeer      = "peer"
	logCode      = "code"
	logInitiator = "initiator"
	logReason    = "reason"
	logLate      = "late"
)

// logDebug logs an event of one connection. Nothing above Debug is logged per
// connection or message: a flood of either must not become a flood of lines.
func (l *Loop) logDebug(message string, c *Conn, args ...any) {
	if !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	l.log.Debug(message, append([]any{logConn, c.handler.ID(), logPeer, c.RemoteAddr()}, args...)...)
}

// httpErrorLog passes the complaints of net/http to the server's log, at the
// level of peer errors.
func httpErrorLog(l *slog.Logger) *log.Logger {
	return log.New(httpLogWriter{l}, "", 0)
}

type httpLogWriter struct{ log *slog.Logger }

func (w httpLogWriter) Write(line []byte) (int, error) {
	w.log.Debug("http server", logReason, strings.TrimSpace(string(line)))
	return len(line), nil
}
