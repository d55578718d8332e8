package client

// The keys of the package's log lines.
const (
	logNamespace = "namespace"
	logEvent     = "event"
	logHandler   = "handler"
	logError     = "error"
	logReason    = "reason"
	logStack     = "stack"
	logAttempt   = "attempt"
	logDelay     = "delay"
)
