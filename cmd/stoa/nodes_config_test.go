package main

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/internal/redistest"
)

// "stoa nodes" reads the cluster from the file of a node. The certificates and
// keys of the node need not exist.
func TestNodesOfAFile(t *testing.T) {
	redis := redistest.Start(t)
	startMember(t, redis, "--cluster-name", "chat", "--node-id", "one")
	startMember(t, redis, "--cluster-name", "other", "--node-id", "two")
	file := clitest.WriteConfig(t, `listen: {address: ":443"}
tls: {cert: missing.pem, key: missing.pem}
auth: {jwt: {keys: {main: {file: missing.pem}}}}
cluster:
  redis: [`+redis.URL()+`]
  name: chat
`)
	cases := []struct {
		name     string
		variable string // STOA_CONFIG
		cluster  string // STOA_CLUSTER_NAME
		args     []string
		want     string
	}{
		{"flag", "", "", []string{"--config", file}, "one"},
		{"variable", file, "", nil, "one"},
		{"the environment wins", file, "other", nil, "two"},
		{"a flag wins", file, "chat", []string{"--cluster-name", "other"}, "two"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(config.FileVariable, c.variable)
			t.Setenv(cli.ClusterNameVariable, c.cluster)
			if nodes := listed(t, c.args...); len(nodes) != 1 || nodes[0].ID != c.want {
				t.Errorf("%v are listed, want %s", nodes, c.want)
			}
		})
	}
}

func TestNodesOfAWrongFile(t *testing.T) {
	cases := []struct{ name, content, want string }{
		{"no cluster", "log: {level: debug}\n", "no cluster: add --redis, or --config and a file that names Redis servers"},
		{"wrong key", "cluster:\n  rediss: [redis://localhost]\n", "stoa.yaml:2: cluster.rediss: unknown key"},
		{"wrong URL", "cluster:\n  redis: [http://:secret@localhost]\n", "stoa.yaml:2: cluster.redis: "},
		{"forgotten servers", "cluster:\n  name: chat\n", `stoa.yaml:2: cluster.name: there is no cluster: add "cluster.redis:"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := runProgram(t, "nodes", "--config", clitest.WriteConfig(t, c.content))
			if code != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "secret") {
				t.Errorf("exit code %d, printed %q and %q; want %d and %q", code, stdout, stderr, cli.ExitUsage, c.want)
			}
		})
	}
}
