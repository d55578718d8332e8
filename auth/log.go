package auth

// The keys of log records.
const (
	logError = "error"
	logKeys  = "keys"
	logURL   = "url"
)
