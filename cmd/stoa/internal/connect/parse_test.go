package connect

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

func TestParseMessage(t *testing.T) {
	joined := func(room string) bool { return room == "lobby" || room == "two words" }
	cases := []struct {
		name, line, current string
		want                message
	}{
		{"event", "said", "", message{"", "said", ""}},
		{"event and body", "said hi there", "", message{"", "said", "hi there"}},
		{"unchanged body", `said  {"a":  "b"} `, "", message{"", "said", `{"a":  "b"} `}},
		{"body in quotes", `said "hi"`, "", message{"", "said", `"hi"`}},
		{"current room", "said hi", "here", message{"here", "said", "hi"}},
		{"named room", "lobby said hi", "here", message{"lobby", "said", "hi"}},
		{"named room without a body", "lobby said", "here", message{"lobby", "said", ""}},
		{"event with the name of a room", "lobby", "here", message{"here", "lobby", ""}},
		{"no room", "- said hi", "here", message{"", "said", "hi"}},
		{"no room, event with the name of one", "- lobby hi", "here", message{"", "lobby", "hi"}},
		{"room in quotes", `"two words" said hi`, "", message{"two words", "said", "hi"}},
		{"event in quotes", `"good day" hi`, "", message{"", "good day", "hi"}},
		{"event that is a dash", `"-" hi`, "", message{"", "-", "hi"}},
		{"tabs", "\tlobby\tsaid\thi\t", "", message{"lobby", "said", "hi\t"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseMessage(c.line, c.current, joined)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	for _, line := range []string{"", " ", "-", "- ", `"said`, `"said"hi`, `"\q" hi`, "\xff hi", `"\xff" hi`} {
		if got, err := parseMessage(line, "", joined); err == nil {
			t.Errorf("%q: got %+v, want an error", line, got)
		}
	}
}

func TestParseDestination(t *testing.T) {
	connected := []string{"a", "a/b", "c d"}
	cases := []struct{ line, namespace, room string }{
		{"a", "a", ""},
		{"a/room", "a", "room"},
		{"a/b", "a/b", ""},
		{"a/b/room", "a/b", "room"},
		{"ab/room", "ab", "room"},
		{`"c d/room"`, "c d", "room"},
		{"other/room/1", "other", "room/1"},
	}
	for _, c := range cases {
		want := dial.Destination{Namespace: c.namespace, Room: c.room}
		if got, err := parseDestination(c.line, connected); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", c.line, got, err, want)
		}
	}
	for _, line := range []string{"", "a b", `"a`} {
		if got, err := parseDestination(line, connected); err == nil {
			t.Errorf("%q: got %+v, want an error", line, got)
		}
	}
}

// Every name can be typed as it is displayed.
func FuzzCutWord(f *testing.F) {
	for _, seed := range []string{"lobby", "two words", "", "-", "\x1b", `"`, `\`, "\u00a0", "a\tb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if w, rest, err := cutWord(text); err == nil && (!utf8.ValidString(w.text) || len(rest) > len(text)) {
			t.Errorf("%q was cut into %q and %q", text, w.text, rest)
		}
		if !utf8.ValidString(text) {
			return
		}
		w, rest, err := cutWord(cli.SanitizeName(text) + " rest")
		if err != nil || w.text != text || rest != "rest" || text == cli.NoRoom && !w.quoted {
			t.Errorf("%q is displayed as %s, which reads as %q and %q, %v", text, cli.SanitizeName(text), w.text, rest, err)
		}
	})
}

func TestComplete(t *testing.T) {
	candidates := func(before []string) []string {
		switch strings.Join(before, "|") {
		case "":
			return []string{"emit", "join", "connect", "disconnect", "help"}
		case "join":
			return []string{"lobby", "lounge", "two words", "two birds", "βήτα", "βίτα"}
		case "emit|two words":
			return []string{"said"}
		}
		return nil
	}
	cases := []struct {
		name, line, want string // | is the cursor
		choices          string
	}{
		{"command", "jo|", "join |", ""},
		{"blanks in front", "  jo|", "  join |", ""},
		{"nothing", "x|", "x|", ""},
		{"all", "|", "|", "connect disconnect emit help join"},
		{"common part", "join l|", "join lo|", ""},
		{"no more in common", "join lo|", "join lo|", "lobby lounge"},
		{"quotes", `join "two w|`, `join "two words" |`, ""},
		{"quotes, common part", `join "t|`, `join "two |`, ""},
		{"whole characters", "join β|", "join β|", "βήτα βίτα"},
		{"in the middle", "jo| lobby", "join| lobby", ""},
		{"second word", `emit "two words" s|`, `emit "two words" said |`, ""},
		{"unknown", "emit |", "emit |", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			pos := strings.Index(c.line, "|")
			completed, end, choices := complete(strings.Replace(c.line, "|", "", 1), pos, candidates)
			if got := completed[:end] + "|" + completed[end:]; got != c.want || strings.Join(choices, " ") != c.choices {
				t.Errorf("got %q with choices %q, want %q and %q", got, choices, c.want, c.choices)
			}
		})
	}
}

func FuzzComplete(f *testing.F) {
	f.Add(`join "two w`, 11)
	f.Add("emit lobby", 3)
	f.Fuzz(func(t *testing.T, line string, pos int) {
		if pos < 0 || pos > len(line) {
			return
		}
		candidates := func([]string) []string { return []string{"lobby", "two words", "-", "λ"} }
		completed, end, _ := complete(line, pos, candidates)
		if end < 0 || end > len(completed) || !strings.HasSuffix(completed, line[pos:]) {
			t.Errorf("%q at %d became %q at %d", line, pos, completed, end)
		}
	})
}
