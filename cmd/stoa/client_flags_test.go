package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func parseClientFlags(t testing.TB, arguments ...string) *clientFlags {
	t.Helper()
	var flags clientFlags
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.register(set)
	if err := set.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return &flags
}

func TestPlaceFlags(t *testing.T) {
	cases := []struct {
		name      string
		arguments []string
		want      []namedPlaces
		to        []place
	}{
		{"nothing", nil, []namedPlaces{{"default", nil}}, []place{{"default", ""}}},
		{"rooms alone", []string{"-r", "a", "-r", "b"}, []namedPlaces{{"default", []string{"a", "b"}}}, []place{{"default", "a"}, {"default", "b"}}},
		{"room in front", []string{"-r", "a", "-n", "x"}, []namedPlaces{{"x", []string{"a"}}}, []place{{"x", "a"}}},
		{
			"each its rooms", []string{"-n", "x", "-r", "a", "-n", "y", "--room", "b", "-n", "z"},
			[]namedPlaces{{"x", []string{"a"}}, {"y", []string{"b"}}, {"z", nil}},
			[]place{{"x", "a"}, {"y", "b"}, {"z", ""}},
		},
		{"twice the same", []string{"-n", "x", "--namespace", "x"}, []namedPlaces{{"x", nil}}, []place{{"x", ""}}},
		{"commas are part of a name", []string{"-r", "a,b"}, []namedPlaces{{"default", []string{"a,b"}}}, []place{{"default", "a,b"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := parseClientFlags(t, c.arguments...).places.resolve()
			for i := range got {
				if len(got[i].rooms) == 0 {
					got[i].rooms = nil
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if to := destinations(got); !reflect.DeepEqual(to, c.to) {
				t.Errorf("destinations %v, want %v", to, c.to)
			}
		})
	}
}

func TestClientFlagErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name      string
		arguments []string
		want      string
	}{
		{"no colon", []string{"--header", "a", "--header", "secret"}, "--header: number 1"},
		{"no name", []string{"--header", ": secret"}, "--header: number 1"},
		{"blank in the name", []string{"--header", "a b: secret"}, "--header: number 1"},
		{"line break", []string{"--header", "a: secret\r\nb: c"}, "--header: a: the value"},
		{"no file", []string{"--ca", empty + ".none"}, "--ca: open"},
		{"no certificate", []string{"--ca", empty}, "no certificate in PEM form"},
		{"no time", []string{"--timeout", "0s"}, "--timeout 0s: want more than 0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseClientFlags(t, c.arguments...).resolve("localhost", new(bytes.Buffer))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got error %v, want %q in it and no value", err, c.want)
			}
		})
	}
}

func TestClientFlagsHeaders(t *testing.T) {
	d, err := parseClientFlags(t, "--header", "x-a: 1", "--header", "X-A:2", "--header", "B: c:d").resolve("localhost", new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.options.Header.Values("X-A"), []string{"1", "2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("X-A: got %q, want %q", got, want)
	}
	if got := d.options.Header.Get("B"); got != "c:d" {
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
		d, err := parseClientFlags(t, "--insecure").resolve(c.address, &stderr)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(stderr.String(), "warning: --insecure"); got != c.warns || !d.options.TLS.InsecureSkipVerify {
			t.Errorf("%s: warned %t, want %t; %+v", c.address, got, c.warns, d.options.TLS)
		}
	}
}
