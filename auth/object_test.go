package auth

import (
	"encoding/json"
	"testing"
)

// FuzzObject compares an object with the map of encoding/json.
func FuzzObject(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { } `, `null`, `[]`, `1`, `"x"`, ``, `{`, `{"a"}`, `{"a":1,}`, `{"a":1} x`, "\xff",
		`{"a":1,"b":[1,{"c":"]}"}],"d":"\"}","e":{"f":{}},"g":null,"h":true,"i":-1.5e3}`,
		"{\n\t\"a\" :\r 1 ,\n \"a\" : 2 }", `{"\u0061":1,"a":2}`, `{"a":1,"\u0061":2}`, "{\"\xff\":1}", `{"":""}`,
		`{"a":"\\"}`, `{"a":"\\\"","b":"\\u005c"}`, `{"a":[[],[[]]],"b":{}}`, `{"a" : "x" , "b" : [ ] }`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(text, &want)
		var got object
		if err := got.unmarshal(text); (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", text, err, wantErr)
		}
		if wantErr != nil {
			return
		}
		for _, m := range got.members {
			if _, ok := want[string(m.name)]; !ok {
				t.Errorf("%q has no member %q", text, m.name)
			}
		}
		for name, value := range want {
			if v, ok := got.get(name); !ok || string(v) != string(value) {
				t.Errorf("%q: member %q is %q, want %q", text, name, v, value)
			}
		}
	})
}
