package access

import (
	"reflect"
	"testing"
)

func TestParsePermission(t *testing.T) {
	for text, want := range map[string]Permission{
		"chat:lobby,team-*:join,emit": {"chat", []string{"lobby", "team-*"}, Join | Emit},
		"chat:room:1:ask":             {"chat", []string{"room:1"}, Ask},
		"news:connect":                {"news", nil, Connect},
		"*:*:*":                       {"*", []string{"*"}, AllActions},
		"chat:user-{user}:join":       {"chat", []string{"user-{user}"}, Join},
	} {
		if got, err := ParsePermission(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "chat", ":lobby:join", "chat:lobby", "chat::join", "chat:a,,b:join", "chat:a*b:join", "chat:lobby:fly", "chat:lobby:"} {
		if got, err := ParsePermission(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}

// A permission that is accepted is one that Identity.Validate accepts, too.
func FuzzParsePermission(f *testing.F) {
	f.Add("chat:lobby,team-*:join,emit")
	f.Add("news:connect")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePermission(text)
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
