package dial

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	cases := []struct{ text, want string }{
		{"localhost:8080", "ws://localhost:8080/ws"},
		{"localhost", "ws://localhost/ws"},
		{"[::1]:8080", "ws://[::1]:8080/ws"},
		{"localhost:8080/chat", "ws://localhost:8080/chat"},
		{"ws://localhost:8080", "ws://localhost:8080/ws"},
		{"ws://localhost:8080/", "ws://localhost:8080/ws"},
		{"ws://localhost:8080/ws/", "ws://localhost:8080/ws/"},
		{"WSS://chat.example.com", "wss://chat.example.com/ws"},
		{"http://localhost:8080/", "ws://localhost:8080/ws"},
		{"https://chat.example.com/a%20b", "wss://chat.example.com/a%20b"},
		{"ws://localhost:8080?token=a", "ws://localhost:8080/ws?token=a"},
		{"user:secret@localhost:8080", "ws://user:secret@localhost:8080/ws"},
	}
	for _, c := range cases {
		t.Run(c.text, func(t *testing.T) {
			got, err := parseURL(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if safe := withoutSecrets(got); strings.Contains(safe, "secret") || strings.Contains(safe, "token") {
				t.Errorf("%s contains a secret", safe)
			}
		})
	}
}

func TestParseURLErrors(t *testing.T) {
	cases := []struct{ text, want string }{
		{"", "no host"},
		{"ws://", "no host"},
		{"ws://:8080", "no host"},
		{"/ws", "no host"},
		{"ftp://localhost", `scheme "ftp": want ws, wss, http or https`},
		{"localhost:port", "invalid port"},
		{"ws://localhost/#room", "fragment"},
		{"ws://localhost/#", "fragment"},
		{"ws://user:sec/ret@localhost", "not valid"},
		{"user:sec ret@localhost", "not valid"},
	}
	for _, c := range cases {
		t.Run(c.text, func(t *testing.T) {
			got, err := parseURL(c.text)
			if err == nil {
				t.Fatalf("got %s, want an error", got)
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sec") {
				t.Errorf("got %q, want %q in it and no password", err, c.want)
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"localhost:8080", "wss://a:b@c/d?e", "[::1]", "ws://%zz", "http://a#b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := parseURL(text)
		if err != nil {
			return
		}
		if target.Scheme != "ws" && target.Scheme != "wss" || target.Hostname() == "" || target.Path == "" {
			t.Errorf("%q became %q", text, target)
		}
	})
}
