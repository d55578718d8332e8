package redisbroker_test

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster/redisbroker"
)

func TestSplitServers(t *testing.T) {
	cases := []struct {
		name, text string
		want       []string
	}{
		{"none", " ", nil},
		{"one", "redis://a:6379/1", []string{"redis://a:6379/1"}},
		{"several", "redis://a, rediss://b,\n", []string{"redis://a", "rediss://b"}},
		{"sentinels", "redis+sentinel://a,b:1,c/m,redis://d", []string{"redis+sentinel://a,b:1,c/m", "redis://d"}},
		{"no URL", "a,b", []string{"a,b"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := redisbroker.SplitServers(c.text); strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
