package cluster_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// The password of the nodes has characters that URLs and quotes encode.
const (
	redisUser     = "stoa"
	redisPassword = `p4ss?w@rd"/`
	adminPassword = "of-the-admin"
)

// documentedUser is the line of docs/cluster.md that grants the nodes the
// necessary rights and no more, with the password.
func documentedUser(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin = "\nuser " + redisUser + " on >password "
	_, rights, found := strings.Cut(string(text), begin)
	rights, _, ended := strings.Cut(rights, "\n```")
	if !found || !ended {
		t.Fatalf("docs/cluster.md has no line that begins with %q", begin)
	}
	return redisUser + " on >" + redisPassword + " " + strings.Join(strings.Fields(rights), " ")
}

func startSecure(t testing.TB) (server *redistest.SecureServer, admin *redis.Client) {
	t.Helper()
	server = redistest.StartSecure(t, documentedUser(t), adminName+" on >"+adminPassword+" ~* &* +@all")
	admin = redis.NewClient(&redis.Options{
		Addr: server.Addr(), TLSConfig: server.TLS(), Username: adminName, Password: adminPassword, DisableIdentity: true,
	})
	t.Cleanup(func() { _ = admin.Close() })
	return server, admin
}

// expectNoSecret fails if a text holds a part of the password, however it is
// written.
func expectNoSecret(t testing.TB, what, text string) {
	t.Helper()
	for _, secret := range []string{"p4ss", "w@rd", "w%40rd"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds a part of the password:\n%s", what, text)
		}
	}
}

func (p *program) expectNoSecret(t testing.TB, when string) {
	t.Helper()
	for _, path := range []string{"/", "/metrics", "/readyz"} {
		_, body := p.page(t, path)
		expectNoSecret(t, path+" "+when, body)
	}
}

// TestRedisOverTLS: two nodes log in over TLS with a user that has no more
// rights than documented. The test changes the password while they run, and
// changes it back.
func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	server, admin := startSecure(t)
	url := server.URLOf(redisUser, redisPassword)
	one := startProgram(t, "one", "--redis", url, "--redis-ca", server.Authority)
	// In the other ways that there are: the environment, and the system's
	// roots.
	two := awaitServing(t, runProgram(t, []string{"STOA_REDIS=" + url, "SSL_CERT_FILE=" + server.Authority}, serveArguments("two")...))
	programs := []*program{one, two}
	for _, p := range programs {
		p.awaitReady(t, http.StatusOK)
	}
	a, b := enterRoom(t, one.address, "r"), enterRoom(t, two.address, "r")
	talk(t, a, b, "r", "hello")
	one.expectNoSecret(t, "while all is well")

	setPassword := func(password string) {
		t.Helper()
		for _, command := range [][]any{{"ACL", "SETUSER", redisUser, "resetpass", ">" + password}, {"CLIENT", "KILL", "USER", redisUser}} {
			if err := admin.Do(t.Context(), command...).Err(); err != nil {
				t.Fatalf("%v: %v", command[:2], err)
			}
		}
	}
	setPassword("another")
	reason := "redis " + server.Addr() + ": publisher not connected since "
	testkit.Eventually(t, "/readyz says that the password is refused", func() bool {
		status, body := one.page(t, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, reason) && strings.Contains(body, "WRONGPASS")
	})
	if _, body := one.page(t, "/metrics"); !strings.Contains(body, "\nstoa_broker_up{server=\"0\"} 0\n") {
		t.Error("the metrics do not say that the server is away")
	}
	one.expectNoSecret(t, "while the password is refused")
	setPassword(redisPassword)
	for _, p := range programs {
		p.awaitReady(t, http.StatusOK)
	}
	talk(t, a, b, "r", "hello again")
	for i, p := range programs {
		p.stop(t)
		expectNoSecret(t, fmt.Sprint("what node ", i+1, " printed"), p.Output.String())
	}
}

// TestRedisRefused: the error names the fault of user, password or certificate,
// and nothing else.
func TestRedisRefused(t *testing.T) {
	t.Parallel()
	server, _ := startSecure(t)
	right, wrong := server.URLOf(redisUser, redisPassword), server.URLOf(redisUser, redisPassword+"!")
	trust := []string{"--redis-ca", server.Authority}
	const refused, untrusted = "WRONGPASS invalid username-password pair", "certificate signed by unknown authority"
	for _, c := range []struct {
		name      string
		arguments []string
		want      string
	}{
		{"password", append([]string{"serve", "--listen", "127.0.0.1:0", "--redis", wrong}, trust...), refused},
		{"user", append([]string{"serve", "--listen", "127.0.0.1:0", "--redis", server.URLOf("nobody", redisPassword)}, trust...), refused},
		{"password of nodes", append([]string{"nodes", "--redis", wrong}, trust...), refused},
		{"certificate of nodes", []string{"nodes", "--redis", right}, untrusted},
	} {
		p := runProgram(t, nil, c.arguments...)
		code, text := p.Wait(t).ExitCode(), p.Output.String()
		if last := lastLine(text); code != 1 || !strings.HasPrefix(last, "stoa: ") ||
			!strings.Contains(last, c.want) || !strings.Contains(last, server.Addr()) {
			t.Errorf("%s: exit code %d and %q; want 1, %s and %q", c.name, code, last, server.Addr(), c.want)
		}
		expectNoSecret(t, c.name, text)
	}

	// The certificate may be renewed, so a node that does not trust it goes on
	// trying.
	p := startProgram(t, "one", "--redis", right)
	if reason := p.awaitReady(t, http.StatusServiceUnavailable); !strings.Contains(reason, server.Addr()) || !strings.Contains(reason, untrusted) {
		t.Errorf("/readyz says %q, want %s and %q", reason, server.Addr(), untrusted)
	}
	p.expectNoSecret(t, "while the certificate is not trusted")
	p.stop(t)
	text := p.Output.String()
	expectNoSecret(t, "what the node printed", text)
	if !strings.Contains(text, `"msg":"not connected to Redis; trying again"`) || !strings.Contains(text, untrusted) {
		t.Errorf("the log does not say that the certificate is not trusted:\n%s", text)
	}
}

func lastLine(text string) string {
	text = strings.TrimSuffix(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}
