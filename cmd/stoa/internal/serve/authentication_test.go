package serve

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/config"
)

const (
	testSecret = "0123456789abcdef0123456789abcdef"
	testKey    = "sk_0123456789abcdef0123456789abcdef"
)

// A node with tokens and API keys in its file refuses clients without either,
// and every client gets what its permissions allow. Other machines may reach
// it.
func TestServeAuthenticates(t *testing.T) {
	t.Setenv(config.FileVariable, clitest.WriteConfig(t, `
listen: {address: "0.0.0.0:0"}
namespaces:
  chat: {relay: [rooms]}
auth:
  jwt:
    keys: {dev: {secret: `+testSecret+`}}
  api_keys:
    backend: {keys: [`+testKey+`], permissions: ["chat:*:join,emit"]}
`))
	p := startProgram(t)
	if strings.Contains(p.Stderr.String(), "no authentication") {
		t.Errorf("the log warns of missing authentication:\n%s", p.Stderr.String())
	}
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"nothing":     {nil, http.StatusUnauthorized},
		"wrong token": {http.Header{"Authorization": {"Bearer x.y.z"}}, http.StatusUnauthorized},
		"wrong key":   {http.Header{"X-Api-Key": {testKey + "0"}}, http.StatusUnauthorized},
		"key":         {http.Header{"X-Api-Key": {testKey}}, http.StatusSwitchingProtocols},
	} {
		if got := upgradeStatus(t, p, c.header); got != c.status {
			t.Errorf("%s: status %d, want %d", name, got, c.status)
		}
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "ann", "exp": time.Now().Add(time.Hour).Unix(),
		"stoa": map[string]any{"permissions": []any{map[string]any{"namespace": "chat", "rooms": []string{"lobby"}, "allow": []string{"join"}}}},
	}).SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	ann := clitest.DialSocket(t, p.Address, "/ws?X-Websocket-Header-Authorization="+url.QueryEscape("Bearer "+token))
	for _, c := range []struct{ request, answer string }{
		{"$1;chat;;_OnNamespaceConnect;0;0;", "$1;;;;;;"},
		{"$2;chat;lobby;_OnRoomJoin;0;0;", "$2;;;;;;"},
		{"$3;chat;vip;_OnRoomJoin;0;0;", `$3;chat;vip;_OnRoomJoin;1;0;forbidden: needs join in room "vip" of namespace "chat"`},
		{";chat;lobby;said;0;1;hello", `;chat;lobby;said;1;1;forbidden: needs emit in room "lobby" of namespace "chat"`},
	} {
		ann.Send(t, c.request)
		ann.Expect(t, c.answer)
	}
}
