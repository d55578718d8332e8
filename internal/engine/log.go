package engine

import (
	"context"
	"log"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
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
	logResult    = "result"
	logStatus    = "status"
	logHost      = "host"
	logOrigin    = "origin"
	logLimit     = "limit"
	logQueued    = "queued_bytes"
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

// Bounds of the warnings about refused requests, which every peer can cause.
const (
	maxRefusalsKnown = 128 // origins and hosts that are remembered
	maxRefusalLines  = 10  // warnings in refusalPeriod
	maxRefusalText   = 200 // bytes of a field of the request in a line
	refusalPeriod    = time.Minute
)

// refusals logs refused requests: the mistakes of a configuration once as a
// warning, everything at debug level. Safe for concurrent use.
type refusals struct {
	log *slog.Logger

	mu    sync.Mutex
	known map[string]struct{} // guarded by mu; the subjects of earlier warnings
	lines int                 // guarded by mu; warnings since begin
	begin time.Time           // guarded by mu
}

// debug logs a refused request.
func (r *refusals) debug(no refusal, peer string, host, origin []byte) {
	if r.log.Enabled(context.Background(), slog.LevelDebug) {
		r.log.Debug("request refused", logResult, no.result.String(), logStatus, no.status, logReason, no.reason,
			logPeer, peer, logHost, printable(host), logOrigin, printable(origin))
	}
}

// warn logs a warning unless the same subject was logged before, or too many
// others were.
func (r *refusals) warn(subject, message string, args ...any) {
	if r.mayWarn(subject, time.Now()) {
		r.log.Warn(message, args...)
	}
}

func (r *refusals) mayWarn(subject string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.begin) >= refusalPeriod {
		r.begin, r.lines = now, 0
	}
	if _, known := r.known[subject]; known || r.lines == maxRefusalLines {
		return false
	}
	if r.known == nil || len(r.known) == maxRefusalsKnown {
		r.known = make(map[string]struct{})
	}
	r.known[subject] = struct{}{}
	r.lines++
	return true
}

// refused logs a refusal.
func (s *Server) refused(no refusal, peer string, host, origin []byte) {
	s.refusals.debug(no, peer, host, origin)
	switch no.result {
	case HandshakeForbiddenOrigin:
		origin := printable(origin)
		s.refusals.warn("origin "+origin, "a page of another origin was refused; to allow it add the origin to "+
			"AllowOrigins, in stoa serve to the key origins or with --allow-origin", logOrigin, origin, logHost, printable(host))
	case HandshakeForbiddenHost:
		host := printable(host)
		s.refusals.warn("host "+host, "a request for another host was refused; to allow it add the host to AllowHosts, "+
			"in stoa serve to the key hosts or with --allow-host", logHost, host, logPeer, peer)
	case HandshakeHeaderTooLarge:
		s.refusals.warn("head "+time.Now().Truncate(refusalPeriod).String(), "a request head was too large; the limit is "+
			"Limits.Header, in stoa serve --max-header", logLimit, s.config.Limits.Header, logPeer, peer)
	}
}

// printable returns the beginning of a field, quoted if it has other characters
// than those of printable ASCII.
func printable(field []byte) string {
	text := string(field[:min(len(field), maxRefusalText)])
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return strconv.QuoteToASCII(text)
	}
	return text
}
