package serve

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/cmd/stoa/internal/settings"
	"github.com/stoa-io/stoa/config"

	"github.com/spf13/pflag"
)

// The file decides which namespaces exist, and their relays.
func TestServeNamespacesOfTheFile(t *testing.T) {
	t.Setenv(config.FileVariable, clitest.WriteConfig(t, "namespaces:\n  chat: {relay: [rooms]}\n  silent: {relay: []}\nlisten: {endpoint: /chat}\n"))
	p := startProgram(t)
	p.Stdout.Await(t, `(/chat, namespaces "chat", "silent")`)
	if _, page := p.Get(t, http.MethodGet, "/"); !strings.Contains(page, `content="chat"`) {
		t.Errorf("the demo page does not use the first namespace:\n%s", page)
	}
	a, b := clitest.DialSocket(t, p.Address, "/chat"), clitest.DialSocket(t, p.Address, "/chat")
	for _, s := range []*clitest.Socket{a, b} {
		for _, namespace := range []string{"chat", "silent"} {
			s.Send(t, "$c;"+namespace+";;_OnNamespaceConnect;0;0;")
			s.Expect(t, "$c;;;;;;")
			s.Send(t, "$j;"+namespace+";r;_OnRoomJoin;0;0;")
			s.Expect(t, "$j;;;;;;")
		}
	}
	a.Send(t, ";silent;r;said;0;0;nothing")
	a.Send(t, ";chat;r;said;0;0;hello")
	b.Expect(t, ";chat;r;said;0;0;hello")
	a.Send(t, "$d;default;;_OnNamespaceConnect;0;0;")
	if answer := string(a.ReadFrame(t).Payload); !strings.HasPrefix(answer, "$d;") || !strings.Contains(answer, "namespace") {
		t.Errorf("a namespace that the file does not name answers %q", answer)
	}
}

// Each mistake of the file has a line, and a wrong file starts nothing.
func TestServeRefusesABrokenFile(t *testing.T) {
	file := clitest.WriteConfig(t, "limits: {rooms: 0}\nlog: {levl: info}\n")
	p := launch(t, "--config", file)
	if code := p.Wait(t); code != cli.ExitUsage {
		t.Errorf("exit code %d, want %d", code, cli.ExitUsage)
	}
	want := "stoa: " + file + ":1: limits.rooms 0: want 1 or more, or off\nstoa: " + file + ":2: log.levl: unknown key; did you mean log.level?\n"
	if got := p.Stderr.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Every flag but the one for the file sets a key, and has its default.
func TestFlagsAreKeys(t *testing.T) {
	var flags settings.Flags
	set := pflag.NewFlagSet("stoa", pflag.ContinueOnError)
	flags.Register(set)
	set.VisitAll(func(f *pflag.Flag) {
		if f.Name == settings.FileFlag {
			return
		}
		if f.Name == "demo" {
			return // its default depends on the internal port
		}
		if config.FlagKey(f.Name) == "" {
			t.Errorf("--%s sets no key", f.Name)
			return
		}
		given := pflag.NewFlagSet("stoa", pflag.ContinueOnError)
		flags.Register(given)
		if list, ok := given.Lookup(f.Name).Value.(pflag.SliceValue); ok && len(list.GetSlice()) == 0 {
			return
		}
		if err := given.Set(f.Name, f.DefValue); err != nil {
			t.Fatal(err)
		}
		if f.DefValue == "" {
			return
		}
		c, err := config.Load(config.Sources{Flags: given})
		if err != nil && !strings.Contains(err.Error(), "there is no cluster") {
			t.Fatal(err)
		}
		if err == nil && !sameValues(t, c, config.Default()) {
			t.Errorf("the default of --%s is not that of %s", f.Name, config.FlagKey(f.Name))
		}
	})
}

// sameValues compares two configurations without the origins of their values.
func sameValues(t *testing.T, a, b *config.Config) bool {
	t.Helper()
	var texts [2]strings.Builder
	for i, c := range []*config.Config{a, b} {
		if err := c.Write(&texts[i]); err != nil {
			t.Fatal(err)
		}
	}
	strip := func(text string) string {
		var lines []string
		for line := range strings.Lines(text) {
			value, _, _ := strings.Cut(line, " # ")
			lines = append(lines, value)
		}
		return strings.Join(lines, "\n")
	}
	return strip(texts[0].String()) == strip(texts[1].String())
}
