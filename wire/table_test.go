package wire_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/wire"
)

func TestErrorTexts(t *testing.T) {
	tests := map[string]error{
		"bad namespace":       wire.ErrBadNamespace,
		"bad room":            wire.ErrBadRoom,
		"write closed":        wire.ErrClosed,
		"invalid payload":     wire.ErrInvalidPayload,
		"unhandled event":     wire.ErrUnhandled,
		"name too long":       wire.ErrNameTooLong,
		"invalid name":        wire.ErrInvalidName,
		"too many namespaces": wire.ErrTooManyNamespaces,
		"too many rooms":      wire.ErrTooManyRooms,
		"timeout":             wire.ErrTimeout,
		"unauthorized":        wire.ErrUnauthorized,
		"forbidden":           wire.ErrForbidden,
		"unavailable":         wire.ErrUnavailable,
		"room full":           wire.ErrRoomFull,
		"message too big":     wire.ErrTooBig,
		"id reused":           wire.ErrIDReused,
		"internal error":      wire.ErrInternal,
	}
	for text, want := range tests {
		if want.Error() != text {
			t.Errorf("text is %q, want %q", want.Error(), text)
		}
		if got := wire.ErrorFor(text); got != want {
			t.Errorf("ErrorFor(%q) is %#v, want the value of this package", text, got)
		}
	}
	for _, text := range []string{"Bad Namespace", "bad room ", "boom;1", "\xff"} {
		var remote wire.RemoteError
		if err := wire.ErrorFor(text); !errors.As(err, &remote) || err.Error() != text {
			t.Errorf("ErrorFor(%q) is %#v, want a RemoteError with that text", text, err)
		}
	}
	if err := wire.ErrorFor(""); err == nil || err.Error() == "" {
		t.Errorf("ErrorFor of an empty text is %#v, want an error with a text", err)
	}
}

// An error can say for what, and is the same error.
func TestDetails(t *testing.T) {
	for text, want := range map[string]error{
		"forbidden: needs join":    wire.ErrForbidden,
		"forbidden: ":              wire.ErrForbidden,
		"unauthorized: a: b; c":    wire.ErrUnauthorized,
		"forbidden:needs join":     nil,
		"Forbidden: needs join":    nil,
		"timeout: ":                nil,
		": forbidden":              nil,
		"forbiddenness: not known": nil,
	} {
		err := wire.ErrorFor(text)
		var remote wire.RemoteError
		if err.Error() != text || want != nil && !errors.Is(err, want) || errors.As(err, &remote) != (want == nil) {
			t.Errorf("ErrorFor(%q) is %#v, want %v", text, err, want)
		}
		if err != wire.ErrorFor(text) {
			t.Errorf("ErrorFor(%q) does not equal itself", text)
		}
	}
	// A client cannot make a statement of the server's.
	if err := wire.ClientError("forbidden: needs join"); err != wire.RemoteError("remote: forbidden: needs join") {
		t.Errorf("ClientError returned %#v", err)
	}
}

func TestSendable(t *testing.T) {
	sendable := func(code int) bool {
		return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
	}
	for code := range math.MaxUint16 + 1 {
		if got, want := wire.Code(code).Sendable(), sendable(code); got != want {
			t.Errorf("Code(%d).Sendable() is %v, want %v", code, got, want)
		}
	}
	for _, info := range wire.Codes() {
		if got, want := info.Code.Sendable(), info.Sender != wire.SenderNone; got != want {
			t.Errorf("Code(%d).Sendable() is %v, but its sender is %v", info.Code, got, info.Sender)
		}
	}
}

