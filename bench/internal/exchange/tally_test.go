//go:build linux

package exchange

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/load/rawnet"
)

func TestTally(t *testing.T) {
	for _, test := range []struct {
		name    string
		channel string
		message string
		want    string // part of the error; empty: none
	}{
		{name: "next", channel: "b", message: string(appendMessage(nil, 3))},
		{name: "again", channel: "b", message: string(appendMessage(nil, 1)), want: "message 1 instead of 3"},
		{name: "lost", channel: "b", message: string(appendMessage(nil, 5)), want: "message 5 instead of 3"},
		{name: "other channel", channel: "a", message: string(appendMessage(nil, 3)), want: "message 3 instead of 0"},
		{name: "unknown channel", channel: "c", message: string(appendMessage(nil, 3)), want: `unknown channel "c"`},
		{name: "cut", channel: "b", message: string(appendMessage(nil, 3)[:90]), want: "unexpected message"},
		{name: "other bytes", channel: "b", message: "x" + string(appendMessage(nil, 3)[1:]), want: "unexpected message"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tally := newTally([]string{"a", "b"})
			if _, err := tally.add("b", string(appendMessage(nil, 1))); err != nil {
				t.Fatal(err)
			}
			count, err := tally.add(test.channel, test.message)
			if test.want == "" && (err != nil || count != 2) {
				t.Errorf("the second message: count %d, error %v; want 2 and none", count, err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestExchangeWithoutRedis(t *testing.T) {
	fd, address, err := rawnet.Listen()
	if err != nil {
		t.Fatal(err)
	}
	rawnet.Close(fd)
	if _, err := newLoopExchange(address.String(), 1); err == nil {
		t.Error("no listener: no error, want one")
	}
}
