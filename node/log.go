package node

import (
	"context"
	"log/slog"
)

// The keys of the node's log lines.
const (
	logError     = "error"
	logConn      = "conn"
	logReason    = "reason"
	logNode      = "node"
	logOpen      = "connections"
	logHandler   = "handler"
	logNamespace = "namespace"
	logEvent     = "event"
	logStack     = "stack"
	logCount     = "count"
	logDelay     = "delay"
)

// logHandler logs the outcome of a handler of the application.
func (c *Conn) logHandler(level slog.Level, message string, h *handlerCall, args ...any) {
	log := c.node.log
	if !log.Enabled(context.Background(), level) {
		return
	}
	about := []any{logConn, c.ID(), logHandler, h.kind.String(), logEvent, h.event}
	if h.namespace != nil {
		about = append(about, logNamespace, h.namespace.name)
	}
	log.Log(context.Background(), level, message, append(about, args...)...)
}
