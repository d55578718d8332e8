package wire_test

import (
	"bytes"
	"testing"

	"github.com/stoa-io/stoa/internal/golden"
	"github.com/stoa-io/stoa/wire"
)

// isMessage says whether a recorded frame is a whole message for the codec.
func isMessage(frame golden.Frame) bool {
	return (frame.Op == golden.Text || frame.Op == golden.Binary) && frame.Final &&
		bytes.Count(frame.Payload, []byte{';'}) >= 6
}

// Every recorded message survives parsing and writing; the ones that a relay
// passes on verbatim do so byte for byte.
func TestGoldenMessages(t *testing.T) {
	messages, verbatim := 0, 0
	for _, conversation := range golden.Load(t) {
		for i, frame := range conversation.Frames {
			if !isMessage(frame) {
				continue
			}
			messages++
			m, err := wire.Limits{}.Parse(frame.Payload, frame.Op == golden.Binary)
			if err != nil {
				t.Errorf("%s frame %d: Parse(%.80q) failed: %v", conversation.ID, i, frame.Payload, err)
				continue
			}
			written := wire.Append(nil, &m)
			if m.Verbatim {
				verbatim++
				if !bytes.Equal(written, frame.Payload) {
					t.Errorf("%s frame %d: written as %.80q, want %.80q", conversation.ID, i, written, frame.Payload)
				}
			}
			again, err := wire.Parse(written, m.Binary)
			if err != nil {
				t.Errorf("%s frame %d: what Append wrote does not parse: %.80q", conversation.ID, i, written)
				continue
			}
			again.Verbatim = m.Verbatim
			if !equal(again, m) {
				t.Errorf("%s frame %d: after a round trip %+v, want %+v", conversation.ID, i, printable(again), printable(m))
			}
		}
	}
	if messages < 600 || verbatim < 50 {
		t.Errorf("%d messages, %d of them verbatim: the golden files look incomplete", messages, verbatim)
	}
}

// Each recorded token is the first field of some message, whole.
func TestGoldenTokens(t *testing.T) {
	for _, conversation := range golden.Load(t) {
		tokens := make(map[string]bool)
		for _, frame := range conversation.Frames {
			if m, err := wire.Parse(frame.Payload, false); err == nil {
				tokens[string(m.Token)] = true
			}
		}
		for _, placeholder := range conversation.Placeholders {
			if placeholder.Kind == "token" && !tokens[placeholder.Value] {
				t.Errorf("%s: no message has the token %q", conversation.ID, placeholder.Value)
			}
		}
	}
}

// The first frame of a server is an acknowledgement or a refusal, except
// where a conversation is about the opposite or about native messages.
func TestGoldenAcknowledgements(t *testing.T) {
	acks, refusals := 0, 0
	for _, conversation := range golden.Load(t) {
		for _, frame := range conversation.Frames {
			if frame.From != golden.Server || frame.Op != golden.Text {
				continue
			}
			if id, ok := wire.ParseAck(frame.Payload); ok {
				acks++
				if got := wire.AppendAck(nil, string(id)); !bytes.Equal(got, frame.Payload) {
					t.Errorf("%s: acknowledgement is written as %q, want %q", conversation.ID, got, frame.Payload)
				}
			}
			if text, ok := wire.ParseRefusal(frame.Payload); ok && len(text) > 0 {
				refusals++
				if got := wire.AppendRefusal(nil, string(text)); !bytes.Equal(got, frame.Payload) {
					t.Errorf("%s: refusal is written as %q, want %q", conversation.ID, got, frame.Payload)
				}
			}
		}
	}
	if acks < 120 || refusals < 2 {
		t.Errorf("%d acknowledgements, %d refusals: the golden files look incomplete", acks, refusals)
	}
}
