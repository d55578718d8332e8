package auth_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
)

func TestParsePermissions(t *testing.T) {
	chat := access.Permission{Namespace: "chat", Rooms: []string{"lobby", "user-{user}"}, Allow: access.Join | access.Emit}
	news := access.Permission{Namespace: "news", Allow: access.Connect}
	const claim = `[{"namespace":"chat","rooms":["lobby","user-{user}"],"allow":["join","emit"]},{"namespace":"news","allow":["connect"]}]`
	for text, want := range map[string][]access.Permission{
		claim:                               {chat, news},
		`{"permissions":` + claim + `}`:     {chat, news},
		` [] `:                              {},
		`{"permissions":[]}`:                {},
		`{}`:                                {},
		`[{"namespace":"*","allow":["*"]}]`: {{Namespace: "*", Allow: access.AllActions}},
	} {
		got, err := auth.ParsePermissions([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
		formatted, err := auth.FormatPermissions(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err = auth.ParsePermissions(formatted); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", formatted, got, err, want)
		}
	}
	for text, want := range map[string]string{
		`null`:                 "want a list of permissions",
		`"admin"`:              "want an object, not a string",
		`{"permission":[]}`:    `unknown field "permission"`,
		`{"permissions":{}}`:   "permissions is a object",
		`[1]`:                  "permissions[0]: want an object, not a number",
		`[{}]`:                 "permissions[0]: allow is empty",
		`[{"allow":["join"]}]`: "permissions[0]: the namespace is missing",
		`[{"namespace":"a","allow":["join"]},{"namespace":"a","allow":[]}]`: "permissions[1]: allow is empty",
		`[{"namespace":"a","allow":["join"],"room":["x"]}]`:                 `permissions[0]: unknown field "room"`,
		`[{"namespace":"a","allow":["join"],"rooms":null}]`:                 "permissions[0]: rooms is empty",
		`[{"namespace":"a","allow":["join"],"rooms":[null]}]`:               "permissions[0]: the name of a room is empty",
		`[{"namespace":"a","allow":["join"],"Rooms":["x"]}]`:                `permissions[0]: unknown field "Rooms"`,
		`[{"namespace":"a","allow":["join"],"rooms":["x"],"rooms":["*"]}]`:  "permissions[0]: rooms is there twice",
		`{"Permissions":[]}`: `unknown field "Permissions"`,
		`{} x`:               "malformed",
		`[{"namespace":"a","allow":["join"],"rooms":["{User}"]}]`:                `permissions[0]: room "{User}": braces are possible in {user} only`,
		`[{"namespace":"a-*","allow":["join"]}]`:                                 `permissions[0]: namespace "a-*": a * stands alone`,
		`[{"namespace":"a","allow":["join"],"rooms":[]}]`:                        "permissions[0]: rooms is empty",
		`[{"namespace":"a","allow":["join"],"rooms":"x"}]`:                       "permissions[0]: rooms is a string",
		`[{"namespace":"a","allow":["join"],"rooms":["a*b"]}]`:                   `permissions[0]: room "a*b": a * is possible at the end only`,
		`[` + strings.Repeat(`{"namespace":"a","allow":["join"]},`, 256) + `{}]`: "257 permissions: want at most 256",
	} {
		if _, err := auth.ParsePermissions([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
		}
	}
}
