package redisbroker_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
)

var update = flag.Bool("update", false, "write the golden files anew")

// envelopeCases are encoded in testdata/envelope, one file each. They are the
// messages between the nodes of a cluster during an update.
var envelopeCases = []struct {
	name   string
	header redisbroker.Header
	env    cluster.Envelope
}{
	{"empty", redisbroker.Header{}, cluster.Envelope{Kind: cluster.EnvelopeMessage}},
	{"text", redisbroker.Header{Node: "k3n7x1qa", Incarnation: 0x0102030405060708, Number: 1},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Payload: []byte("0;chat;lobby;say;0;0;hello")}},
	{"binary from a connection of the node", redisbroker.Header{Node: "k3n7x1qa", Incarnation: 1, Number: 300},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Binary: true, Origin: "k3n7x1qa-0123456789abcdefghijkl", Payload: []byte{0, 1, 255}}},
	{"origin of another node", redisbroker.Header{Node: "k3n7x1qa", Incarnation: 1, Number: 1 << 40},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Origin: "other-0123456789", Payload: []byte("x")}},
	{"origin is the node", redisbroker.Header{Node: "n", Number: 1},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Origin: "n", Payload: []byte("x")}},
	{"exceptions", redisbroker.Header{Node: "a", Incarnation: 1<<64 - 1, Number: 1<<64 - 1},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Except: []string{"a-1", "", "b-2"}, Payload: []byte("x")}},
	{"control", redisbroker.Header{Node: "a", Incarnation: 2, Number: 127},
		cluster.Envelope{Kind: cluster.EnvelopeControl, Binary: true, Payload: []byte("command")}},
	{"internal", redisbroker.Header{Node: "a", Incarnation: 2, Internal: true},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Binary: true, Payload: []byte("p12345678")}},
	{"kept", redisbroker.Header{Node: "a", Incarnation: 2, Number: 9},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Origin: "a-1", Except: []string{"b"}, User: "alice", Keep: &cluster.Retention{},
			Payload: []byte("x")}},
	{"kept without a user", redisbroker.Header{Node: "a", Incarnation: 2, Number: 9},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Keep: &cluster.Retention{}, Payload: []byte("x")}},
	{"kept and resent", redisbroker.Header{Node: "n", Incarnation: 3, Number: 7},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Keep: &cluster.Retention{}, Resent: true, Payload: []byte("x")}},
	{"kept with a key", redisbroker.Header{Node: "n", Incarnation: 3, Number: 7},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Keep: &cluster.Retention{}, User: "bob", Key: "ACME", Payload: []byte("x")}},
	{"volatile", redisbroker.Header{Node: "n", Incarnation: 3, Number: 8},
		cluster.Envelope{Kind: cluster.EnvelopeMessage, Binary: true, Origin: "n-1", Except: []string{"n-2"}, Volatile: true, Payload: []byte("x")}},
}

func goldenFile(name string) string {
	return filepath.Join("testdata", "envelope", strings.ReplaceAll(name, " ", "-")+".hex")
}

