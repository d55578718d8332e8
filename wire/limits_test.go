package wire_test

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/wire"
)

func TestLimitsWithDefaults(t *testing.T) {
	want := wire.Limits{Message: 65536, Token: 320, Namespace: 128, Room: 256, Event: 128}
	if got := (wire.Limits{}).WithDefaults(); got != want {
		t.Errorf("defaults are %+v, want %+v", got, want)
	}
	set := wire.Limits{Message: 1, Token: -1, Namespace: 2, Room: -1, Event: 3}
	if got := set.WithDefaults(); got != set {
		t.Errorf("set limits became %+v, want them unchanged: %+v", got, set)
	}
}

func TestLimits(t *testing.T) {
	escapes := strings.Repeat("@%!semicolon@%!", 4)
	small := wire.Limits{Token: 4, Namespace: 4, Room: 4, Event: 4}
	tests := map[string]struct {
		limits  wire.Limits
		payload string
		binary  bool
		want    error
	}{
		"at the limits":             {limits: small, payload: "1234;1234;1234;1234;0;0;long body"},
		"token":                     {limits: small, payload: "12345;;;;0;0;", want: wire.ErrNameTooLong},
		"namespace":                 {limits: small, payload: ";12345;;;0;0;", want: wire.ErrNameTooLong},
		"room":                      {limits: small, payload: ";;12345;;0;0;", want: wire.ErrNameTooLong},
		"event":                     {limits: small, payload: ";;;12345;0;0;", want: wire.ErrNameTooLong},
		"escaped at the limit":      {limits: small, payload: ";" + escapes + ";;;0;0;"},
		"escaped above the limit":   {limits: small, payload: ";;" + escapes + "x;;0;0;", want: wire.ErrNameTooLong},
		"token is not escaped":      {limits: small, payload: escapes + ";;;;0;0;", want: wire.ErrNameTooLong},
		"default at the limit":      {payload: ";;" + strings.Repeat("r", 256) + ";;0;0;"},
		"default above the limit":   {payload: ";;" + strings.Repeat("r", 257) + ";;0;0;", want: wire.ErrNameTooLong},
		"no limit":                  {limits: wire.Limits{Room: -1}, payload: ";;" + strings.Repeat("r", 5000) + ";;0;0;"},
		"text is not looked at":     {payload: ";\xff;;;0;0;"},
		"binary token":              {payload: "\xff;;;;0;0;", binary: true, want: wire.ErrInvalidName},
		"binary namespace":          {payload: ";\xff;;;0;0;", binary: true, want: wire.ErrInvalidName},
		"binary room":               {payload: ";;\xff;;0;0;", binary: true, want: wire.ErrInvalidName},
		"binary event":              {payload: ";;;\xff;0;0;", binary: true, want: wire.ErrInvalidName},
		"binary body":               {payload: ";;;e;0;0;\xff", binary: true},
		"binary NUL and é are fine": {payload: "\x00;\n;é;\x7f;0;0;", binary: true},
		"origin is no token":        {limits: small, payload: "neffos(0x123456789);;;;0;0;"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := wire.Parse([]byte(test.payload), test.binary)
			if err != nil {
				t.Fatal(err)
			}
			if err := test.limits.Check(&m); err != test.want {
				t.Errorf("Check of %q gave %v, want %v", test.payload, err, test.want)
			}
			limited, err := test.limits.Parse([]byte(test.payload), test.binary)
			if err != test.want {
				t.Errorf("Limits.Parse(%q) gave %v, want %v", test.payload, err, test.want)
			}
			if err == nil && !equal(limited, m) {
				t.Errorf("Limits.Parse gave %+v, Parse %+v, want the same", printable(limited), printable(m))
			}
		})
	}
}

// A peer that sent too long a name gets it back byte for byte, so that it
// recognizes its own request; nothing was allocated for the name.
func TestTooLongNamesAreAnsweredAsTheyCame(t *testing.T) {
	name := strings.Repeat("@%!semicolon@%!", 200)
	payload := []byte("$7;" + name + ";;e;0;0;body")
	limits := wire.Limits{}
	m, err := limits.Parse(payload, false)
	if err != wire.ErrNameTooLong {
		t.Fatalf("error %v, want %v", err, wire.ErrNameTooLong)
	}
	want := "$7;" + name + ";;e;1;0;name too long"
	if got := string(wire.AppendError(nil, &m, err.Error())); got != want {
		t.Errorf("answer %.80q..., want %.80q...", got, want)
	}
	allocations := testing.AllocsPerRun(100, func() {
		_, _ = limits.Parse(payload, false)
	})
	if allocations != 0 {
		t.Errorf("a name above its limit costs %v allocations, want 0", allocations)
	}
}
