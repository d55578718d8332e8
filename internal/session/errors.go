package session

import "errors"

// ErrNotAcknowledged is returned by Emit and the Ask methods while the
// acknowledgement is still to come: it must be the first of all frames.
// The other errors of this package are those of package wire.
var ErrNotAcknowledged = errors.New("session: not acknowledged")
