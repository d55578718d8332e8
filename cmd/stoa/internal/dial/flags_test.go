package dial

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func parseFlags(t testing.TB, arguments ...string) *Flags {
	t.Helper()
	var flags Flags
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.Register(set)
	if err := set.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return &flags
}

func TestMembershipFlags(t *testing.T) {
	cases := []struct {
		name      string
		arguments []string
		want      []Membership
		to        []Destination
	}{
		{"nothing", nil, []Membership{{"default", nil}}, []Destination{{"default", ""}}},
		{"rooms alone", []string{"-r", "a", "-r", "b"}, []Membership{{"default", []string{"a", "b"}}}, []Destination{{"default", "a"}, {"default", "b"}}},
		{"room in front", []string{"-r", "a", "-n", "x"}, []Membership{{"x", []string{"a"}}}, []Destination{{"x", "a"}}},
		{
			"each its rooms", []string{"-n", "x", "-r", "a", "-n", "y", "--room", "b", "-n", "z"},
			[]Membership{{"x", []string{"a"}}, {"y", []string{"b"}}, {"z", nil}},
			[]Destination{{"x", "a"}, {"y", "b"}, {"z", ""}},
		},
		{"twice the same", []string{"-n", "x", "--namespace", "x"}, []Membership{{"x", nil}}, []Destination{{"x", ""}}},
		{"commas are part of a name", []string{"-r", "a,b"}, []Membership{{"default", []string{"a,b"}}}, []Destination{{"default", "a,b"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := parseFlags(t, c.arguments...).memberships.resolve()
			for i := range got {
				if len(got[i].Rooms) == 0 {
					got[i].Rooms = nil
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if to := Destinations(got); !reflect.DeepEqual(to, c.to) {
				t.Errorf("destinations %v, want %v", to, c.to)
			}
		})
	}
}

func TestFlagErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "two.jwt")
	if err := os.WriteFile(secret, []byte("secret secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name      string
		arguments []string
		want      string
	}{
		{"no token", []string{"--token-file", empty}, "--token-file: " + empty + ": want one token"},
		{"two tokens", []string{"--token-file", secret}, "--token-file: " + secret + ": want one token"},
		{"no file with a token", []string{"--token-file", empty + ".none"}, "--token-file: open"},
		{"token and header", []string{"--token-file", secret, "--header", "authorization: a"}, "--token-file: --header already sets Authorization"},
		{"no colon", []string{"--header", "a", "--header", "secret"}, "--header: number 1"},
		{"no name", []string{"--header", ": secret"}, "--header: number 1"},
		{"blank in the name", []string{"--header", "a b: secret"}, "--header: number 1"},
		{"line break", []string{"--header", "a: secret\r\nb: c"}, "--header: a: the value"},
		{"no file", []string{"--ca", empty + ".none"}, "--ca: open"},
		{"no certificate", []string{"--ca", empty}, "contains no certificate in PEM form"},
		{"no time", []string{"--timeout", "0s"}, "--timeout 0s: want more than 0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseFlags(t, c.arguments...).Resolve("localhost", new(bytes.Buffer))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got error %v, want %q in it and no value", err, c.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	d, err := parseFlags(t, "--header", "x-a: 1", "--header", "X-A:2", "--header", "B: c:d").Resolve("localhost", new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Options.Header.Values("X-A"), []string{"1", "2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("X-A: got %q, want %q", got, want)
	}
	if got := d.Options.Header.Get("B"); got != "c:d" {
		t.Errorf("B: got %q, want %q", got, "c:d")
	}
}

func TestInsecureWarns(t *testing.T) {
	cases := []struct {
		address string
		warns   bool
	}{{"wss://localhost", true}, {"ws://localhost", false}}
	for _, c := range cases {
		var stderr bytes.Buffer
		d, err := parseFlags(t, "--insecure").Resolve(c.address, &stderr)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(stderr.String(), "warning: --insecure"); got != c.warns || !d.Options.TLS.InsecureSkipVerify {
			t.Errorf("%s: warned %t, want %t; %+v", c.address, got, c.warns, d.Options.TLS)
		}
	}
}
