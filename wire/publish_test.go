package wire_test

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/wire"
)

func TestPublishRequests(t *testing.T) {
	longest := strings.Repeat("i", wire.MaxPublishID)
	for body, want := range map[string][3]string{
		"1,chat;Hello;again":            {"1", "chat", "Hello;again"},
		"a b~!,;":                       {"a b~!", "", ""},
		longest + ",e;":                 {longest, "e", ""},
		"i,a,b;c":                       {"i", "a,b", "c"},
		"i,a@%!semicolon@%!b;c\xff\x00": {"i", "a;b", "c\xff\x00"},
	} {
		r, ok := wire.ParsePublishRequest([]byte(body))
		if got := [3]string{string(r.ID), string(r.Event), string(r.Body)}; !ok || got != want {
			t.Errorf("%q was read as %q, %t, want %q", body, got, ok, want)
		}
		if again := string(wire.AppendPublishRequest(nil, &r)); again != body {
			t.Errorf("%q is written as %q", body, again)
		}
	}
	for _, body := range []string{
		"", ";", ",;", ",chat;x", "i;x", "i,chat", "i\n,chat;", "i\x7f,chat;", "ä,chat;", longest + "i,chat;", "i,\xff;",
		"i,_OnRoomJoin;", "i,_OnRoomPublish;",
	} {
		if r, ok := wire.ParsePublishRequest([]byte(body)); ok {
			t.Errorf("%q was read as %q, want an error", body, r)
		}
	}
}
