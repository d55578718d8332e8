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
)

// logDebug logs what happens to one connection, if anybody wants to know.
// Nothing above Debug is logged per connection or message: a flood of either must
// not become a flood of lines.
func (l *loop) logDebug(message string, c *conn, args ...any) {
	if !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	peer := ""
	if c.stream != nil {
		peer = c.stream.conn.RemoteAddr().String()
	} else if c.fd >= 0 {
		peer = socketPeer(int(c.fd))
	}
	l.log.Debug(message, append([]any{logConn, c.ID(), logPeer, peer}, args...)...)
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
