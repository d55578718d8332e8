package main

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
)

// An ask in a room reaches the members, and "stoa connect" does not handle it.
func TestAskAMember(t *testing.T) {
	server := clitest.StartPeer(t)
	joined := clitest.LaunchWith(t, newRootCommand(), clitest.OpenInput(t), "connect", server.Address, "-r", "team")
	joined.Stdout.Await(t, `("type":"joined")`)
	p := launch(t, "ask", server.Address, "vote", "noon", "-r", "team")
	if code := p.Wait(t); code != cli.ExitUnanswered {
		t.Errorf("exit code %d, want %d; standard error: %s", code, cli.ExitUnanswered, p.Stderr)
	}
	joined.Stdout.Await(t, `("type":"question","namespace":"default","room":"team","event":"vote","body":"noon","error":"unhandled event"})`)
}

func TestClientsOverTLS(t *testing.T) {
	pair, other := clitest.WriteCertificate(t), clitest.WriteCertificate(t)
	server := startProgram(t, "--tls-cert", pair.Cert, "--tls-key", pair.Key)
	cases := []struct {
		name      string
		arguments []string
		code      int
		want      string
	}{
		{"trusted", []string{"--ca", pair.Cert}, 0, ""},
		{"authority of another", []string{"--ca", other.Cert}, cli.ExitFailure, "certificate"},
		{"unknown", nil, cli.ExitFailure, "certificate"},
		{"not checked", []string{"--insecure"}, 0, "stoa: warning: --insecure"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, append([]string{"emit", server.URL, "said", "hi"}, c.arguments...)...)
			if code := p.Wait(t); code != c.code {
				t.Errorf("exit code %d, want %d; standard error: %s", code, c.code, p.Stderr)
			}
			if got := p.Stderr.String(); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("standard error is %q, want %q in it", got, c.want)
			}
		})
	}
}