func TestCodes(t *testing.T) {
	labels := map[string]bool{"other": true}
	var last wire.Code
	for _, info := range wire.Codes() {
		if info.Code <= last {
			t.Errorf("code %d comes after %d, want ascending order", info.Code, last)
		}
		last = info.Code
		if labels[info.Label] || info.Label == "" || strings.Trim(info.Label, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("label of %d is %q, want a lower-case name of its own", info.Code, info.Label)
		}
		labels[info.Label] = true
		if info.Code.String() != info.Name || info.Code.Label() != info.Label || info.Code.Retry() != info.Retry {
			t.Errorf("methods of %d do not agree with the table", info.Code)
		}
		if got, ok := info.Code.Info(); !ok || got != info {
			t.Errorf("Info of %d is %+v, %t, want %+v", info.Code, got, ok, info)
		}
		if info.Sender.String() == "invalid" || info.Sender.String() == "" {
			t.Errorf("sender of %d is %d, want one of the enum", info.Code, info.Sender)
		}
	}
	unknown := wire.Code(4999)
	if unknown.String() != "code 4999" || unknown.Label() != "other" || !unknown.Retry() {
		t.Errorf("unknown code is %q, label %q, retry %t", unknown, unknown.Label(), unknown.Retry())
	}
	wire.Codes()[0].Name = "changed"
	if wire.CodeNormal.String() != "normal closure" {
		t.Error("a caller of Codes changed the table")
	}
}

func TestRetry(t *testing.T) {
	tests := map[wire.Code]bool{
		1000: false, 1001: true, 1002: false, 1003: false, 1005: true, 1006: true, 1007: false, 1008: false,
		1009: false, 1011: true, 1012: true, 1013: true, 4000: true, 4001: false, 4002: true, 4003: true, 4004: true,
		4401: false, 4403: false, 4409: false, 4429: true,
	}
	for _, info := range wire.Codes() {
		if want, ok := tests[info.Code]; !ok || info.Retry != want {
			t.Errorf("retry after %d is %t, want %t (expected: %t)", info.Code, info.Retry, want, ok)
		}
	}
	if len(wire.Codes()) != len(tests) {
		t.Errorf("table has %d codes, want %d", len(wire.Codes()), len(tests))
	}
}

func TestSystemEvents(t *testing.T) {
	tests := []struct {
		event  string
		kind   wire.Kind
		system bool
	}{
		{"_OnNamespaceConnect", wire.KindConnect, true},
		{"_OnNamespaceConnected", wire.KindNone, true},
		{"_OnNamespaceDisconnect", wire.KindDisconnect, true},
		{"_OnRoomJoin", wire.KindJoin, true},
		{"_OnRoomJoined", wire.KindNone, true},
		{"_OnRoomLeave", wire.KindLeave, true},
		{"_OnRoomLeft", wire.KindLeave, true},
		{"_OnAnyEvent", wire.KindNone, true},
		{"_OnNativeMessage", wire.KindNone, true},
		{"_OnAuthenticate", wire.KindAuthenticate, true},
		{"_OnRoomRecover", wire.KindJoin, true},
		{"_OnHistory", wire.KindNone, true},
		{"_OnHistoryGap", wire.KindNone, true},
		{"_OnHistoryRemoved", wire.KindNone, true},
		{"_OnPresence", wire.KindNone, true},
		{"_OnRoomPublish", wire.KindNone, true},
		{"", wire.KindNone, false},
		{"chat", wire.KindNone, false},
		{"_onroomjoin", wire.KindNone, false},
		{"_OnRoomJoin ", wire.KindNone, false},
	}
	for _, test := range tests {
		if got := wire.SystemKind([]byte(test.event)); got != test.kind {
			t.Errorf("SystemKind(%q) is %s, want %s", test.event, got, test.kind)
		}
		if got := wire.IsSystemEvent([]byte(test.event)); got != test.system {
			t.Errorf("IsSystemEvent(%q) is %t, want %t", test.event, got, test.system)
		}
	}
	for _, kind := range []wire.Kind{wire.KindConnect, wire.KindDisconnect, wire.KindJoin, wire.KindLeave, wire.KindAuthenticate} {
		if got := wire.SystemKind([]byte(kind.Event())); got != kind {
			t.Errorf("the event of %s is %q, which is a %s", kind, kind.Event(), got)
		}
	}
	if got := fmt.Sprint(wire.KindNone, wire.Kind(0), wire.KindNone.Event() == ""); got != "none invalid true" {
		t.Errorf("kinds that are no request print as %q", got)
	}
}

