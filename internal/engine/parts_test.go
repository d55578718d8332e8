package engine

import "testing"

// A frame in two parts is dropped as a whole, or not at all: a close frame must
// not end up inside it.
func TestPartsAreDroppedTogether(t *testing.T) {
	for name, test := range map[string]struct{ written, kept int }{
		"unsent":          {0, 0},
		"in the start":    {1, 10},
		"after the start": {4, 6},
		"in the rest":     {6, 6},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := openRecorded(t, idleLoop(t, Timeouts{}))
			c.SendParts([]byte("1234"), []byte("567890"))
			c.Send([]byte("next"), 1)
			c.advance(test.written)
			c.DropUnsent()
			kept := 0
			for _, e := range c.out.entries[c.out.next:] {
				kept += len(e.data)
			}
			if kept != test.kept {
				t.Errorf("%d bytes are kept, want %d", kept, test.kept)
			}
		})
	}
}
