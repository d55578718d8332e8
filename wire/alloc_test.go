package wire_test

import (
	"testing"

	"github.com/stoa-io/stoa/wire"
)

// The budget of the way of a message: no allocation for what happens per
// message, one where a message must outlive its payload.
func TestAllocations(t *testing.T) {
	relayed := []byte(";default;lobby;chat;0;0;a body of some length; with a semicolon")
	asked := []byte("$7;default;lobby;echo;0;0;body")
	escaped := []byte(";n@%!semicolon@%!s;;chat;0;0;body")
	request, err := wire.Parse(asked, false)
	if err != nil {
		t.Fatal(err)
	}
	limits := wire.Limits{}.WithDefaults()
	buffer := make([]byte, 0, 1024)
	tests := map[string]struct {
		want float64
		run  func()
	}{
		"relay": {0, func() {
			m, _ := wire.Parse(relayed, false)
			buffer = wire.Append(buffer[:0], &m)
		}},
		"relay within limits": {0, func() {
			m, _ := limits.Parse(relayed, true)
			_ = wire.SystemKind(m.Event)
			buffer = wire.Append(buffer[:0], &m)
		}},
		"check":        {0, func() { _ = limits.Check(&request) }},
		"empty reply":  {0, func() { buffer = wire.AppendEmptyReply(buffer[:0], request.Token) }},
		"error answer": {0, func() { buffer = wire.AppendError(buffer[:0], &request, "bad room") }},
		"acknowledge":  {0, func() { buffer = wire.AppendAck(buffer[:0], "627d7e43-e469-42d7-ab06-77302ad740f4") }},
		"server token": {0, func() {
			buffer = wire.AppendServerToken(buffer[:0], 1234567)
			_, _ = wire.ParseServerToken(buffer)
		}},
		"escaped name": {1, func() { _, _ = wire.Parse(escaped, false) }},
		"clone":        {1, func() { sink = request.Clone() }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := testing.AllocsPerRun(200, test.run); got > test.want {
				t.Errorf("%v allocations, want at most %v", got, test.want)
			}
		})
	}
}

// sink keeps the compiler from proving that a result is not used.
var sink wire.Message
