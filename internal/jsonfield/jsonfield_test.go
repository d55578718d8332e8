package jsonfield_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stoa-io/stoa/internal/jsonfield"
)

var long = strings.Repeat("x", jsonfield.MaxText)

var cases = []struct{ body, want string }{
	{`{"symbol":"ACME","price":12}`, "ACME"},
	{` { "price" : [1,{"symbol":"no"}] , "symbol" : "ACME" } `, "ACME"},
	{`{"symbol":17}`, "17"},
	{`{"symbol":-1.5e+3}`, "-1.5e+3"},
	{`{"symbol":"a\"b\\","x":"\\"}`, `a"b\`},
	{`{"s\u0079mbol":"\u00fcber"}`, "über"},
	{`{"\u0073\u0079\u006D\u0062\u006f\u006C":"escaped"}`, "escaped"},
	{`{"symbol\n":1,"symbo\u006":1,"symbo\u00 6c":1,"\ud800symbol":1,"symbol\ud83d\ude00":1,"\u0073ymboX":1}`, ""},
	{`{"symbol":"first","symbol":"last"}`, "last"},
	{`{"symbol":"first","symbol":null}`, ""},
	{`{"a":"{\"symbol\":\"no\"}","b":{"symbol":"}"},"symbol":"yes"}`, "yes"},
	{`{"symbol":"` + long + `"}`, long},
	{`{"symbol":"` + long + `x"}`, ""},
	{`{"symbol":1` + long + `}`, ""},
	{`{"symbol":""}`, ""},
	{`{"symbol":true}`, ""},
	{`{"symbol":null}`, ""},
	{`{"symbol":["ACME"]}`, ""},
	{`{"symbol":{"symbol":"ACME"}}`, ""},
	{`{"Symbol":"ACME"}`, ""},
	{`{}`, ""},
	{``, ""},
	{`"symbol"`, ""},
	{`[{"symbol":"ACME"}]`, ""},
	{`{"symbol":"ACME"`, ""},
	{`{"symbol":"ACME",}`, ""},
	{`{"symbol":"ACME" "price":1}`, ""},
	{`{"symbol":01}`, ""},
	{`{"symbol":"a` + "\n" + `b"}`, ""},
	{`{"symbol":"a` + "\xff" + `b"}`, ""},
	{`{"symbol":"\ud800"}`, "\ufffd"},
	{`{"symbol"`, ""},
	{`{"symbol":`, ""},
	{`{"symbol":"ACME","a":[1,"]"`, ""},
	{`{symbol:"ACME"}`, ""},
}

func TestFind(t *testing.T) {
	for _, c := range cases {
		if got := jsonfield.Find([]byte(c.body), "symbol"); got != c.want {
			t.Errorf("Find(%q) = %q, want %q", c.body, got, c.want)
		}
	}
}

// FuzzFind compares with package json, for the objects that this accepts.
func FuzzFind(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c.body), "symbol")
	}
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		got := jsonfield.Find(body, name)
		if len(got) > jsonfield.MaxText || !utf8.ValidString(got) {
			t.Fatalf("Find = %q, which is too long or no text", got)
		}
		var fields map[string]json.RawMessage
		if !utf8.Valid(body) || !utf8.ValidString(name) || json.Unmarshal(body, &fields) != nil {
			return
		}
		want := ""
		if value := fields[name]; len(value) > 0 && len(value) <= 2+6*jsonfield.MaxText {
			switch value[0] {
			case '"':
				_ = json.Unmarshal(value, &want)
			case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
				want = string(value)
			}
		}
		if len(want) > jsonfield.MaxText {
			want = ""
		}
		if got != want {
			t.Fatalf("Find(%q, %q) = %q, want %q", body, name, got, want)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	for name, body := range map[string]string{
		"short": `{"symbol":"ACME","price":12.5,"time":1700000000}`,
		"long":  `{"text":"` + strings.Repeat("word ", 2000) + `","symbol":"ACME"}`,
		"other": strings.Repeat("text ", 10),
	} {
		b.Run(name, func(b *testing.B) {
			data := []byte(body)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				jsonfield.Find(data, "symbol")
			}
		})
	}
}

// TestEscapedNamesAllocateNothing: a body may have any number of fields whose
// names have escapes.
func TestEscapedNamesAllocateNothing(t *testing.T) {
	body := []byte("{" + strings.Repeat(`"\u0073ymboX":1,"\n":1,`, 1000) + `"symbol":"ACME"}`)
	allocations := testing.AllocsPerRun(10, func() {
		if got := jsonfield.Find(body, "symbol"); got != "ACME" {
			t.Errorf("Find = %q, want ACME", got)
		}
	})
	if allocations > 1 {
		t.Errorf("Find allocates %v times, want once, for the text", allocations)
	}
}
