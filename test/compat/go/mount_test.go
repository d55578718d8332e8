package compat_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// logIn returns the header that a browser would send after a login.
func logIn(t testing.TB, program *exampleProgram, name string) http.Header {
	t.Helper()
	response, err := http.PostForm("http://"+program.address+"/login", url.Values{"user": {name}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent || len(response.Cookies()) != 1 {
		t.Fatalf("login answered %s with %d cookies, want 204 and one", response.Status, len(response.Cookies()))
	}
	cookie := response.Cookies()[0]
	return http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}}
}

func TestExampleMount(t *testing.T) {
	program := runBinary(t, buildExample(t, "mount"))

	response, err := http.Get("http://" + program.address + "/")
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || string(page) != "a page of the program\n" {
		t.Errorf("the other route answered %q, %v", page, err)
	}

	forAda := logIn(t, program, "ada; \"x\" 柱")
	cookie := forAda.Get("Cookie")
	claim, signature, _ := strings.Cut(cookie, ".")
	for name, header := range map[string]http.Header{
		"no cookie":         {},
		"an empty cookie":   {"Cookie": {"session="}},
		"no signature":      {"Cookie": {cookie[:strings.LastIndexByte(cookie, '.')]}},
		"another's name":    {"Cookie": {"session=YmVu." + signature}},
		"a later expiry":    {"Cookie": {claim + ".99999999999" + signature[strings.IndexByte(signature, '.'):]}},
		"another signature": {"Cookie": {cookie + "x"}},
	} {
		_, err := guest(t, name, program.url(""), "chat", header, nil)
		var status ws.StatusError
		if !errors.As(err, &status) || int(status) != http.StatusUnauthorized {
			t.Errorf("%s: Dial ended with %v, want the status 401", name, err)
		}
	}

	ada, adaNS := enter(t, "ada", program.url(""), "chat", forAda, nil)
	ben, benNS := enter(t, "ben", program.url(""), "chat", logIn(t, program, "ben"), nil)
	if who, err := ada.ask(t, adaNS, "whoami", ""); err != nil || who != "ada; \"x\" 柱" {
		t.Errorf("whoami: %q, %v; want the name of the login", who, err)
	}
	ada.join(t, adaNS, "hall")
	ben.join(t, benNS, "hall")
	benNS.Room("hall").Emit("say", []byte("ada: I am ben"))
	want := message{namespace: "chat", room: "hall", event: "say", body: "ben: ada: I am ben"}
	if got := ada.received(t, 1)[0]; got != want {
		t.Errorf("ada received %+v, want %+v", got, want)
	}
}
