package resp_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster/redisbroker/internal/resp"
)

func TestReadPush(t *testing.T) {
	const limit = 10
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name, input string
		want        []resp.Push
	}{
		{"message", "*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$2\r\nhi\r\n", []resp.Push{{Kind: resp.Message, Channel: "room", Payload: "hi"}}},
		{"empty payload", "*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$0\r\n\r\n", []resp.Push{{Kind: resp.Message, Channel: "room"}}},
		{"line ends", "*3\r\n$7\r\nmessage\r\n$4\r\n\r\n\r\n\r\n$4\r\n\n\n\r\n\r\n", []resp.Push{{Kind: resp.Message, Channel: "\r\n\r\n", Payload: "\n\n\r\n"}}},
		{"subscribed", "*3\r\n$9\r\nsubscribe\r\n$4\r\nroom\r\n:1\r\n", []resp.Push{{Kind: resp.Subscribed, Channel: "room"}}},
		{"unsubscribed", "*3\r\n$11\r\nunsubscribe\r\n$4\r\nroom\r\n:0\r\n", []resp.Push{{Kind: resp.Unsubscribed, Channel: "room"}}},
		{"unsubscribed from nothing", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", []resp.Push{{Kind: resp.Unsubscribed}}},
		{"pong", "*2\r\n$4\r\npong\r\n$0\r\n\r\n", []resp.Push{{Kind: resp.Pong}}},
		{"pong before a subscription", "+PONG\r\n", []resp.Push{{Kind: resp.Pong}}},
		{"too large", "*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$100000\r\n" + long + "\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n",
			[]resp.Push{{Kind: resp.TooLarge, Channel: "room", Size: 100_000}, {Kind: resp.Pong}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Byte by byte, so that every part arrives on its own.
			r := resp.NewReader(iotestOneByte{strings.NewReader(c.input)}, limit)
			for i, want := range c.want {
				if got, err := r.Read(); err != nil || got != want {
					t.Errorf("push %d = %+v, %v, want %+v, nil", i, got, err, want)
				}
			}
			if got, err := r.Read(); !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %+v, %v, want %v", got, err, io.EOF)
			}
		})
	}
}

// iotestOneByte reads one byte at a time.
type iotestOneByte struct{ io.Reader }

func (r iotestOneByte) Read(p []byte) (int, error) {
	return r.Reader.Read(p[:min(len(p), 1)])
}

func TestReadBadPush(t *testing.T) {
	for _, input := range []string{
		":1\r\n", "*1\r\n$4\r\npong\r\n", "*5\r\n", "*-1\r\n", "*x\r\n", "*9999999999999999999\r\n", "*\r\n", "\r\n", "x",
		"*3\r\n$7\r\nmessage\r\n:1\r\n", "*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$2\r\nhixx", "*3\r\n$4\r\nkind\r\n",
		"*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$2", strings.Repeat("*", 100_000),
	} {
		r := resp.NewReader(strings.NewReader(input), 10)
		if got, err := r.Read(); err == nil {
			t.Errorf("%.60q: %+v, want an error", input, got)
		}
	}
	r := resp.NewReader(strings.NewReader("-NOPERM no rights\r\n"), 10)
	if _, err := r.Read(); !redis.IsPermissionError(err) {
		t.Errorf("an error of the server: %v, want one of missing rights", err)
	}
}

// TestPromisedLengthCostsNothing: memory grows with received bytes only.
func TestPromisedLengthCostsNothing(t *testing.T) {
	const promised = "1000000000"
	for _, limit := range []int{10, 1 << 40} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := resp.NewReader(strings.NewReader("*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$"+promised+"\r\nshort"), limit)
		if got, err := r.Read(); err == nil {
			t.Errorf("limit %d: %+v, want an error", limit, got)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("limit %d: %d bytes were allocated, want less than a megabyte", limit, grown)
		}
	}
}

func TestReadPushAllocations(t *testing.T) {
	const count = 1000
	input := strings.Repeat("*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$2\r\nhi\r\n", count+10)
	r := resp.NewReader(strings.NewReader(input), 10)
	if allocations := testing.AllocsPerRun(count, func() {
		if _, err := r.Read(); err != nil {
			t.Fatal(err)
		}
	}); allocations > 1 {
		t.Errorf("a message allocates %v times, want 1", allocations)
	}
}

// Any bytes end in an error, and in the same pushes however they arrive.
func FuzzRead(f *testing.F) {
	for _, input := range []string{
		"*3\r\n$7\r\nmessage\r\n$4\r\nroom\r\n$2\r\nhi\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n",
		"*3\r\n$9\r\nsubscribe\r\n$4\r\nroom\r\n:1\r\n-ERR no\r\n+PONG\r\n",
		"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n*3\r\n$7\r\nmessage\r\n$1\r\nr\r\n$99\r\n",
	} {
		f.Add(input)
	}
	const limit = 10
	f.Fuzz(func(t *testing.T, input string) {
		whole := resp.NewReader(strings.NewReader(input), limit)
		parts := resp.NewReader(iotestOneByte{strings.NewReader(input)}, limit)
		for {
			push, err := whole.Read()
			same, sameErr := parts.Read()
			if push != same || (err == nil) != (sameErr == nil) {
				t.Fatalf("at once %+v, %v; byte by byte %+v, %v", push, err, same, sameErr)
			}
			var reply resp.Error
			if err != nil && !errors.As(err, &reply) {
				return
			}
			if len(push.Payload) > limit {
				t.Fatalf("a payload of %d bytes, want at most %d", len(push.Payload), limit)
			}
		}
	})
}

func TestAppendCommand(t *testing.T) {
	got := string(resp.AppendCommand(nil, "subscribe", "s:", []string{"a", "\r\n"}))
	if want := "*3\r\n$9\r\nsubscribe\r\n$3\r\ns:a\r\n$4\r\ns:\r\n\r\n"; got != want {
		t.Errorf("the command is %q, want %q", got, want)
	}
}
