package similar_test

import (
	"slices"
	"testing"

	"github.com/stoa-io/stoa/internal/similar"
)

func TestWords(t *testing.T) {
	known := []string{"serve", "connect", "emit", "ask", "listen", "log-level"}
	cases := []struct {
		word string
		want []string
	}{
		{"serv", []string{"serve"}},
		{"sevre", []string{"serve"}},
		{"conect", []string{"connect"}},
		{"emitt", []string{"emit"}},
		{"lisen", []string{"listen"}},
		{"log", []string{"log-level"}},
		{"loglevel", []string{"log-level"}},
		{"metrics", nil},
		{"", nil},
		{"x", nil},
	}
	for _, c := range cases {
		if got := similar.Words(c.word, known); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.word, got, c.want)
		}
	}
}
