package hub

import "testing"

// A client that never lets its backlog run empty does not make it grow.
func TestBacklogForgetsHandledMessages(t *testing.T) {
	var b backlog
	for i := range 10_000 {
		b.push([]byte("x"), false)
		if i >= 10 {
			b.drop()
		}
	}
	if got := cap(b.messages); got > 200 {
		t.Errorf("a backlog that never holds more than 10 messages has room for %d after 10,000", got)
	}
	if want := 10 * (1 + messageOverhead); b.bytes != want {
		t.Errorf("10 messages are counted as %d bytes, want %d", b.bytes, want)
	}
}
