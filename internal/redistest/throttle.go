package redistest

import (
	"io"
	"testing"
	"time"
)

// throttlePiece is what a throttled proxy passes at once.
const throttlePiece = 16 << 10

// StartThrottle forwards connections to the server until the end of the test,
// but so many bytes per second of the commands of each connection.
func StartThrottle(t testing.TB, s *Server, bytesPerSecond int) *Proxy {
	t.Helper()
	pause := time.Second * throttlePiece / time.Duration(bytesPerSecond)
	return startProxy(t, s, func(client, server io.Reader) (commands, replies io.Reader) {
		return &throttledReader{client, pause}, server
	})
}

type throttledReader struct {
	in    io.Reader
	pause time.Duration // per piece
}

func (r *throttledReader) Read(p []byte) (int, error) {
	count, err := r.in.Read(p[:min(len(p), throttlePiece)])
	time.Sleep(r.pause * time.Duration(count) / throttlePiece)
	return count, err
}