func TestTokens(t *testing.T) {
	for _, counter := range []uint64{0, 1, 9, 10, 1234567890, math.MaxUint64 - 1, math.MaxUint64} {
		client := wire.AppendClientToken(nil, counter)
		if got, ok := wire.ParseClientToken(client); got != counter || !ok {
			t.Errorf("ParseClientToken(%q) is %d, %t, want %d, true", client, got, ok, counter)
		}
		if _, ok := wire.ParseServerToken(client); ok {
			t.Errorf("ParseServerToken takes the client's token %q", client)
		}
		server := wire.AppendServerToken(nil, counter)
		if got, ok := wire.ParseServerToken(server); got != counter || !ok {
			t.Errorf("ParseServerToken(%q) is %d, %t, want %d, true", server, got, ok, counter)
		}
		if _, ok := wire.ParseClientToken(server); ok {
			t.Errorf("ParseClientToken takes the server's token %q", server)
		}
	}
	for _, token := range []string{"", "$", "#9", "007", "+1", "-1", "1 ", "1a", "0x1", "18446744073709551616", "99999999999999999999999"} {
		if got, ok := wire.ParseServerToken([]byte(token)); ok || got != 0 {
			t.Errorf("ParseServerToken(%q) is %d, %t, want 0, false", token, got, ok)
		}
		if got, ok := wire.ParseClientToken([]byte("$" + token)); ok || got != 0 {
			t.Errorf("ParseClientToken(%q) is %d, %t, want 0, false", "$"+token, got, ok)
		}
	}
}

func TestHelloNamesFeatures(t *testing.T) {
	for hello, want := range map[string]wire.Features{
		"M": 0, "M expiry": wire.FeatureExpiry, "M x expiry y": wire.FeatureExpiry, "Mexpiry": wire.FeatureExpiry,
		"M presence volatile": wire.FeaturePresence | wire.FeatureVolatile,
		"M Expiry":            0, "M expiryx": 0, "M" + strings.Repeat(" ", 300) + "expiry": 0,
	} {
		if got, ok := wire.ParseHello([]byte(hello)); got != want || !ok {
			t.Errorf("ParseHello(%.20q) is %d, %t, want %d", hello, got, ok, want)
		}
	}
	if got := string(wire.AppendHello(nil, wire.FeatureExpiry)); got != "M expiry" {
		t.Errorf("the hello is %q", got)
	}
	if got := string(wire.AppendHello(nil, 0)); got != wire.Hello {
		t.Errorf("the hello without features is %q", got)
	}
	both := wire.FeatureExpiry | wire.FeaturePositions
	if got, _ := wire.ParseHello(wire.AppendHello(nil, both)); got != both {
		t.Errorf("the features %d are read as %d", both, got)
	}
}

func TestVolatileToken(t *testing.T) {
	for token, want := range map[string]bool{wire.VolatileToken: true, "": false, "~~": false, "$1": false, "@": false} {
		if got := wire.IsVolatile([]byte(token)); got != want {
			t.Errorf("IsVolatile(%q) is %t", token, got)
		}
	}
}

func TestAcknowledgementNamesFeatures(t *testing.T) {
	const expiry, positions = wire.FeatureExpiry, wire.FeaturePositions
	for _, test := range []struct {
		id       string
		offered  wire.Features
		rest     string
		features wire.Features
	}{
		{"id", positions, "id", 0},
		{"id positions", positions, "id", positions},
		{"id expiry positions", positions, "id expiry", positions},
		{"id expiry positions", expiry | positions, "id", expiry | positions},
		{"id positions other", positions, "id positions other", 0},
		{"id positions", expiry, "id positions", 0},
		{"id positions ", positions, "id positions ", 0},
		{"a b positions", positions, "a b", positions},
		{" positions", positions, "", positions},
		{"positions", positions, "positions", 0},
		{"", positions, "", 0},
	} {
		rest, features := wire.CutFeatures([]byte(test.id), test.offered)
		if string(rest) != test.rest || features != test.features {
			t.Errorf("CutFeatures(%q, %d) is %q, %d, want %q, %d", test.id, test.offered, rest, features, test.rest, test.features)
		}
	}
}
