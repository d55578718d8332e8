package node

import "errors"

var (
	// ErrClosed is what Serve and every later call return after Shutdown or Close.
	ErrClosed = errors.New("node: closed")
	// ErrNotListening means that Serve was called before Listen.
	ErrNotListening = errors.New("node: not listening")
	// ErrDraining is the reason why a node that shuts down is not ready.
	ErrDraining = errors.New("node: draining")
	// ErrNotServing is the reason why a node is not ready before Serve.
	ErrNotServing = errors.New("node: not serving")

	// ErrCertificate means that ListenTLS has no certificate that it can use.
	ErrCertificate = errors.New("node: unusable certificate")

	// ErrNotText means that the body of a text message is not valid UTF-8.
	ErrNotText = errors.New("node: a text message that is not valid UTF-8")

	// ErrCloseCode: the close code must not be sent (RFC 6455 section 7.4).
	ErrCloseCode = errors.New("node: invalid close code")
	// ErrInternal is what a client is told when a handler panicked.
	ErrInternal = errors.New("internal error")
)
