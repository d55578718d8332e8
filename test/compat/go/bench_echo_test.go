package compat_test

import (
	"bytes"
	"testing"
)

func TestExampleBenchEcho(t *testing.T) {
	program := runBinary(t, buildExample(t, "bench-echo"), "-loops", "2")
	one, near := enter(t, "one", program.url(""), namespace, nil, nil)
	two, far := enter(t, "two", program.url(""), namespace, nil, nil)
	room := one.join(t, near, "hall")
	two.join(t, far, "hall")

	for _, body := range [][]byte{nil, []byte("a;b"), bytes.Repeat([]byte("柱"), 20_000)} {
		one.socket.quiet(t)
		answer, err := near.Ask(within(t), "echo", body)
		if err != nil || !bytes.Equal(answer.Body, body) {
			t.Errorf("echo of %d bytes: %d bytes and %v", len(body), len(answer.Body), err)
		}
	}

	room.Emit("chat", []byte("hello"))
	near.Emit("chat", []byte("hello to all"))
	want := []message{
		{namespace: namespace, room: "hall", event: "chat", body: "hello"},
		{namespace: namespace, event: "chat", body: "hello to all"},
	}
	for i, got := range two.received(t, len(want)) {
		if got != want[i] {
			t.Errorf("message %d is %+v, want %+v", i, got, want[i])
		}
	}
}