func TestEnvelopeGolden(t *testing.T) {
	for _, c := range envelopeCases {
		t.Run(c.name, func(t *testing.T) {
			encoded := redisbroker.AppendEnvelope(nil, c.header, &c.env)
			file := goldenFile(c.name)
			if *update {
				if err := os.WriteFile(file, []byte(hex.EncodeToString(encoded)+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(encoded) + "\n"; got != string(golden) {
				t.Errorf("encoded as %s, want %s", got, golden)
			}
			if limit := redisbroker.EnvelopeSize(c.header, &c.env); len(encoded) > limit {
				t.Errorf("%d bytes, more than the %d announced", len(encoded), limit)
			}
			header, env, _, err := redisbroker.DecodeEnvelope(string(encoded), nil)
			if err != nil {
				t.Fatalf("decode = %v, want nil", err)
			}
			if len(env.Payload) == 0 {
				env.Payload = nil
			}
			want := c.env
			if want.Keep != nil {
				want.Keep, want.Position = nil, cluster.Position{Incarnation: header.Incarnation, Number: header.Number}
			}
			if header != c.header || !reflect.DeepEqual(env, want) {
				t.Errorf("decoded as %+v %+v, want %+v %+v", header, env, c.header, want)
			}
		})
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	good := string(redisbroker.AppendEnvelope(nil, redisbroker.Header{Node: "node", Incarnation: 7, Number: 9},
		&cluster.Envelope{Origin: "node-1", Except: []string{"x"}}))
	for _, c := range []struct {
		name, data string
		want       error
	}{
		{"nothing", "", redisbroker.ErrEnvelopeMalformed},
		{"version 0", "\x00" + good[1:], redisbroker.ErrEnvelopeVersion},
		{"version 3", "\x03" + good[1:], redisbroker.ErrEnvelopeVersion},
		{"key, but not kept", "\x02" + good[1:], redisbroker.ErrEnvelopeMalformed},
		{"empty key", "\x02\x40\x01" + strings.Repeat("\x00", 8) + "\x00\x00\x00\x00", redisbroker.ErrEnvelopeMalformed},
		{"cut in the key", "\x02\x40\x01" + strings.Repeat("\x00", 8) + "\x00\x00\x00\x02x", redisbroker.ErrEnvelopeMalformed},
		{"a neffos message", "0;chat;lobby;say;0;0;hello", redisbroker.ErrEnvelopeVersion},
		{"volatile control", "\x01\x90\x01" + strings.Repeat("\x00", 8) + "\x00\x00", redisbroker.ErrEnvelopeMalformed},
		{"volatile and internal", "\x01\xa0\x01" + strings.Repeat("\x00", 8) + "\x00\x00", redisbroker.ErrEnvelopeMalformed},
		{"version only", good[:1], redisbroker.ErrEnvelopeMalformed},
		{"cut in the number", good[:2], redisbroker.ErrEnvelopeMalformed},
		{"cut in the incarnation", good[:8], redisbroker.ErrEnvelopeMalformed},
		{"cut in the IDs", good[:15], redisbroker.ErrEnvelopeMalformed},
		{"cut in the exceptions", good[:len(good)-1], redisbroker.ErrEnvelopeMalformed},
		{"number not shortest", "\x01\x00\x80\x00" + strings.Repeat("\x00", 10), redisbroker.ErrEnvelopeMalformed},
		{"number too long", "\x01\x00" + strings.Repeat("\xff", 10) + strings.Repeat("\x00", 10), redisbroker.ErrEnvelopeMalformed},
		{"length too large", "\x01\x00\x01" + strings.Repeat("\x00", 8) + "\xff\xff\xff\xff\x0f\x00", redisbroker.ErrEnvelopeMalformed},
		{"origin without its flag", "\x01\x00\x01" + strings.Repeat("\x00", 8) + "\x00\x01x", redisbroker.ErrEnvelopeMalformed},
		{"kept without a number", "\x01\x40\x00" + strings.Repeat("\x00", 8) + "\x00\x00\x00", redisbroker.ErrEnvelopeMalformed},
		{"kept with the number of a start position", "\x01\x40" + strings.Repeat("\xff", 9) + "\x01" + strings.Repeat("\x00", 8) + "\x00\x00\x00",
			redisbroker.ErrEnvelopeMalformed},
		{"kept, cut in the user", "\x01\x40\x01" + strings.Repeat("\x00", 8) + "\x00\x00\x02x", redisbroker.ErrEnvelopeMalformed},
		{"flag without an origin", "\x01\x02\x01" + strings.Repeat("\x00", 8) + "\x00\x00", redisbroker.ErrEnvelopeMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, _, err := redisbroker.DecodeEnvelope(c.data, nil); !errors.Is(err, c.want) {
				t.Errorf("decode = %v, want %v", err, c.want)
			}
		})
	}
}

// Kept, internal and control messages do not travel as volatile ones.
func TestEnvelopeOfOthersIsNotVolatile(t *testing.T) {
	for name, c := range map[string]struct {
		header redisbroker.Header
		env    cluster.Envelope
	}{
		"kept":     {redisbroker.Header{Node: "n", Number: 1}, cluster.Envelope{Keep: &cluster.Retention{}}},
		"control":  {redisbroker.Header{Node: "n", Number: 1}, cluster.Envelope{Kind: cluster.EnvelopeControl}},
		"internal": {redisbroker.Header{Node: "n", Internal: true}, cluster.Envelope{}},
	} {
		want := redisbroker.AppendEnvelope(nil, c.header, &c.env)
		c.env.Volatile = true
		if got := redisbroker.AppendEnvelope(nil, c.header, &c.env); !bytes.Equal(got, want) {
			t.Errorf("%s: encoded as %x, want %x", name, got, want)
		}
	}
}

// FuzzEnvelope checks that no input makes the decoder panic, and that it
// accepts exactly the output of the encoder.
func FuzzEnvelope(f *testing.F) {
	for _, c := range envelopeCases {
		f.Add(string(redisbroker.AppendEnvelope(nil, c.header, &c.env)))
	}
	f.Fuzz(func(t *testing.T, data string) {
		header, env, _, err := redisbroker.DecodeEnvelope(data, nil)
		if err != nil {
			return
		}
		if !env.Position.IsZero() {
			env.Keep = &cluster.Retention{}
		}
		if again := redisbroker.AppendEnvelope(nil, header, &env); !bytes.Equal(again, []byte(data)) {
			t.Errorf("%x is decoded as %+v %+v, which is encoded as %x", data, header, env, again)
		}
	})
}

func TestEnvelopeAllocations(t *testing.T) {
	header := redisbroker.Header{Node: "k3n7x1qa", Incarnation: 1 << 60, Number: 1 << 20}
	env := &cluster.Envelope{Origin: "k3n7x1qa-0123456789abcdefghijkl", Payload: make([]byte, 100)}
	buffer := make([]byte, 0, redisbroker.EnvelopeSize(header, env))
	data := string(redisbroker.AppendEnvelope(nil, header, env))
	scratch := make([]byte, 0, 1024)
	for _, c := range []struct {
		name string
		call func()
	}{
		{"encode", func() { buffer = redisbroker.AppendEnvelope(buffer[:0], header, env) }},
		{"decode", func() { _, _, scratch, _ = redisbroker.DecodeEnvelope(data, scratch) }},
	} {
		if allocations := testing.AllocsPerRun(200, c.call); allocations != 0 {
			t.Errorf("%s allocates %v times, want 0", c.name, allocations)
		}
	}
}
